//! The host's side of external networks: gateway addresses, forwarding, translation to the uplink, and the little that
//! containers may reach of the host. Runs on the worker of dockerd's namespace.
//!
//! Each external network has a table of its own here, so that one can be replaced without knowledge of the others.

use std::collections::BTreeSet;

use ipnet::IpNet;
use sahab_contract::{Result, network::ExternalPlan};
use uuid::Uuid;

use crate::{
    bridge, names, nat, netlink::Change, nft, ruleset::Ruleset, settings::Settings, sysctl, worker::Namespace,
};

/// What this process loaded for one external network. Others write to this namespace too (Docker, the operator), so a
/// changed transaction number alone does not mean that ours were touched.
#[derive(Debug)]
pub(crate) struct Loaded {
    rules: Ruleset,
    generation: Option<u32>,
    /// The kernel's own rendering of the table.
    listing: String,
    /// Transaction number as of which Docker's chains let the leg through.
    docker_seen: Option<u32>,
}

/// Gives the host its place in an external network. The pair exists already.
pub(crate) async fn apply(
    host: &mut Namespace,
    id: Uuid,
    plan: &ExternalPlan,
    mtu: u32,
    settings: &Settings,
) -> Result<()> {
    let name = names::host_leg(&id);
    let (v4, v6): (Vec<&IpNet>, Vec<&IpNet>) = plan.gateways.iter().partition(|net| net.addr().is_ipv4());
    load_rules(host, id, &name, plan, settings).await?;
    let link = host.links.expect_link(&name).await?;
    let disable = if v6.is_empty() { "1" } else { "0" };
    sysctl::set_if_present(host, &format!("ipv6/conf/{name}/disable_ipv6"), disable)?;
    sysctl::set_if_present(host, &format!("ipv6/conf/{name}/accept_ra"), "0")?;
    // A leg that was made anew has another hardware address; tell those who remember the old one.
    sysctl::set(host, &format!("ipv4/conf/{name}/arp_notify"), "1")?;
    let alias = id.to_string();
    let change = Change {
        up: (!link.up).then_some(true),
        mtu: (link.mtu != mtu).then_some(mtu),
        alias: (link.alias.as_deref() != Some(&alias)).then_some(&alias),
        ..Change::default()
    };
    host.links.change(link.index, change).await?;
    let present: BTreeSet<IpNet> = host.links.addresses(link.index).await?.into_iter().collect();
    let wanted: BTreeSet<IpNet> = plan.gateways.iter().copied().collect();
    for address in present.difference(&wanted) {
        host.links.delete_address(link.index, *address).await?;
    }
    for address in wanted.difference(&present) {
        host.links.add_address(link.index, *address).await?;
    }
    if !v4.is_empty() {
        sysctl::set(host, "ipv4/ip_forward", "1")?;
    }
    if !v6.is_empty() {
        keep_router_advertisements(host)?;
        sysctl::set_if_present(host, "ipv6/conf/all/forwarding", "1")?;
    }
    accept_in_docker(host, id, &name).await
}

async fn load_rules(host: &mut Namespace, id: Uuid, leg: &str, plan: &ExternalPlan, settings: &Settings) -> Result<()> {
    let table = names::host_table(&settings.prefix, &id);
    let rules = nat::host(table.clone(), leg, plan, &settings.host_ports);
    let generation = nft::generation();
    if let Some(known) = host.host_tables.get(&id).filter(|known| known.rules == rules) {
        if generation.is_some() && generation == known.generation {
            return Ok(());
        }
        if list_table(host, &table).await? == known.listing {
            if let Some(known) = host.host_tables.get_mut(&id) {
                known.generation = generation;
            }
            return Ok(());
        }
    }
    nft::transaction(host, rules.replacement()).await?;
    let generation = nft::generation();
    let listing = list_table(host, &table).await?;
    host.host_tables.insert(id, Loaded { rules, generation, listing, docker_seen: None });
    Ok(())
}

async fn list_table(host: &Namespace, table: &str) -> Result<String> {
    host.run("nft", &["--stateless", "list", "table", "inet", table], None).await.map(|output| output.stdout)
}

/// Takes away what [`apply`] made. The table is made first and goes last, so where it is missing nothing else is left.
pub(crate) async fn remove(host: &mut Namespace, id: Uuid, settings: &Settings) -> Result<()> {
    let (table, leg) = (names::host_table(&settings.prefix, &id), names::host_leg(&id));
    let known = host.host_tables.remove(&id).is_some();
    let has_table = known || table_names(host).await?.contains(&table);
    if !has_table && host.links.link(&leg).await?.is_none() {
        return Ok(());
    }
    for rule in docker_rules(&iptables(host).await?.unwrap_or_default(), &leg) {
        delete_docker_rule(host, &rule).await?;
    }
    bridge::delete(host, &leg).await?;
    if has_table { nft::remove(host, "inet", &table).await } else { Ok(()) }
}

/// Most networks never have a table here, and every one that is made or deleted anywhere asks: no process is started for
/// that while nobody changed the tables.
async fn table_names(host: &mut Namespace) -> Result<Vec<String>> {
    let generation = nft::generation();
    if let Some((seen, names)) = &host.table_names
        && generation == Some(*seen)
    {
        return Ok(names.clone());
    }
    let listing = host.run("nft", &["list", "tables", "inet"], None).await?;
    let names: Vec<String> =
        listing.stdout.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect();
    // Of before the listing: a change in between makes it stale, never wrong.
    host.table_names = generation.filter(|_| listing.success).map(|seen| (seen, names.clone()));
    Ok(names)
}

/// External networks that have a table here.
pub(crate) async fn tables_of(host: &mut Namespace, prefix: &str) -> Result<Vec<Uuid>> {
    let start = format!("{prefix}_host_");
    let names = table_names(host).await?;
    Ok(names.iter().filter_map(|name| Uuid::try_parse(name.strip_prefix(&start)?).ok()).collect())
}

/// Docker drops what it does not know when it switched forwarding on itself; an accept elsewhere does not override
/// that, only one in the chain that Docker keeps for its users.
async fn accept_in_docker(host: &mut Namespace, id: Uuid, leg: &str) -> Result<()> {
    let generation = nft::generation();
    let seen = host.host_tables.get(&id).and_then(|known| known.docker_seen);
    if generation.is_some() && seen == generation && !has_legacy_iptables() {
        return Ok(());
    }
    if let Some(listing) = iptables(host).await?
        && let Some(chain) = filtering_chain(&listing)
    {
        let present = docker_rules(&listing, leg);
        for direction in ["-i", "-o"] {
            if present.contains(&format!("{chain} {direction} {leg} -j ACCEPT")) {
                continue;
            }
            host.count();
            let arguments = ["-w", "5", "-I", chain, "1", direction, leg, "-j", "ACCEPT"];
            let output = host.run("iptables", &arguments, None).await?;
            if !output.success {
                tracing::warn!(leg, error = %output.stderr, "cannot let an external network through Docker's rules");
                return Ok(());
            }
        }
    }
    // Seen as of now, our own additions included.
    let generation = nft::generation();
    if let Some(known) = host.host_tables.get_mut(&id) {
        known.docker_seen = generation;
    }
    Ok(())
}

/// Rules of the old iptables do not count as nftables transactions.
fn has_legacy_iptables() -> bool {
    std::fs::read_to_string("/proc/thread-self/net/ip_tables_names").is_ok_and(|tables| !tables.trim().is_empty())
}

/// The chain that must let our legs through; `None`: nothing stands in the way.
fn filtering_chain(listing: &str) -> Option<&'static str> {
    if listing.lines().any(|line| line == "-N DOCKER-USER") {
        return Some("DOCKER-USER");
    }
    listing.lines().any(|line| line == "-P FORWARD DROP").then_some("FORWARD")
}

/// The filter table's rules as `iptables -S` prints them; `None` when the host does without iptables.
async fn iptables(host: &Namespace) -> Result<Option<String>> {
    match host.run("iptables", &["-w", "5", "-S"], None).await {
        Ok(output) if output.success => Ok(Some(output.stdout)),
        Ok(_) => Ok(None),
        Err(error) if error.code() == "ToolMissing" => Ok(None),
        Err(error) => Err(error),
    }
}

/// Our rules for one leg in Docker's chains, without the leading `-A`.
fn docker_rules(listing: &str, leg: &str) -> Vec<String> {
    listing
        .lines()
        .filter_map(|line| line.strip_prefix("-A "))
        .filter(|rule| rule.split_whitespace().any(|word| word == leg) && rule.ends_with("-j ACCEPT"))
        .map(str::to_owned)
        .collect()
}

async fn delete_docker_rule(host: &Namespace, rule: &str) -> Result<()> {
    host.count();
    let mut arguments = vec!["-w", "5", "-D"];
    arguments.extend(rule.split_whitespace());
    host.run("iptables", &arguments, None).await.map(drop)
}

/// Routers ignore router advertisements, so a host that got its own IPv6 route by one would lose it: keep listening on
/// the interfaces that do.
fn keep_router_advertisements(host: &Namespace) -> Result<()> {
    let Ok(interfaces) = std::fs::read_dir("/proc/sys/net/ipv6/conf") else { return Ok(()) };
    for interface in interfaces.flatten() {
        let name = interface.file_name().to_string_lossy().into_owned();
        let listens = std::fs::read_to_string(interface.path().join("accept_ra")).is_ok_and(|v| v.trim() == "1");
        if listens && !["all", "default", "lo"].contains(&name.as_str()) {
            sysctl::set_if_present(host, &format!("ipv6/conf/{name}/accept_ra"), "2")?;
        }
    }
    Ok(())
}
