//! Chooses a host. Pure: the caller reads candidates and claims in one transaction and writes the claim in the same.

use std::{cmp::Ordering, collections::BTreeMap};

use sahab_contract::container::HostInfo;

use crate::db::container::Usage;

/// What a container needs of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    pub cpu: f64,
    /// MiB
    pub memory: i64,
    /// GiB; 0 is no demand.
    pub disk: i64,
    pub runtime: Option<String>,
    pub zone: Option<String>,
    /// `label:<key>` of the host's runtime must equal the value.
    pub hints: BTreeMap<String, String>,
    pub host: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    pub hostname: String,
    pub zone: String,
    /// Why the host may not receive containers now.
    pub unfit: Option<String>,
    pub info: HostInfo,
    pub used: Usage,
}

/// How far a host may be promised beyond what it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratios {
    pub cpu: f64,
    pub memory: f64,
    pub disk: f64,
    /// MiB kept for the host itself.
    pub reserved_memory: i64,
}

impl Default for Ratios {
    /// Upstream's (Placement's) defaults.
    fn default() -> Self {
        Ratios { cpu: 16.0, memory: 1.5, disk: 1.0, reserved_memory: 512 }
    }
}

impl Ratios {
    fn free_memory(&self, candidate: &Candidate) -> i64 {
        let total = i64::try_from(candidate.info.memory_total).unwrap_or(i64::MAX) - self.reserved_memory;
        (total.max(0) as f64 * self.memory) as i64 - candidate.used.memory
    }
    fn free_cpu(&self, candidate: &Candidate) -> f64 {
        f64::from(candidate.info.cpus) * self.cpu - candidate.used.cpu
    }
    fn free_disk(&self, candidate: &Candidate) -> i64 {
        (candidate.info.disk_total as f64 * self.disk) as i64 - candidate.used.disk
    }
}

type Filter = fn(&Demand, &Candidate, &Ratios) -> Option<String>;

/// Name and test; a test gives the reason for a refusal.
const FILTERS: &[(&str, Filter)] = &[
    ("HostFilter", |demand, candidate, _| {
        let wanted = demand.host.as_ref().filter(|wanted| **wanted != candidate.hostname)?;
        Some(format!("{wanted} was requested"))
    }),
    ("ComputeFilter", |_, candidate, _| candidate.unfit.clone()),
    ("AvailabilityZoneFilter", |demand, candidate, _| {
        let wanted = demand.zone.as_ref().filter(|wanted| !wanted.is_empty() && **wanted != candidate.zone)?;
        Some(format!("needs zone {wanted}, is in {}", candidate.zone))
    }),
    ("RuntimeFilter", |demand, candidate, _| {
        let wanted = demand.runtime.as_ref().filter(|wanted| !candidate.info.runtimes.contains(wanted))?;
        Some(format!("needs runtime {wanted}, has {}", candidate.info.runtimes.join(", ")))
    }),
    ("LabelFilter", |demand, candidate, _| {
        demand.hints.iter().find_map(|(key, wanted)| {
            let key = key.strip_prefix("label:")?;
            match candidate.info.labels.get(key) {
                Some(value) if value == wanted => None,
                Some(value) => Some(format!("needs label {key}={wanted}, has {key}={value}")),
                None => Some(format!("needs label {key}={wanted}, has none of that name")),
            }
        })
    }),
    ("RamFilter", |demand, candidate, ratios| {
        let free = ratios.free_memory(candidate);
        (demand.memory > free).then(|| format!("needs {} MiB, {} MiB free", demand.memory, free.max(0)))
    }),
    ("CPUFilter", |demand, candidate, ratios| {
        // The limit is a real one: no engine takes a limit above what the host has, whatever the ratio promises.
        if demand.cpu > f64::from(candidate.info.cpus) {
            return Some(format!("needs {} CPUs, the host has {}", demand.cpu, candidate.info.cpus));
        }
        let free = ratios.free_cpu(candidate);
        (demand.cpu > free + 1e-6).then(|| format!("needs {} CPUs, {:.1} free", demand.cpu, free.max(0.0)))
    }),
    ("DiskFilter", |demand, candidate, ratios| {
        if demand.disk == 0 {
            return None;
        }
        if !candidate.info.disk_quota_supported {
            return Some("the host's storage driver cannot limit a container's disk".into());
        }
        let free = ratios.free_disk(candidate);
        (demand.disk > free).then(|| format!("needs {} GiB, {} GiB free", demand.disk, free.max(0)))
    }),
];

/// The host with the most room among those that pass every filter, or why none does.
pub fn choose(demand: &Demand, candidates: &[Candidate], ratios: &Ratios) -> Result<String, String> {
    let mut best: Option<&Candidate> = None;
    let mut refusals = Vec::new();
    for candidate in candidates {
        let refusal = FILTERS.iter().find_map(|(name, filter)| {
            filter(demand, candidate, ratios).map(|why| format!("{}: {name}: {why}", candidate.hostname))
        });
        match refusal {
            Some(refusal) => refusals.push(refusal),
            None if best.is_none_or(|best| roomier(candidate, best, ratios)) => best = Some(candidate),
            None => {}
        }
    }
    best.map(|best| best.hostname.clone()).ok_or_else(|| {
        if refusals.is_empty() {
            "There are not enough hosts available. No host has registered.".into()
        } else {
            format!("There are not enough hosts available. {}", refusals.join("; "))
        }
    })
}

/// Spread: by share of free memory, then of free CPU, then by fewest containers.
fn roomier(one: &Candidate, other: &Candidate, ratios: &Ratios) -> bool {
    let memory = |host: &Candidate| ratios.free_memory(host) as f64 / (host.info.memory_total.max(1)) as f64;
    let cpu = |host: &Candidate| ratios.free_cpu(host) / f64::from(host.info.cpus.max(1));
    let order = memory(one)
        .total_cmp(&memory(other))
        .then(cpu(one).total_cmp(&cpu(other)))
        .then(other.used.containers.cmp(&one.used.containers))
        .then(other.hostname.cmp(&one.hostname));
    order == Ordering::Greater
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, memory: u64, used: i64) -> Candidate {
        Candidate {
            hostname: name.into(),
            zone: "nova".into(),
            unfit: None,
            info: HostInfo {
                hostname: name.into(),
                cpus: 2,
                memory_total: memory,
                disk_total: 10,
                runtimes: vec!["runc".into()],
                labels: [("gpu".to_owned(), "yes".to_owned())].into(),
                ..Default::default()
            },
            used: Usage { memory: used, ..Default::default() },
        }
    }
    fn ratios() -> Ratios {
        Ratios { cpu: 1.0, memory: 1.0, disk: 1.0, reserved_memory: 0 }
    }
    fn demand() -> Demand {
        Demand { cpu: 1.0, memory: 512, ..Default::default() }
    }

    #[test]
    fn spreads() {
        let hosts = [host("a", 4096, 1024), host("b", 4096, 0), host("c", 4096, 512)];
        assert_eq!(choose(&demand(), &hosts, &ratios()).unwrap(), "b");
        let pinned = Demand { host: Some("c".into()), ..demand() };
        assert_eq!(choose(&pinned, &hosts, &ratios()).unwrap(), "c");
    }

    #[test]
    fn says_why_for_every_host() {
        let mut down = host("b", 4096, 0);
        down.unfit = Some("the service is disabled".into());
        let hosts = [host("a", 1024, 924), down];
        assert_eq!(
            choose(&demand(), &hosts, &ratios()).unwrap_err(),
            "There are not enough hosts available. a: RamFilter: needs 512 MiB, 100 MiB free; \
             b: ComputeFilter: the service is disabled"
        );
        assert!(choose(&demand(), &[], &ratios()).unwrap_err().contains("No host"));
    }

    #[test]
    fn each_filter_refuses() {
        let refused = |demand: Demand, filter: &str| {
            let text = choose(&demand, &[host("a", 4096, 0)], &ratios()).unwrap_err();
            assert!(text.contains(filter), "{text}");
        };
        refused(Demand { zone: Some("east".into()), ..demand() }, "AvailabilityZoneFilter: needs zone east");
        refused(Demand { runtime: Some("kata".into()), ..demand() }, "RuntimeFilter: needs runtime kata, has runc");
        refused(Demand { cpu: 2.5, ..demand() }, "CPUFilter: needs 2.5 CPUs, the host has 2");
        refused(Demand { disk: 1, ..demand() }, "DiskFilter: the host's storage driver");
        refused(Demand { hints: [("label:gpu".to_owned(), "no".to_owned())].into(), ..demand() }, "LabelFilter");
        refused(Demand { host: Some("z".into()), ..demand() }, "HostFilter: z was requested");
        let fits = Demand { hints: [("label:gpu".to_owned(), "yes".to_owned())].into(), ..demand() };
        assert!(choose(&fits, &[host("a", 4096, 0)], &ratios()).is_ok());
    }

    #[test]
    fn ratios_and_the_reserve_count() {
        let mut busy = host("a", 4096, 0);
        busy.used.cpu = 1.5;
        let text = choose(&demand(), &[busy], &ratios()).unwrap_err();
        assert!(text.contains("CPUFilter: needs 1 CPUs, 0.5 free"), "{text}");
        let tight = Ratios { reserved_memory: 512, ..ratios() };
        assert!(choose(&demand(), &[host("a", 1000, 0)], &tight).is_err());
        let generous = Ratios { memory: 2.0, ..tight };
        assert!(choose(&demand(), &[host("a", 1000, 0)], &generous).is_ok());
    }
}
