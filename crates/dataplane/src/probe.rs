//! What the dataplane needs of the kernel and of the host's tools, tried out for real: `sahab doctor` shows the answers.

use std::{fs::File, os::fd::AsFd, sync::Arc};

use sahab_contract::Result;
use serde::Serialize;
use tokio::process::Command;
use uuid::Uuid;

use crate::{
    dataplane::load_bridge_netfilter,
    names,
    netlink::Veth,
    netns,
    worker::{Namespace, Place, Worker},
};

/// One answer of [`probe`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    /// Without this the dataplane cannot work at all; otherwise something is merely slower or missing.
    pub required: bool,
    /// What was seen.
    pub detail: String,
    /// What to do about it; empty when all is well.
    pub remedy: String,
}

const KERNEL: &str = "use a kernel with this feature; Debian's own kernels have all of them";

fn check(name: &'static str, required: bool, result: std::result::Result<String, String>, remedy: &str) -> Check {
    match result {
        Ok(detail) => Check { name, ok: true, required, detail, remedy: String::new() },
        Err(detail) => Check { name, ok: false, required, detail, remedy: remedy.into() },
    }
}

/// Tries everything in a namespace of its own, which it removes again. Never fails: a fault is an answer.
pub async fn probe() -> Vec<Check> {
    load_bridge_netfilter().await;
    let mut checks = vec![
        check(
            "nft",
            true,
            tool("nft", "--version", Some((1, 0, 6))).await,
            "install the package nftables (1.0.6 or newer)",
        ),
        check("conntrack", true, tool("conntrack", "--version", None).await, "install the package conntrack"),
        check(
            "conntrack table",
            false,
            limit(),
            "raise net.netfilter.nf_conntrack_max; all containers of the host share it",
        ),
        check("iptables", false, tool("iptables", "--version", None).await, "only needed next to Docker's own rules"),
    ];
    let name = format!("sahabprobe-net-{}", Uuid::new_v4());
    match Worker::start(name.clone(), Place::Named, Arc::default()).await {
        Err(error) => checks.push(check(
            "network namespaces",
            true,
            Err(error.report()),
            "run as root (CAP_SYS_ADMIN and CAP_NET_ADMIN), with a writable /run/netns",
        )),
        Ok(worker) => {
            checks.push(check("network namespaces", true, Ok("created one".into()), ""));
            match worker.call(async |namespace| Ok(inside(namespace).await)).await {
                Ok(more) => checks.extend(more),
                Err(error) => checks.push(check("namespace thread", true, Err(error.report()), KERNEL)),
            }
            worker.stop().await;
        }
    }
    if let Err(error) = netns::remove(&name) {
        tracing::warn!(%error, "the probe's namespace could not be removed");
    }
    checks
}

async fn inside(namespace: &mut Namespace) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.push(check("bridge", true, outcome(namespace.links.add_bridge(names::BRIDGE).await), KERNEL));
    checks.push(check("veth", true, outcome(pair(namespace).await), KERNEL));
    let vxlan = ["link", "add", "probe2", "type", "vxlan", "id", "1", "dstport", "4789", "local", "127.0.0.1"];
    checks.push(check(
        "vxlan",
        false,
        run(namespace, "ip", &vxlan, None).await,
        "needed only for networks that span hosts",
    ));
    let br_netfilter = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"].into_iter().try_for_each(|key| {
        crate::sysctl::set(namespace, &format!("bridge/{key}"), "1").map_err(|error| error.report())
    });
    checks.push(check(
        "bridge netfilter",
        true,
        br_netfilter.map(|()| "present in a new namespace".into()),
        "run 'modprobe br_netfilter' and load it at boot (/etc/modules-load.d)",
    ));
    let transactions: [(&'static str, &str); 4] = [
        (
            "nftables bridge family",
            "add table bridge p\nadd chain bridge p c { type filter hook forward priority -200; policy accept; }\nadd rule bridge p c ether type arp arp saddr ip 10.0.0.1 accept\n",
        ),
        (
            "nftables connection tracking",
            "add table inet p\nadd chain inet p c { type filter hook forward priority 0; policy accept; }\nadd rule inet p c ct state established accept\n",
        ),
        (
            "nftables interval concatenations",
            "add table inet q\nadd set inet q s { type ipv4_addr . inet_proto . inet_service; flags interval; elements = { 10.0.0.0/8 . 6 . 1-9 } }\n",
        ),
        (
            "nftables address translation",
            "add table ip q\nadd map ip q m { type ipv4_addr : ipv4_addr; }\nadd chain ip q c { type nat hook postrouting priority 100; policy accept; }\nadd rule ip q c snat to ip saddr map @m\nadd rule ip q c masquerade\n",
        ),
    ];
    for (name, text) in transactions {
        checks.push(check(name, true, run(namespace, "nft", &["-f", "-"], Some(text)).await, KERNEL));
    }
    let clamp = "add table inet r\nadd chain inet r c { type filter hook forward priority 0; policy accept; }\nadd rule inet r c tcp flags syn tcp option maxseg size set rt mtu\n";
    checks.push(check("nftables MSS clamping", true, run(namespace, "nft", &["-f", "-"], Some(clamp)).await, KERNEL));
    checks.push(check(
        "nftables transaction numbers",
        false,
        crate::nft::generation().map(|n| format!("generation {n}")).ok_or_else(|| "not told".into()),
        "rules are then reloaded at every look",
    ));
    checks
}

async fn pair(namespace: &Namespace) -> Result<()> {
    let own = File::open("/proc/thread-self/ns/net")?;
    let veth = Veth {
        name: "probe0",
        alias: "probe",
        mtu: 1500,
        master: None,
        group: 0,
        up: true,
        peer_name: "probe1",
        peer_mac: None,
        peer_namespace: own.as_fd(),
    };
    namespace.links.add_veth(&veth).await
}

async fn run(
    namespace: &Namespace,
    program: &str,
    arguments: &[&str],
    input: Option<&str>,
) -> std::result::Result<String, String> {
    match namespace.run(program, arguments, input.map(str::to_owned)).await {
        Ok(output) if output.success => Ok("works".into()),
        Ok(output) => Err(output.stderr.trim().to_owned()),
        Err(error) => Err(error.report()),
    }
}

fn outcome(result: Result<()>) -> std::result::Result<String, String> {
    result.map(|()| "works".into()).map_err(|error| error.report())
}

/// First line of what the tool says about itself, if it is new enough.
async fn tool(program: &str, argument: &str, least: Option<(u32, u32, u32)>) -> std::result::Result<String, String> {
    let output = Command::new(program).arg(argument).output().await.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default().to_owned();
    match least {
        Some(least) if version(&line).is_none_or(|found| found < least) => Err(format!("too old: {line}")),
        _ => Ok(line),
    }
}

fn version(line: &str) -> Option<(u32, u32, u32)> {
    let word = line.split_whitespace().find_map(|word| word.strip_prefix('v'))?;
    let mut numbers = word.split('.').map(|part| part.parse::<u32>());
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next().and_then(Result::ok).unwrap_or_default()))
}

fn limit() -> std::result::Result<String, String> {
    let text =
        std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_max").map_err(|error| error.to_string())?;
    let entries: u32 = text.trim().parse().map_err(|_| format!("unreadable: {text}"))?;
    if entries >= 65_536 { Ok(format!("{entries} connections")) } else { Err(format!("only {entries} connections")) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_compare() {
        assert_eq!(super::version("nftables v1.0.6 (Lester Gooch #5)"), Some((1, 0, 6)));
        assert_eq!(super::version("nftables v1.1 (x)"), Some((1, 1, 0)));
        assert!(super::version("nftables v0.9.8 (E.D.S.)") < Some((1, 0, 6)));
    }
}
