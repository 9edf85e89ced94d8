//! The program killed again and again in the middle of its work: every life is a runtime of its own that is torn down
//! with whatever was under way. In the end everything is in a final state, agrees with the host, and can be removed.

use std::{path::Path, sync::Arc, time::Duration};

use http::Method;
use sahab_contract::container::ContainerDriver;
use sahab_db::Database;
use sahab_docker::FakeDriver;
use sahab_task::Queue;
use serde_json::{Value, json};

use super::{bench::Bench, garbage::Dice, network::FakeNetwork};
use crate::{Quotas, Settings};

const LIVES: usize = 25;

fn settings() -> Settings {
    Settings {
        quotas: Quotas { containers: -1, memory: -1, cpu: -1, disk: -1 },
        sync_interval: Duration::from_millis(200),
        ..Settings::default()
    }
}

/// Also says how many tasks the life before left.
async fn born(file: &Path, network: &FakeNetwork, host: &Arc<FakeDriver>) -> (Bench, u64) {
    let database = Database::open(file).await.unwrap();
    database.migrate(&[sahab_task::migrations(), crate::migrations()]).await.unwrap();
    let left = Queue::new(database.clone(), sahab_task::Settings::default()).pending().await.unwrap();
    (Bench::start(settings(), database, network.clone(), host.clone()).await, left)
}

async fn list(bench: &Bench) -> Vec<Value> {
    let path = "/v1/containers?all_projects=1";
    let body = bench.ask("admin", "1.40", Method::GET, path, Value::Null).await.expect(200);
    body["containers"].as_array().unwrap().clone()
}

/// Something a user may do. Refusals (409 and the like) are part of the game; faults are not.
async fn act(bench: &Bench, dice: &mut Dice) {
    let all = list(bench).await;
    let answer = if all.is_empty() || dice.roll(3) == 0 {
        let body = match dice.roll(2) {
            0 => json!({"image": "nginx", "memory": 64, "cpu": 0.1}),
            _ => json!({"image": "nginx", "memory": 64, "cpu": 0.1, "exposed_ports": {"80": {}}}),
        };
        bench.post(dice.pick::<&str>(&["/v1/containers?run=true", "/v1/containers"]), body).await
    } else {
        let uuid = dice.pick(&all)["uuid"].as_str().unwrap().to_owned();
        let actions = [
            "start",
            "stop",
            "reboot",
            "rebuild",
            "pause",
            "unpause",
            "kill",
            "network_attach?network=ext-net",
            "network_detach?network=ext-net",
            "delete",
            "delete",
        ];
        match *dice.pick(&actions) {
            "delete" => bench.delete(&format!("/v1/containers/{uuid}?stop=true")).await,
            action => bench.post(&format!("/v1/containers/{uuid}/{action}"), Value::Null).await,
        }
    };
    assert!(answer.status < 500, "{}", answer.body);
}

fn play(seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kills.db");
    let (network, host) = (FakeNetwork::default(), Arc::new(FakeDriver::new()));
    network.add_network("private", "p1", false, false);
    network.add_network("ext-net", "admin-project", true, true);
    let (mut dice, mut interrupted) = (Dice(seed), 0);
    for _ in 0..LIVES {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let (bench, left) = born(&file, &network, &host).await;
            interrupted += left;
            for _ in 0..dice.roll(5) {
                act(&bench, &mut dice).await;
            }
            tokio::time::sleep(Duration::from_millis(dice.roll(12) as u64)).await;
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (bench, left) = born(&file, &network, &host).await;
        assert!(interrupted + left > 5, "seed {seed}: hardly anything was under way when the program was killed");
        bench.idle().await;
        // A few turns of the safety net.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let rows = list(&bench).await;
        let found = host.list().await.unwrap();
        for row in &rows {
            let (uuid, status) = (row["uuid"].as_str().unwrap(), row["status"].as_str().unwrap());
            assert_eq!(row["task_state"], Value::Null, "seed {seed}: {row}");
            assert!(["Created", "Running", "Stopped", "Paused"].contains(&status), "seed {seed}: {row}");
            let seen = found.iter().find(|seen| seen.id == uuid);
            let state = format!("{:?}", seen.unwrap_or_else(|| panic!("seed {seed}: the host has no {row}")).state);
            assert_eq!(state.replace("Exited", "Stopped"), status, "seed {seed}: {row}");
            let ports = network.store().ports.iter().filter(|port| port["device_id"] == uuid).count();
            assert_eq!(ports, row["addresses"].as_object().unwrap().len(), "seed {seed}: ports of {row}");
        }
        assert_eq!(found.len(), rows.len(), "seed {seed}: the host has more than the database");
        for row in &rows {
            let path = format!("/v1/containers/{}?stop=true", row["uuid"].as_str().unwrap());
            bench.delete(&path).await.expect(204);
        }
        bench.idle().await;
        assert!(list(&bench).await.is_empty() && host.list().await.unwrap().is_empty());
        bench.assert_clean();
        assert!(network.store().ports.is_empty());
    });
}

#[test]
fn killed_at_random_moments() {
    for seed in [1, 2, 3] {
        play(seed);
    }
}
