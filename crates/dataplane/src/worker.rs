//! One thread per namespace. It enters the namespace once, owns its netlink socket and does its jobs in order; jobs of
//! different namespaces run in parallel. Ending the worker closes the socket, without which the kernel would keep the
//! namespace alive after its name is gone.

use std::{
    collections::HashMap,
    future::Future,
    path::PathBuf,
    pin::Pin,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use sahab_contract::{Error, Result};
use tokio::{
    io::AsyncWriteExt,
    process::Command,
    sync::{mpsc, oneshot},
};
use uuid::Uuid;

use crate::{
    host,
    model::Network,
    netlink::Netlink,
    netns::{self, Identity},
    nft,
};

/// Jobs that may wait for one namespace; beyond that the callers wait.
const QUEUE: usize = 64;

/// Where a worker lives.
pub(crate) enum Place {
    /// A namespace of ours; made when it does not exist.
    Named,
    /// Somebody else's namespace: dockerd's and the uplink's.
    Path(PathBuf),
}

/// What a job sees: the namespace it is in, and what is remembered of it.
pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) links: Netlink,
    pub(crate) loaded: nft::Loaded,
    /// The network that was last applied here by this process.
    pub(crate) network: Option<Network>,
    /// Made by this worker and never configured: no connection can predate it.
    pub(crate) fresh: bool,
    /// Only in dockerd's namespace: our tables there, by external network.
    pub(crate) host_tables: HashMap<Uuid, host::Loaded>,
    /// Only in dockerd's namespace: names of all tables there, as of a transaction number.
    pub(crate) table_names: Option<(u32, Vec<String>)>,
    writes: Arc<AtomicU64>,
}

pub(crate) struct Output {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Namespace {
    /// Counts a write to the kernel; tests prove with it that an equal plan writes nothing.
    pub(crate) fn count(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs a tool inside the namespace: a child is born where the calling thread is.
    pub(crate) async fn run(&self, program: &str, arguments: &[&str], input: Option<String>) -> Result<Output> {
        let mut command = Command::new(program);
        command.args(arguments).kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let failed = |error: std::io::Error| {
            Error::unavailable("ToolMissing", format!("cannot run '{program}': {error}; see 'sahab doctor'"))
        };
        let work = async {
            let mut child = command.spawn().map_err(failed)?;
            let stdin = child.stdin.take();
            let feed = async {
                if let (Some(mut stdin), Some(input)) = (stdin, input) {
                    // A tool that stops reading says why on its own.
                    let _ = stdin.write_all(input.as_bytes()).await;
                }
            };
            let ((), output) = tokio::join!(feed, child.wait_with_output());
            let output = output.map_err(failed)?;
            Ok(Output {
                success: output.status.success(),
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            })
        };
        tokio::time::timeout(nft::TIMEOUT, work)
            .await
            .map_err(|_| Error::unavailable("ToolTimeout", format!("'{program}' did not end in {:?}", nft::TIMEOUT)))?
    }
}

type Job = Box<dyn for<'a> FnOnce(&'a mut Namespace) -> Pin<Box<dyn Future<Output = ()> + 'a>> + Send>;

pub(crate) struct Worker {
    pub(crate) identity: Identity,
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

impl Worker {
    pub(crate) async fn start(name: String, place: Place, writes: Arc<AtomicU64>) -> Result<Worker> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (ready, started) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("sahab-netns".into())
            .stack_size(1 << 20)
            .spawn(move || live(name, place, writes, ready, queue))?;
        let identity = started.await.map_err(|_| Error::internal("a namespace's thread died at its start"))??;
        Ok(Worker { identity, jobs, thread })
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Does the job in the namespace, after all earlier ones. It runs to its end even if the caller stops waiting.
    pub(crate) async fn call<T, F>(&self, job: F) -> Result<T>
    where
        T: Send + 'static,
        F: AsyncFnOnce(&mut Namespace) -> Result<T> + Send + 'static,
    {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |namespace| {
            Box::pin(async move {
                let _ = answer.send(job(namespace).await);
            })
        });
        let gone = || Error::unavailable("NamespaceGone", "the namespace's thread has ended");
        self.jobs.send(job).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    /// Waits until the thread has closed its sockets and left the namespace.
    pub(crate) async fn stop(self) {
        drop(self.jobs);
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

fn live(
    name: String,
    place: Place,
    writes: Arc<AtomicU64>,
    ready: oneshot::Sender<Result<Identity>>,
    mut queue: mpsc::Receiver<Job>,
) {
    let entered = match &place {
        Place::Named => netns::enter_or_create(&name),
        Place::Path(path) => netns::enter(path).map(|identity| (identity, false)),
    };
    let (identity, fresh) = match entered {
        Ok(entered) => entered,
        Err(error) => {
            let text = format!("cannot enter network namespace {name}: {error}");
            let _ = ready.send(Err(Error::unavailable("NamespaceUnavailable", text).with_source(error)));
            return;
        }
    };
    if fresh {
        writes.fetch_add(1, Ordering::Relaxed);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.into()));
            return;
        }
    };
    runtime.block_on(async move {
        let links = match Netlink::open(Arc::clone(&writes)) {
            Ok(links) => links,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let mut namespace = Namespace {
            name,
            links,
            loaded: nft::Loaded::default(),
            network: None,
            fresh,
            host_tables: HashMap::new(),
            table_names: None,
            writes,
        };
        if ready.send(Ok(identity)).is_err() {
            return;
        }
        while let Some(job) = queue.recv().await {
            job(&mut namespace).await;
        }
    });
}
