//! Reads and prunes the connection table of the calling thread's namespace, through the `conntrack` tool.

use sahab_contract::Result;

use crate::{flows::Flow, worker::Namespace};

/// Deletes every entry that `keep` does not want and returns how many those were.
pub(crate) async fn prune(namespace: &Namespace, keep: impl Fn(&Flow) -> bool) -> Result<usize> {
    let mut doomed = Vec::new();
    for family in ["ipv4", "ipv6"] {
        let listing = namespace.run("conntrack", &["-L", "-f", family, "-o", "extended"], None).await?;
        doomed.extend(listing.stdout.lines().filter_map(Flow::parse).filter(|flow| !keep(flow)));
    }
    if doomed.is_empty() {
        return Ok(0);
    }
    let commands: String = doomed.iter().map(|flow| flow.delete_command() + "\n").collect();
    namespace.count();
    // An entry that ended by itself meanwhile makes the tool fail; the rest is deleted all the same.
    let output = namespace.run("conntrack", &["-R", "-"], Some(commands)).await?;
    tracing::debug!(namespace = %namespace.name, flows = doomed.len(), status = output.success, "connections ended");
    Ok(doomed.len())
}
