//! Executes tasks: one loop that picks, one spawned future per running task.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use sahab_contract::{Error, Kind, Result, context::now};
use sahab_db::Database;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::{Handler, Handlers, NewTask, Step, Task, db};

#[derive(Clone, Debug)]
pub struct Settings {
    /// Tasks that run at once.
    pub parallel: usize,
    /// How long the runner sleeps when nothing nudges it.
    pub idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { parallel: 64, idle: Duration::from_secs(2) }
    }
}

/// Trouble made on purpose, by tests only.
#[derive(Clone, Debug, Default)]
pub struct Chaos {
    /// Runs every step (and every undo) twice.
    pub twice: bool,
    /// Fails this step for good, after it ran.
    pub fail_after: Option<String>,
}

/// Where services put tasks. Cloning is cheap.
#[derive(Clone)]
pub struct Queue {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    settings: Settings,
    handlers: OnceLock<HashMap<&'static str, Arc<dyn Handler>>>,
    wake: Notify,
    /// Keys being worked on.
    busy: Mutex<HashMap<String, Running>>,
    idle: watch::Sender<u64>,
    chaos: Mutex<Chaos>,
}

/// A task being executed.
struct Running {
    /// Interrupts the current step.
    switch: watch::Sender<bool>,
    takes_a_place: bool,
}

impl Queue {
    pub fn new(database: Database, settings: Settings) -> Self {
        Queue {
            inner: Arc::new(Inner {
                database,
                settings,
                handlers: OnceLock::new(),
                wake: Notify::new(),
                busy: Mutex::default(),
                idle: watch::channel(0).0,
                chaos: Mutex::default(),
            }),
        }
    }

    /// Writes the task in the caller's transaction. Call [`Queue::nudge`] after the commit.
    pub async fn enqueue(&self, connection: &impl ConnectionTrait, task: NewTask) -> Result<()> {
        db::insert(connection, task).await
    }

    /// Marks every task of the key as cancelled (in the caller's transaction): running ones are interrupted by
    /// [`Queue::nudge_cancel`], each goes its way back and then finishes with a conflict error.
    pub async fn cancel(&self, connection: &impl ConnectionTrait, key: &str) -> Result<()> {
        db::cancel(connection, key).await
    }

    /// Wakes the runner. Cheap.
    pub fn nudge(&self) {
        self.inner.wake.notify_one();
    }

    /// Interrupts the step that runs for the key, after [`Queue::cancel`] was committed.
    pub fn nudge_cancel(&self, key: &str) {
        if let Some(running) = self.busy().get(key) {
            running.switch.send_replace(true);
        }
        self.nudge();
    }

    pub fn set_chaos(&self, chaos: Chaos) {
        *lock(&self.inner.chaos) = chaos;
    }

    /// How many tasks are stored.
    pub async fn pending(&self) -> Result<u64> {
        db::count(self.inner.database.read()).await
    }

    /// Runs tasks until `stop` turns true; then waits for nothing: what was running is repeated at the next start.
    pub async fn run(&self, handlers: Handlers, mut stop: watch::Receiver<bool>) {
        let handlers = handlers.into_iter().map(|handler| (handler.kind(), handler)).collect();
        let _ = self.inner.handlers.set(handlers);
        while !*stop.borrow() {
            let pause = match self.start_ready().await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(error = error.report(), "cannot read tasks");
                    self.inner.settings.idle
                }
            };
            tokio::select! {
                _ = self.inner.wake.notified() => {}
                _ = tokio::time::sleep(pause) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Waits until no task is stored. For tests and for an orderly first start.
    pub async fn wait_idle(&self, limit: Duration) -> Result<()> {
        let wait = async {
            let mut idle = self.inner.idle.subscribe();
            while self.pending().await? > 0 {
                self.nudge();
                let _ = tokio::time::timeout(Duration::from_millis(100), idle.changed()).await;
            }
            Ok(())
        };
        tokio::time::timeout(limit, wait).await.unwrap_or_else(|_| Err(Error::internal("tasks did not finish in time")))
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        lock(&self.inner.busy)
    }

    /// Starts every task that may run now and returns how long to sleep at most.
    async fn start_ready(&self) -> Result<Duration> {
        // Who is busy is noted before the rows are read: a task that ends between the two is then skipped, while the other
        // order would start it again from a row that is deleted. Only this loop starts tasks, so who is free stays free.
        let (running, taken): (HashSet<String>, usize) = {
            let busy = self.busy();
            (busy.keys().cloned().collect(), busy.values().filter(|running| running.takes_a_place).count())
        };
        let heads = db::heads(self.inner.database.read()).await?;
        let mut pause = self.inner.settings.idle;
        let mut free = self.inner.settings.parallel.saturating_sub(taken);
        for row in heads {
            if running.contains(&row.task_key) {
                continue;
            }
            let wait = row.not_before - now();
            if wait > TimeDelta::zero() && !row.cancelled {
                pause = pause.min(wait.to_std().unwrap_or_default() + Duration::from_millis(1));
                continue;
            }
            let handler = self.inner.handlers.get().and_then(|all| all.get(row.kind.as_str()));
            let takes_a_place = handler.is_none_or(|handler| handler.takes_a_place());
            if takes_a_place {
                if free == 0 {
                    continue;
                }
                free -= 1;
            }
            let (switch, interrupt) = watch::channel(row.cancelled);
            self.busy().insert(row.task_key.clone(), Running { switch, takes_a_place });
            let queue = self.clone();
            tokio::spawn(async move {
                let key = row.task_key.clone();
                if let Err(error) = queue.execute(row, interrupt).await {
                    // The row is as the last committed step left it: the next look repeats from there.
                    tracing::error!(key, error = error.report(), "task interrupted");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                queue.busy().remove(&key);
                queue.inner.idle.send_modify(|count| *count += 1);
                queue.nudge();
            });
        }
        Ok(pause)
    }

    async fn execute(&self, mut row: db::Model, mut interrupt: watch::Receiver<bool>) -> Result<()> {
        let Some(handler) = self.inner.handlers.get().and_then(|all| all.get(row.kind.as_str())).cloned() else {
            return Err(Error::internal(format!("no handler for tasks of kind {}", row.kind)));
        };
        let steps = handler.steps();
        loop {
            let going_back = row.error.is_some();
            if !going_back && !row.cancelled && *interrupt.borrow() {
                // The nudge may have been meant for the task before this one: only the row decides.
                row.cancelled = db::is_cancelled(self.inner.database.read(), row.id).await?;
                if !row.cancelled
                    && let Some(running) = self.busy().get(&row.task_key)
                {
                    running.switch.send_replace(false);
                }
            }
            if !going_back && row.cancelled {
                self.turn_back(&mut row, Error::conflict("Cancelled", "the operation was cancelled"), steps.len())
                    .await?;
                continue;
            }
            let index = usize::try_from(row.step).ok();
            let Some(step) = index.and_then(|index| steps.get(index)) else {
                return self.finish(handler.as_ref(), row).await;
            };
            let mut task = task_of(&row);
            let chaos = lock(&self.inner.chaos).clone();
            if going_back {
                let mut outcome = handler.undo(step, &mut task).await;
                if chaos.twice && outcome.is_ok() {
                    outcome = handler.undo(step, &mut task).await;
                }
                row.state = task.state;
                match outcome {
                    Ok(()) => {
                        row.step -= 1;
                        row.attempts = 0;
                        self.save(&row).await?;
                    }
                    Err(error) => return self.retry_later(row, step, &error).await,
                }
                continue;
            }
            let work = async {
                if chaos.twice {
                    let _ = handler.run(step, &mut task.clone()).await?;
                }
                let outcome = handler.run(step, &mut task).await?;
                if chaos.fail_after.as_deref() == Some(step) {
                    return Err(Error::conflict("Chaos", format!("step {step} was made to fail")));
                }
                Ok(outcome)
            };
            let began = Instant::now();
            let outcome = tokio::select! {
                outcome = work => outcome,
                _ = interrupted(&mut interrupt) => continue,
            };
            tracing::debug!(kind = row.kind, key = row.task_key, step, micros = micros(began), "task step ran");
            row.state = task.state;
            match outcome {
                Ok(Step::Next) => {
                    row.step += 1;
                    row.attempts = 0;
                    self.save(&row).await?;
                }
                Ok(Step::Finish) => {
                    row.step = i32::try_from(steps.len()).unwrap_or(i32::MAX);
                    self.save(&row).await?;
                }
                Ok(Step::Again(pause)) => {
                    row.not_before = now() + TimeDelta::from_std(pause).unwrap_or_default();
                    return self.save(&row).await;
                }
                Err(error) if error.kind().retryable() && row.attempts + 1 < attempts(handler.as_ref()) => {
                    return self.retry_later(row, step, &error).await;
                }
                Err(error) => self.turn_back(&mut row, error, steps.len()).await?,
            }
        }
    }

    /// Records the failure; the step itself is undone too, since it may have half happened.
    async fn turn_back(&self, row: &mut db::Model, error: Error, steps: usize) -> Result<()> {
        tracing::warn!(
            kind = row.kind,
            key = row.task_key,
            request_id = row.request_id,
            step = row.step,
            error = error.report(),
            "task failed, taking back what it did"
        );
        row.error = Some(json!({
            "status": error.kind().status(), "code": error.code(), "message": error.message(),
        }));
        row.step = row.step.min(i32::try_from(steps).unwrap_or(i32::MAX) - 1);
        row.attempts = 0;
        self.save(row).await
    }

    async fn retry_later(&self, mut row: db::Model, step: &str, error: &Error) -> Result<()> {
        row.attempts += 1;
        // At most 6.4 s: what waits for an engine or a neighbour must go on soon after that is back.
        let pause = Duration::from_millis(200) * 2u32.pow(row.attempts.clamp(1, 5) as u32);
        tracing::warn!(
            kind = row.kind,
            key = row.task_key,
            step,
            attempt = row.attempts,
            error = error.report(),
            "task step failed, trying again"
        );
        row.not_before = now() + TimeDelta::from_std(pause).unwrap_or_default();
        self.save(&row).await
    }

    async fn finish(&self, handler: &dyn Handler, row: db::Model) -> Result<()> {
        let task = task_of(&row);
        let error = row.error.as_ref().map(error_of);
        let began = Instant::now();
        handler.finished(&task, error.as_ref().map_or(Ok(()), Err)).await?;
        tracing::debug!(kind = row.kind, key = row.task_key, micros = micros(began), "task outcome written");
        let txn = self.inner.database.begin().await?;
        db::delete(&txn, row.id).await?;
        txn.commit().await?;
        Ok(())
    }

    async fn save(&self, row: &db::Model) -> Result<()> {
        let txn = self.inner.database.begin().await?;
        db::save(&txn, row).await?;
        txn.commit().await?;
        Ok(())
    }
}

async fn interrupted(interrupt: &mut watch::Receiver<bool>) {
    if interrupt.wait_for(|cancelled| *cancelled).await.is_err() {
        // The switch is gone: nobody can cancel any more.
        std::future::pending::<()>().await;
    }
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn attempts(handler: &dyn Handler) -> i32 {
    i32::try_from(handler.max_attempts()).unwrap_or(i32::MAX)
}

fn task_of(row: &db::Model) -> Task {
    Task {
        id: row.id,
        key: row.task_key.clone(),
        input: row.input.clone(),
        state: row.state.clone(),
        request_id: row.request_id.clone(),
        attempts: u32::try_from(row.attempts).unwrap_or_default(),
    }
}

fn error_of(stored: &Value) -> Error {
    let status = stored["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
    let text = |key: &str| stored[key].as_str().unwrap_or_default().to_owned();
    Error::new(Kind::from_status(status), text("code"), text("message"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
