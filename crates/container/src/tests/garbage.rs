//! Nonsense at every endpoint: always an answer, never a fault of ours.

use http::Method;
use serde_json::{Value, json};

use super::bench::Bench;

/// A small generator of its own: the same requests every time, and the seed names a failure.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
    fn value(&mut self, depth: usize) -> Value {
        match self.roll(if depth == 0 { 10 } else { 12 }) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(1.5e308),
            4 => json!(u64::MAX),
            5 => json!(""),
            6 => json!("None"),
            7 => json!("a\u{0}\n$(reboot)'\";--"),
            8 => json!("\u{202e}é".repeat(300)),
            9 => json!("512"),
            10 => Value::Array((0..self.roll(4)).map(|_| self.value(depth - 1)).collect()),
            _ => {
                let keys = ["Name", "network", "port", "type", "source", "destination", "cmd", "80/tcp", "x"];
                Value::Object(
                    (0..self.roll(4)).map(|_| ((*self.pick(&keys)).to_owned(), self.value(depth - 1))).collect(),
                )
            }
        }
    }
}

#[tokio::test]
async fn nonsense_gets_a_4xx() {
    let bench = Bench::new().await;
    bench.running(json!({"name": "web"})).await;
    let fields = [
        "image",
        "name",
        "command",
        "entrypoint",
        "cpu",
        "memory",
        "disk",
        "environment",
        "labels",
        "nets",
        "mounts",
        "restart_policy",
        "healthcheck",
        "hints",
        "exposed_ports",
        "security_groups",
        "registry",
        "runtime",
        "host",
        "signal",
        "timeout",
        "path",
        "data",
        "w",
        "h",
        "binary",
        "forced_down",
        "repo",
        "tag",
        "limit",
        "marker",
        "sort_key",
        "sort_dir",
        "since",
        "tail",
        "network",
        "port",
        "fixed_ip",
        "all_projects",
        "usages",
        "status",
        "hostname",
        "tty",
        "interactive",
        "auto_remove",
        "privileged",
        "availability_zone",
        "workdir",
        "fixed_ips",
    ];
    let idents = ["web", "%00", "..", "%FF", "a%2Fb", "00000000-0000-0000-0000-000000000000", "%27%20OR%201=1", "%0a"];
    let endpoints = bench.dispatcher.endpoints();
    for seed in 0..1500_u64 {
        let mut dice = Dice(seed);
        let (service, method, pattern, _) = dice.pick(&endpoints).clone();
        if service != "container" {
            continue;
        }
        let mut path = pattern.to_owned();
        for hole in ["{id}", "{project}", "{class}", "{request}", "{*name}"] {
            path = path.replace(hole, dice.pick::<&str>(&idents));
        }
        let mut body = serde_json::Map::new();
        for _ in 0..dice.roll(4) {
            body.insert((*dice.pick(&fields)).to_owned(), dice.value(3));
        }
        if dice.roll(2) == 0 {
            body.insert("image".into(), json!("nginx"));
        }
        if dice.roll(3) == 0 {
            let key = *dice.pick(&fields);
            let value = match dice.value(0) {
                Value::String(text) => sahab_contract::cloud::escape(&text),
                other => other.to_string(),
            };
            path = format!("{path}?{key}={value}");
        }
        let version = *dice.pick(&["1.1", "1.14", "1.25", "1.40", "latest"]);
        let token = *dice.pick(&["member", "admin", "reader"]);
        let body = if method == Method::GET { Value::Null } else { Value::Object(body) };
        let answer = bench.ask(token, version, method.clone(), &path, body.clone()).await;
        assert!(answer.status < 500, "seed {seed}: {method} {path} {body}: {}", answer.body);
        if answer.status >= 400 {
            assert!(answer.body["errors"][0]["title"].as_str().is_some_and(|text| !text.is_empty()), "{}", answer.body);
        }
    }
    bench.idle().await;
    bench.ask("admin", "1.40", Method::GET, "/v1/containers?all_projects=1", Value::Null).await.expect(200);
}
