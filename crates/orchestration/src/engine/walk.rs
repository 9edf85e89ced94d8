//! Visits the nodes of a graph, each after those it waits for, many at once.

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{failure::Failure, journal::Journal};

pub struct Node {
    pub id: String,
    /// Nodes that must have been visited before; unknown ids are ignored.
    pub after: Vec<String>,
}

pub struct Limits {
    pub parallel: usize,
    /// How long the running ones may go on after a failure.
    pub grace: Duration,
}

pub enum Outcome {
    Done,
    /// `is_cut_off`: some were still running when the grace was over.
    Failed {
        failure: Failure,
        is_cut_off: bool,
    },
}

/// After a failure nothing new is started. A node whose predecessors never finish because of a cycle is started when
/// nothing else is left: better out of order than not at all.
pub async fn walk<F, Fut>(nodes: Vec<Node>, limits: &Limits, journal: &Journal, visit: F) -> Outcome
where
    F: Fn(String) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    let index: HashMap<&str, usize> =
        nodes.iter().enumerate().map(|(position, node)| (node.id.as_str(), position)).collect();
    let mut left: Vec<usize> = vec![0; nodes.len()];
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    for (position, node) in nodes.iter().enumerate() {
        for before in &node.after {
            if let Some(before) = index.get(before.as_str()).filter(|before| **before != position) {
                next[*before].push(position);
                left[position] += 1;
            }
        }
    }
    let mut is_started = vec![false; nodes.len()];
    let mut ready: std::collections::VecDeque<usize> =
        (0..nodes.len()).filter(|position| left[*position] == 0).collect();
    let mut running = FuturesUnordered::new();
    let mut failure: Option<Failure> = None;
    let mut give_up: Option<Instant> = None;
    loop {
        while failure.is_none() && running.len() < limits.parallel {
            let Some(position) = ready.pop_front() else { break };
            if std::mem::replace(&mut is_started[position], true) {
                continue;
            }
            let work = visit(nodes[position].id.clone());
            running.push(async move { (position, work.await) });
        }
        if running.is_empty() {
            match (failure, is_started.iter().position(|started| !started)) {
                (Some(failure), _) => return Outcome::Failed { failure, is_cut_off: false },
                (None, Some(stalled)) => {
                    failure = None;
                    ready.push_back(stalled);
                    continue;
                }
                (None, None) => return Outcome::Done,
            }
        }
        // Everything is polled together: a running node may hold the journal while it writes.
        let finished = tokio::select! {
            biased;
            finished = running.next() => finished,
            written = write_when_due(journal) => {
                if let Err(error) = written {
                    return Outcome::Failed { failure: Failure::fault(error), is_cut_off: true };
                }
                None
            }
            () = tokio::time::sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => {
                let failure = failure.unwrap_or_else(|| Failure::plain("aborted"));
                return Outcome::Failed { failure, is_cut_off: true };
            }
        };
        match finished {
            Some((position, Ok(()))) => {
                for following in &next[position] {
                    left[*following] -= 1;
                    if left[*following] == 0 {
                        ready.push_back(*following);
                    }
                }
            }
            Some((_, Err(cause))) if cause.is_fault => return Outcome::Failed { failure: cause, is_cut_off: true },
            Some((_, Err(cause))) => {
                failure.get_or_insert(cause);
                give_up.get_or_insert(Instant::now() + limits.grace);
            }
            None => {}
        }
    }
}

async fn write_when_due(journal: &Journal) -> sahab_contract::Result<()> {
    journal.is_due().await;
    journal.flush().await
}
