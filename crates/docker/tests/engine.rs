//! The driver against a real Docker daemon of its own. One test function, because the daemon is what takes time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/dockerd.rs"]
mod dockerd;

use std::time::Duration;

use dockerd::Dockerd;
use sahab_contract::{
    Kind,
    container::{
        ContainerDriver, ContainerEvent, ContainerSpec, Healthcheck, InjectedFile, LogQuery, Observed, PullPolicy,
        Resources, RestartPolicy, RunState,
    },
};
use sahab_docker::{DockerDriver, Settings};
use tokio::sync::broadcast::Receiver;

fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn spec(command: &[&str]) -> ContainerSpec {
    ContainerSpec {
        id: id(),
        name: "test".into(),
        image: "busybox:latest".into(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        ..Default::default()
    }
}

fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(|word| (*word).to_owned()).collect()
}

async fn wait_for(events: &mut Receiver<ContainerEvent>, mut wanted: impl FnMut(&ContainerEvent) -> bool) {
    let found = async { while !wanted(&events.recv().await.unwrap()) {} };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("the event never came");
}

fn state_of<'a>(event: &'a ContainerEvent, wanted: &str) -> Option<Option<&'a Observed>> {
    match event {
        ContainerEvent::Changed { id, observed } if id == wanted => Some(observed.as_deref()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_driver_on_a_real_engine() {
    let mut daemon = Dockerd::start();
    let settings = Settings { socket: daemon.socket(), ..Settings::new("here", daemon.state_dir()) };
    let driver = DockerDriver::start(settings);
    let mut events = driver.subscribe();
    // Looked at, not waited for: the event may have come before anybody listened.
    let up = async {
        while driver.info().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await
        }
    };
    tokio::time::timeout(Duration::from_secs(60), up).await.expect("the engine never came up");

    host_facts(&driver).await;
    images(&driver).await;
    life_and_death(&driver, &mut events).await;
    limits_and_files(&daemon, &driver).await;
    processes(&driver).await;
    terminal_output(&driver).await;
    failures(&driver).await;
    policies(&driver, &mut events).await;
    two_clouds(&daemon, &driver).await;
    engine_restart(&mut daemon, &driver, &mut events).await;
    assert_eq!(driver.list().await.unwrap(), []);
}

/// Another cloud on the same engine: neither sees what the other has, so neither takes it for a leftover.
async fn two_clouds(daemon: &Dockerd, driver: &DockerDriver) {
    let settings = Settings { socket: daemon.socket(), ..Settings::new("there", daemon.dir.join("there")) };
    let neighbour = DockerDriver::start(settings);
    let (ours, theirs) = (spec(&["true"]), spec(&["true"]));
    driver.create(&ours).await.unwrap();
    neighbour.create(&theirs).await.unwrap();
    let listed =
        async |driver: &DockerDriver| driver.list().await.unwrap().into_iter().map(|seen| seen.id).collect::<Vec<_>>();
    assert_eq!((listed(driver).await, listed(&neighbour).await), (vec![ours.id.clone()], vec![theirs.id.clone()]));
    driver.delete(&ours.id, true).await.unwrap();
    neighbour.delete(&theirs.id, true).await.unwrap();
}

async fn host_facts(driver: &DockerDriver) {
    let info = driver.info().await.unwrap();
    assert!(info.cpus > 0 && info.memory_total > 0 && info.disk_total > 0);
    assert!(info.runtimes.contains(&"runc".to_owned()));
    assert_eq!(info.os_type, "linux");
}

async fn images(driver: &DockerDriver) {
    let silent = |_: String| {};
    let found = driver.image_pull("busybox", PullPolicy::IfNotPresent, None, &silent).await.unwrap();
    assert_eq!((found.repo.as_str(), found.tag.as_str()), ("busybox", "latest"));
    assert!(found.size > 0);
    assert!(driver.image_list().await.unwrap().contains(&found));
    let absent = driver.image_pull("absent:1", PullPolicy::Never, None, &silent).await.unwrap_err();
    assert_eq!(absent.message(), "Image absent not present with pull policy of Never");
    // Nobody listens there: the engine's text must reach the caller.
    let refused = driver.image_pull("127.0.0.1:9/x:1", PullPolicy::Always, None, &silent).await.unwrap_err();
    assert!(refused.message().contains("refused"), "{refused:?}");
    let traversal = driver.image_remove("../containers/x").await.unwrap_err();
    assert_eq!(traversal.kind(), Kind::Invalid);
    driver.image_remove("absent:1").await.unwrap();
}

async fn life_and_death(driver: &DockerDriver, events: &mut Receiver<ContainerEvent>) {
    let spec = spec(&["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"]);
    let id = spec.id.as_str();
    let created = driver.create(&spec).await.unwrap();
    assert_eq!((created.state, created.exit_code, created.id.as_str()), (RunState::Created, None, id));
    assert_eq!(driver.create(&spec).await.unwrap().runtime_id, created.runtime_id, "creating twice makes one");
    assert_eq!(driver.stop(id, None).await.unwrap().state, RunState::Created, "never started counts as stopped");
    assert_eq!(driver.kill(id, None).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(driver.pause(id).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(driver.unpause(id).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(driver.top(id, None).await.unwrap_err().kind(), Kind::Conflict);

    let running = driver.start(id).await.unwrap();
    assert_eq!((running.state, running.exit_code), (RunState::Running, None));
    assert!(running.started_at.is_some());
    wait_for(events, |event| {
        state_of(event, id).is_some_and(|seen| seen.is_some_and(|seen| seen.state == RunState::Running))
    })
    .await;
    assert_eq!(driver.start(id).await.unwrap().state, RunState::Running);
    assert_eq!(driver.pause(id).await.unwrap().state, RunState::Paused);
    assert_eq!(driver.pause(id).await.unwrap().state, RunState::Paused);
    assert_eq!(driver.start(id).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(driver.unpause(id).await.unwrap().state, RunState::Running);
    assert_eq!(driver.unpause(id).await.unwrap().state, RunState::Running);
    assert_eq!(driver.kill(id, Some("SIGNONE")).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(driver.kill(id, Some("SIGHUP")).await.unwrap().id, id);
    assert_eq!(driver.restart(id, Some(5)).await.unwrap().state, RunState::Running);
    assert_eq!(driver.delete(id, false).await.unwrap_err().kind(), Kind::Conflict);
    let stopped = driver.stop(id, Some(5)).await.unwrap();
    assert_eq!((stopped.state, stopped.exit_code), (RunState::Exited, Some(0)));
    assert_eq!(driver.stop(id, None).await.unwrap().state, RunState::Exited);
    assert_eq!(driver.list().await.unwrap().len(), 1);
    driver.delete(id, false).await.unwrap();
    wait_for(events, |event| state_of(event, id) == Some(None)).await;
    driver.delete(id, false).await.unwrap();
    assert!(driver.inspect(id).await.unwrap_err().is_not_found());
    assert!(driver.start(id).await.unwrap_err().is_not_found());
}

async fn limits_and_files(daemon: &Dockerd, driver: &DockerDriver) {
    let mut spec = spec(&["sleep", "1000"]);
    spec.cpu = Some(0.5);
    spec.memory = Some(64);
    spec.hostname = Some("box".into());
    spec.workdir = Some("/tmp".into());
    spec.environment = [("GREETING".to_owned(), "a=b c".to_owned())].into();
    spec.exposed_ports = vec!["80/tcp".into()];
    spec.files = vec![InjectedFile { destination: "/etc/app/odd:name".into(), content: b"secret".to_vec() }];
    let id = spec.id.as_str();
    let created = driver.create(&spec).await.unwrap();
    assert_eq!((created.hostname.as_deref(), created.workdir.as_deref()), (Some("box"), Some("/tmp")));
    assert_eq!(
        (created.ports.as_slice(), created.command.as_slice()),
        ([80].as_slice(), &words(&["sleep", "1000"])[..])
    );
    driver.start(id).await.unwrap();
    let said = async |script: &str| {
        let done = driver.execute(id, &words(&["sh", "-c", script]), Duration::from_secs(30), 1 << 16).await.unwrap();
        String::from_utf8(done.output).unwrap()
    };
    assert_eq!(said("cat /etc/app/odd:name; echo \" $GREETING\"; pwd; hostname").await, "secret a=b c\n/tmp\nbox\n");
    let container = format!("zun-{id}");
    let limits = |daemon: &Dockerd| {
        daemon.run(&[
            "inspect",
            "-f",
            "{{.HostConfig.NanoCpus}} {{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}",
            &container,
        ])
    };
    assert_eq!(limits(daemon), "500000000 67108864 67108864");
    driver.update(id, &Resources { cpu: Some(1.0), memory: Some(128) }).await.unwrap();
    assert_eq!(limits(daemon), "1000000000 134217728 134217728");
    let stats = driver.stats(id).await.unwrap();
    assert!(stats.memory_limit == 128 << 20 && stats.memory_usage > 0, "{stats:?}");

    let archive = driver.get_archive(id, "/etc/app", 1 << 20).await.unwrap();
    assert_eq!(archive.stat["name"], "app");
    driver.put_archive(id, "/tmp", archive.tar.clone()).await.unwrap();
    assert_eq!(said("ls /tmp/app").await, "odd:name\n");
    assert_eq!(driver.get_archive(id, "/etc/app", 100).await.unwrap_err().kind(), Kind::TooLarge);
    assert_eq!(driver.get_archive(id, "/absent", 100).await.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(driver.put_archive(id, "/absent", archive.tar).await.unwrap_err().kind(), Kind::Invalid);
    let files = daemon.state_dir().join("files").join(id);
    assert!(files.exists());
    driver.delete(id, true).await.unwrap();
    assert!(!files.exists());
    assert!(driver.get_archive(id, "/etc", 100).await.unwrap_err().is_not_found());
}

async fn processes(driver: &DockerDriver) {
    let spec = spec(&["sh", "-c", "echo one; echo two >&2; exec sleep 1000"]);
    let id = spec.id.as_str();
    driver.create(&spec).await.unwrap();
    let everything = LogQuery { stdout: true, stderr: true, ..Default::default() };
    assert_eq!(driver.logs(id, &everything, 100).await.unwrap(), b"");
    driver.start(id).await.unwrap();
    let limit = Duration::from_secs(30);
    let done = driver.execute(id, &words(&["sh", "-c", "echo out; echo err >&2; exit 3"]), limit, 100).await.unwrap();
    assert_eq!((done.exit_code, done.output.len()), (3, 8));
    let missing = driver.execute(id, &words(&["no-such-command"]), limit, 1000).await.unwrap();
    assert!(missing.exit_code != 0 && !missing.output.is_empty());
    let cut = driver.execute(id, &words(&["sh", "-c", "yes | head -c 100000"]), limit, 10).await.unwrap();
    assert_eq!(cut.output.len(), 10);
    let late = driver.execute(id, &words(&["sleep", "60"]), Duration::from_millis(300), 10).await.unwrap_err();
    assert_eq!((late.kind(), late.message()), (Kind::Conflict, "Timeout on executing command"));
    let mut log = Vec::new();
    for _ in 0..100 {
        log = driver.logs(id, &everything, 100).await.unwrap();
        if log.len() == 8 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let lines: std::collections::BTreeSet<&str> = std::str::from_utf8(&log).unwrap().lines().collect();
    assert_eq!(lines, ["one", "two"].into());
    let errors = LogQuery { stderr: true, ..Default::default() };
    assert_eq!(driver.logs(id, &errors, 100).await.unwrap(), b"two\n");
    assert_eq!(driver.logs(id, &LogQuery::default(), 100).await.unwrap_err().kind(), Kind::Invalid);
    let last = LogQuery { tail: Some(1), timestamps: true, ..everything };
    let last = String::from_utf8(driver.logs(id, &last, 100).await.unwrap()).unwrap();
    assert!(last.lines().count() == 1 && last.contains("Z "), "{last}");
    let top = driver.top(id, None).await.unwrap();
    assert!(top.titles.contains(&"PID".to_owned()) && !top.processes.is_empty());
    driver.delete(id, true).await.unwrap();
}

/// Output of a terminal is not framed; bytes that look like a frame's header must not be taken for one.
async fn terminal_output(driver: &DockerDriver) {
    let mut spec = spec(&["sh", "-c", "printf '\\001\\000\\000\\000\\177\\177\\177\\177end'"]);
    spec.tty = true;
    spec.interactive = true;
    let id = spec.id.as_str();
    driver.create(&spec).await.unwrap();
    driver.start(id).await.unwrap();
    let query = LogQuery { stdout: true, stderr: true, ..Default::default() };
    let mut log = Vec::new();
    for _ in 0..100 {
        log = driver.logs(id, &query, 100).await.unwrap();
        if log.ends_with(b"end") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(log.len(), 11, "{log:?}");
    driver.delete(id, true).await.unwrap();
}

async fn failures(driver: &DockerDriver) {
    let mut absent = spec(&[]);
    absent.image = "absent:1".into();
    assert!(driver.create(&absent).await.unwrap_err().is_not_found());
    let mut tiny = spec(&[]);
    tiny.memory = Some(1);
    assert_eq!(driver.create(&tiny).await.unwrap_err().kind(), Kind::Invalid);
    let mut quota = spec(&[]);
    quota.disk = Some(1);
    if !driver.info().await.unwrap().disk_quota_supported {
        let refused = driver.create(&quota).await.unwrap_err();
        assert_eq!(refused.message(), "Your host does not support disk quota feature.");
    }
    let broken = spec(&["/no/such/command"]);
    driver.create(&broken).await.unwrap();
    let refused = driver.start(&broken.id).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid);
    let seen = driver.inspect(&broken.id).await.unwrap();
    assert_eq!((seen.state, seen.exit_code), (RunState::Created, Some(127)));
    assert!(seen.error.unwrap().contains("/no/such/command"));
    driver.delete(&broken.id, false).await.unwrap();
    assert!(driver.kill(&id(), None).await.unwrap_err().is_not_found());
}

async fn policies(driver: &DockerDriver, events: &mut Receiver<ContainerEvent>) {
    let mut again = spec(&["sh", "-c", "exit 1"]);
    again.restart_policy = Some(RestartPolicy { name: "on-failure".into(), maximum_retry_count: 1 });
    driver.create(&again).await.unwrap();
    driver.start(&again.id).await.unwrap();
    wait_for(events, |event| {
        state_of(event, &again.id)
            .flatten()
            .is_some_and(|seen| seen.restart_count == 1 && seen.state == RunState::Exited && seen.exit_code == Some(1))
    })
    .await;
    driver.delete(&again.id, true).await.unwrap();

    let mut fleeting = spec(&["true"]);
    fleeting.auto_remove = true;
    driver.create(&fleeting).await.unwrap();
    driver.start(&fleeting.id).await.unwrap();
    wait_for(events, |event| state_of(event, &fleeting.id) == Some(None)).await;
    driver.delete(&fleeting.id, true).await.unwrap();

    let mut healthy = spec(&["sleep", "1000"]);
    healthy.healthcheck = Some(Healthcheck {
        command: "true".into(),
        interval_seconds: Some(1),
        timeout_seconds: Some(5),
        retries: Some(1),
    });
    driver.create(&healthy).await.unwrap();
    driver.start(&healthy.id).await.unwrap();
    wait_for(events, |event| {
        state_of(event, &healthy.id).flatten().is_some_and(|seen| seen.health.as_deref() == Some("healthy"))
    })
    .await;
    driver.delete(&healthy.id, true).await.unwrap();
}

async fn engine_restart(daemon: &mut Dockerd, driver: &DockerDriver, events: &mut Receiver<ContainerEvent>) {
    let spec = spec(&["sleep", "1000"]);
    driver.create(&spec).await.unwrap();
    daemon.end("TERM");
    wait_for(events, |event| *event == ContainerEvent::EngineDown).await;
    assert_eq!(driver.inspect(&spec.id).await.unwrap_err().kind(), Kind::Unavailable);
    daemon.launch();
    wait_for(events, |event| *event == ContainerEvent::EngineUp).await;
    driver.start(&spec.id).await.unwrap();
    wait_for(events, |event| state_of(event, &spec.id).flatten().is_some_and(|seen| seen.state == RunState::Running))
        .await;
    driver.delete(&spec.id, true).await.unwrap();
}
