//! Facts of this machine that need no privileges.

use std::fs;

/// The kernel's host name.
pub fn name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

/// Largest packet of the interface that holds the default route; Ethernet's usual 1500 at most, since a bigger uplink
/// helps nobody behind it.
pub fn uplink_mtu() -> u32 {
    const USUAL: u32 = 1500;
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    routes
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (interface, destination) = (fields.next()?, fields.next()?);
            (destination == "00000000").then_some(interface)
        })
        .filter_map(|interface| fs::read_to_string(format!("/sys/class/net/{interface}/mtu")).ok()?.trim().parse().ok())
        .min()
        .unwrap_or(USUAL)
        .clamp(1280, USUAL)
}
