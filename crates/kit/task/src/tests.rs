use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use sahab_contract::{Error, Kind, Result};
use sahab_db::Database;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{Chaos, Handler, NewTask, Queue, Settings, Step, Task, migrations};

#[derive(Default)]
struct Recorder {
    log: Arc<Mutex<Vec<String>>>,
    flaky: Arc<Mutex<u32>>,
}

impl Recorder {
    fn note(&self, text: String) {
        self.log.lock().unwrap().push(text);
    }
}

#[async_trait]
impl Handler for Recorder {
    fn kind(&self) -> &'static str {
        "recorder"
    }
    fn steps(&self) -> &'static [&'static str] {
        &["one", "two", "three"]
    }
    async fn run(&self, step: &str, task: &mut Task) -> Result<Step> {
        self.note(format!("{} {step}", task.key));
        if step == "two" {
            match task.input["two"].as_str() {
                Some("fail") => return Err(Error::invalid("Bad", "two is bad")),
                Some("hang") => std::future::pending::<()>().await,
                Some("flaky") => {
                    let mut left = self.flaky.lock().unwrap();
                    if *left > 0 {
                        *left -= 1;
                        return Err(Error::new(Kind::Unavailable, "", "not now"));
                    }
                }
                _ => {}
            }
        }
        Ok(Step::Next)
    }
    async fn undo(&self, step: &str, task: &mut Task) -> Result<()> {
        self.note(format!("{} undo {step}", task.key));
        Ok(())
    }
    async fn finished(&self, task: &Task, outcome: std::result::Result<(), &Error>) -> Result<()> {
        self.note(format!("{} {}", task.key, outcome.map_or_else(|error| error.to_string(), |()| "done".into())));
        Ok(())
    }
}

struct Bench {
    queue: Queue,
    database: Database,
    log: Arc<Mutex<Vec<String>>>,
    flaky: Arc<Mutex<u32>>,
    _stop: watch::Sender<bool>,
}

impl Bench {
    async fn new() -> Self {
        let database = Database::temporary().await.unwrap();
        database.migrate(&[migrations()]).await.unwrap();
        let queue = Queue::new(database.clone(), Settings { parallel: 4, idle: Duration::from_millis(20) });
        let recorder = Recorder::default();
        let (log, flaky) = (recorder.log.clone(), recorder.flaky.clone());
        let (stop, stopped) = watch::channel(false);
        let runner = queue.clone();
        tokio::spawn(async move { runner.run(vec![Arc::new(recorder)], stopped).await });
        Bench { queue, database, log, flaky, _stop: stop }
    }
    async fn add(&self, key: &str, input: Value) {
        let txn = self.database.begin().await.unwrap();
        let task = NewTask { kind: "recorder", key: key.into(), input, request_id: "req-1".into() };
        self.queue.enqueue(&txn, task).await.unwrap();
        txn.commit().await.unwrap();
        self.queue.nudge();
    }
    async fn idle(&self) {
        self.queue.wait_idle(Duration::from_secs(20)).await.unwrap();
    }
    fn of(&self, key: &str) -> Vec<String> {
        let prefix = format!("{key} ");
        self.log.lock().unwrap().iter().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn steps_run_in_order_and_keys_one_after_the_other() {
    let bench = Bench::new().await;
    bench.add("a", json!({})).await;
    bench.add("a", json!({})).await;
    bench.idle().await;
    assert_eq!(bench.of("a"), ["one", "two", "three", "done", "one", "two", "three", "done"]);
}

/// A task that ends while the runner looks for work must not be started again from the row that it just read.
#[tokio::test]
async fn no_task_runs_twice_however_many_end_at_once() {
    let bench = Bench::new().await;
    for number in 0..200 {
        bench.add(&format!("key-{}", number % 8), json!({})).await;
    }
    bench.idle().await;
    for key in 0..8 {
        assert_eq!(bench.of(&format!("key-{key}")).len(), 25 * 4, "key-{key}");
    }
}

#[tokio::test]
async fn a_failed_step_is_undone_with_all_before_it() {
    let bench = Bench::new().await;
    bench.add("a", json!({"two": "fail"})).await;
    bench.idle().await;
    assert_eq!(bench.of("a"), ["one", "two", "undo two", "undo one", "two is bad"]);
}

#[tokio::test]
async fn a_retryable_failure_is_tried_again() {
    let bench = Bench::new().await;
    *bench.flaky.lock().unwrap() = 2;
    bench.add("a", json!({"two": "flaky"})).await;
    bench.idle().await;
    assert_eq!(bench.of("a"), ["one", "two", "two", "two", "three", "done"]);
}

#[tokio::test]
async fn a_hanging_step_can_be_cancelled_and_the_next_task_of_the_key_runs() {
    let bench = Bench::new().await;
    bench.add("a", json!({"two": "hang"})).await;
    while !bench.of("a").contains(&"two".to_owned()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let txn = bench.database.begin().await.unwrap();
    bench.queue.cancel(&txn, "a").await.unwrap();
    txn.commit().await.unwrap();
    bench.queue.nudge_cancel("a");
    bench.add("a", json!({})).await;
    bench.idle().await;
    assert_eq!(
        bench.of("a")[2..],
        ["undo two", "undo one", "the operation was cancelled", "one", "two", "three", "done"]
    );
}

#[tokio::test]
async fn chaos_runs_steps_twice_and_fails_where_told() {
    let bench = Bench::new().await;
    bench.queue.set_chaos(Chaos { twice: true, fail_after: Some("three".into()) });
    bench.add("a", json!({})).await;
    bench.idle().await;
    assert_eq!(bench.of("a").iter().filter(|line| *line == "undo one").count(), 2);
    assert_eq!(bench.of("a").last().unwrap(), "step three was made to fail");
}
