//! Loads rule sets into the calling thread's namespace, and only when the kernel does not hold them already.
//!
//! The kernel numbers every nftables transaction of a namespace. As long as the number is the one our last transaction
//! left, our tables are as we wrote them, and an equal plan costs one small netlink question and no process.

use std::time::Duration;

use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use sahab_contract::{Error, Result};

use crate::{ruleset::Ruleset, worker::Namespace};

/// What we know the namespace to hold.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    rules: Option<(Ruleset, u32)>,
}

/// What loading did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Unchanged,
    Updated,
    /// What was there before is not known.
    Replaced,
}

/// A transaction of the largest network takes a second on a loaded machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Makes the namespace hold exactly these tables of ours.
pub(crate) async fn load(namespace: &mut Namespace, rules: Ruleset) -> Result<Outcome> {
    let before = generation();
    let known = namespace.loaded.rules.take().filter(|(_, seen)| Some(*seen) == before);
    let (text, outcome) = match &known {
        Some((old, _)) => (rules.update(old), Outcome::Updated),
        None => (rules.replacement(), Outcome::Replaced),
    };
    if text.is_empty() {
        namespace.loaded.rules = known;
        return Ok(Outcome::Unchanged);
    }
    transaction(namespace, text).await?;
    // Our transaction was the only one exactly if the number grew by one.
    namespace.loaded.rules = match (before, generation()) {
        (Some(before), Some(after)) if before.checked_add(1) == Some(after) => Some((rules, after)),
        _ => None,
    };
    Ok(outcome)
}

/// Removes tables, known or not. Absent is success.
pub(crate) async fn remove(namespace: &mut Namespace, family: &str, table: &str) -> Result<()> {
    namespace.loaded.rules = None;
    transaction(namespace, format!("add table {family} {table}\ndelete table {family} {table}\n")).await
}

pub(crate) async fn transaction(namespace: &Namespace, text: String) -> Result<()> {
    namespace.count();
    let output = namespace.run("nft", &["-f", "-"], Some(text.clone())).await?;
    if output.success {
        return Ok(());
    }
    tracing::error!(namespace = %namespace.name, error = %output.stderr, transaction = %text, "nft refused a transaction");
    Err(Error::internal(format!("nft refused the rules of {}: {}", namespace.name, output.stderr.trim())))
}

/// Number of the namespace's last nftables transaction (`NFT_MSG_GETGEN`); `None` if the kernel does not say.
pub(crate) fn generation() -> Option<u32> {
    const GET_GENERATION: u8 = 16;
    const SUBSYSTEM: u8 = 10;
    let socket = Socket::new(NETLINK_NETFILTER).ok()?;
    // Length, type, flags (request), sequence, port; then family, version, resource.
    let request = [20, 0, 0, 0, GET_GENERATION, SUBSYSTEM, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // The kernel answers within the call, so the socket need not be waited on.
    socket.set_non_blocking(true).ok()?;
    socket.send_to(&request, &SocketAddr::new(0, 0), 0).ok()?;
    let (answer, _) = socket.recv_from_full().ok()?;
    let mut attributes = answer.get(20..)?;
    while let [a, b, c, d, rest @ ..] = attributes {
        let (length, kind) = (usize::from(u16::from_ne_bytes([*a, *b])), u16::from_ne_bytes([*c, *d]));
        if kind == 1 {
            return rest.get(..4)?.try_into().ok().map(u32::from_be_bytes);
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
    None
}
