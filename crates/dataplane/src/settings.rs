//! What an operator may decide about the dataplane.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Settings of one [`crate::LinuxDataplane`]. The default serves a host with one Sahab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// First part of the names of our namespaces and host tables. Two dataplanes with different prefixes can share a
    /// host, because neither sees what the other owns.
    pub prefix: String,
    /// The namespace of dockerd and of the uplink. `None`: the one this process was started in.
    pub host_namespace: Option<PathBuf>,
    /// What containers on external networks may reach of the host itself, besides ping. Empty: nothing.
    pub host_ports: Vec<HostPort>,
}

/// A port of the host that containers may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostPort {
    pub protocol: HostProtocol,
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostProtocol {
    Tcp,
    Udp,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { prefix: "sahab".into(), host_namespace: None, host_ports: Vec::new() }
    }
}
