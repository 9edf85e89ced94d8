//! Reads and prunes the connection table of the calling thread's namespace, through the `conntrack` tool.

use sahab_contract::{Error, Result};

use crate::{flows::Flow, worker::Namespace};

/// Deletes every entry that `keep` does not want and returns how many those were.
pub(crate) async fn prune(namespace: &Namespace, keep: impl Fn(&Flow) -> bool) -> Result<usize> {
    let mut doomed = Vec::new();
    for family in ["ipv4", "ipv6"] {
        let listing = namespace.run("conntrack", &["-L", "-f", family, "-o", "extended"], None).await?;
        if !listing.success {
            return Err(Error::internal(format!("conntrack in {}: {}", namespace.name, listing.stderr.trim())));
        }
        doomed.extend(listing.stdout.lines().filter_map(Flow::parse).filter(|flow| !keep(flow)));
    }
    if doomed.is_empty() {
        return Ok(0);
    }
    let commands: String = doomed.iter().map(|flow| flow.delete_command() + "\n").collect();
    namespace.count();
    // An entry that ended by itself meanwhile is no failure to the tool.
    let output = namespace.run("conntrack", &["-R", "-"], Some(commands)).await?;
    if !output.success {
        return Err(Error::internal(format!("conntrack in {}: {}", namespace.name, output.stderr.trim())));
    }
    tracing::debug!(namespace = %namespace.name, flows = doomed.len(), "connections ended");
    Ok(doomed.len())
}
