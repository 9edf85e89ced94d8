use serde_json::json;

use super::*;

const LATEST: (u16, u16) = (1, 40);

fn read(body: Value, version: (u16, u16)) -> Result<Create> {
    let defaults = Defaults { cpu: 1.0, memory: 512, limits: Limits::default() };
    parse(&Arguments(body.as_object().unwrap().clone()), version, &defaults)
}
fn refused(body: Value, version: (u16, u16), text: &str) {
    let error = read(body.clone(), version).expect_err(&body.to_string());
    assert!(error.message().contains(text), "{body}: {}", error.message());
}

#[test]
fn what_the_command_line_sends() {
    let body = json!({"name": "web", "image": "nginx", "memory": "256", "cpu": "0.5", "environment": {}, "labels": {},
        "auto_remove": false, "command": ["echo hi"], "entrypoint": ["/bin/sh", "-c"], "exposed_ports": {"80": {}},
        "restart_policy": {"Name": "on-failure", "MaximumRetryCount": "3"}, "interactive": true, "tty": true,
        "hints": {}, "nets": [{"network": "demo", "v4-fixed-ip": "10.0.0.5"}], "mounts": [],
        "healthcheck": {"cmd": "ls", "interval": 60, "retries": 3, "timeout": 5}});
    let parsed = read(body, LATEST).unwrap();
    assert_eq!((parsed.row.cpu, parsed.row.memory, parsed.row.disk), (0.5, 256, 0));
    assert_eq!(parsed.row.exposed_ports.0, ["80/tcp"]);
    assert_eq!(parsed.row.restart_policy.unwrap().maximum_retry_count, 3);
    assert!(parsed.row.tty);
    let net = NetRequest::Network { ident: "demo".into(), fixed_ips: vec!["10.0.0.5".into()] };
    assert_eq!(parsed.nets, [net]);
    assert_eq!(parsed.row.healthcheck.unwrap().0.interval_seconds, Some(60));
}

#[test]
fn the_oldest_shape() {
    let parsed = read(json!({"image": "cirros", "command": "\"ping\" \"8.8.8.8\""}), (1, 1)).unwrap();
    assert_eq!(parsed.row.command.0, ["ping", "8.8.8.8"]);
    assert!(parsed.row.name.ends_with("-container"));
    assert_eq!((parsed.row.cpu, parsed.row.memory), (1.0, 512));
    refused(json!({"image": "cirros", "command": ["ping"]}), (1, 19), "not of type 'string'");
    refused(json!({"image": "cirros", "command": "ping"}), (1, 20), "not of type 'array'");
}

#[test]
fn every_field_has_its_version() {
    for (field, value, since) in [
        ("auto_remove", json!(true), (1, 3)),
        ("runtime", json!("runc"), (1, 5)),
        ("hostname", json!("web"), (1, 9)),
        ("mounts", json!([{"type": "bind", "source": "YQ==", "destination": "/a"}]), (1, 11)),
        ("privileged", json!(false), (1, 21)),
        ("healthcheck", json!({"cmd": "ls"}), (1, 22)),
        ("exposed_ports", json!({"80": {}}), (1, 24)),
        ("registry", json!("reg"), (1, 31)),
        ("host", json!("node"), (1, 39)),
        ("entrypoint", json!(["sh"]), (1, 40)),
    ] {
        let body = json!({"image": "nginx", field: value});
        let before = (since.0, since.1 - 1);
        let error = read(body.clone(), before).unwrap_err();
        assert_eq!(error.code(), "invalid-param-in-version", "{field}");
        assert!(error.message().contains(&format!("{}.{}", since.0, since.1)), "{}", error.message());
        assert!(read(body, since).is_ok(), "{field}");
    }
}

#[test]
fn tty_follows_the_version() {
    let body = json!({"image": "nginx", "interactive": true});
    assert!(!read(body.clone(), (1, 19)).unwrap().row.tty);
    assert!(read(body.clone(), (1, 20)).unwrap().row.tty);
    assert!(read(body.clone(), (1, 35)).unwrap().row.tty);
    assert!(!read(body, (1, 36)).unwrap().row.tty);
}

#[test]
fn null_is_absent_where_clients_send_it() {
    let body = json!({"image": "nginx", "memory": null, "cpu": null, "disk": null, "nets": null, "name": null,
        "environment": null, "labels": null, "command": null, "healthcheck": null, "image_driver": null});
    assert!(read(body, LATEST).is_ok());
    refused(json!({"image": "nginx", "hostname": null}), LATEST, "hostname");
}

#[test]
fn bad_values_are_refused_with_their_name() {
    for (field, value, text) in [
        ("image", json!("x"), "image"),
        ("unknown", json!(1), "'unknown' was unexpected"),
        ("memory", json!("128m"), "'128m'"),
        ("memory", json!(3), "between 4 and 8192"),
        ("cpu", json!(0.01), "between 0.1 and 16"),
        ("disk", json!(0), "between 1 and 160"),
        ("environment", json!({"A": 1}), "environment"),
        ("environment", json!({"A=B": "1"}), "environment"),
        ("labels", json!({"sahab.container": "x"}), "the cloud's own"),
        ("auto_remove", json!("true"), "auto_remove"),
        ("interactive", json!("yes"), "interactive"),
        ("restart_policy", json!({"Name": "sometimes"}), "not one of"),
        ("restart_policy", json!({}), "'Name' is a required property"),
        ("restart_policy", json!({"Name": "always", "MaximumRetryCount": 1}), "maximum retry count"),
        ("image_pull_policy", json!("maybe"), "image_pull_policy"),
        ("image_driver", json!(""), "image_driver"),
        ("exposed_ports", json!({"80/sctp": {}}), "80/sctp"),
        ("healthcheck", json!({"interval": 1}), "'cmd'"),
        ("hints", json!({"query": "x"}), "Unknown scheduler hint"),
        ("hostname", json!("a b"), "hostname"),
        ("hostname", json!("a\nb"), "hostname"),
        ("nets", json!([{"network": "a", "port": "b"}]), "Exactly one"),
        ("nets", json!([{"network": "a", "preserve_on_delete": true}]), "preserve_on_delete"),
        ("nets", json!([{"network": "a", "v4-fixed-ip": "::1"}]), "ipv4"),
        ("mounts", json!([{"type": "tmpfs", "destination": "/a"}]), "type"),
        ("mounts", json!([{"type": "bind", "source": "***", "destination": "/a"}]), "base64"),
        ("mounts", json!([{"type": "bind", "source": "YQ==", "destination": "a/b"}]), "absolute"),
        ("mounts", json!([{"type": "bind", "source": "YQ==", "destination": "/a/../b"}]), "absolute"),
    ] {
        let mut body = json!({"image": "nginx"});
        body[field] = value;
        refused(body, LATEST, text);
    }
    refused(json!({"name": "a"}), LATEST, "'image' is a required property");
    let huge = json!({"image": "nginx", "environment": {"A": "x".repeat(200_000)}});
    refused(huge, LATEST, "more than 131072");
    let both = json!({"image": "nginx", "exposed_ports": {"80": {}}, "security_groups": ["a"]});
    refused(both, LATEST, "Cannot specify both");
}

#[test]
fn later_releases_features_are_refused_by_name() {
    for (field, value) in [
        ("mounts", json!([{"source": "vol", "destination": "/a"}])),
        ("mounts", json!([{"source": "", "size": "1", "destination": "/a", "type": "volume"}])),
        ("image_driver", json!("glance")),
        ("cpu_policy", json!("dedicated")),
    ] {
        let mut body = json!({"image": "nginx"});
        body[field] = value;
        refused(body, LATEST, "not available in this release");
    }
}

#[test]
fn a_file_is_injected() {
    let mount = json!({"type": "bind", "source": "UmFuZG9tIHRleHQ=", "destination": "/data/f"});
    let parsed = read(json!({"image": "nginx", "mounts": [mount]}), (1, 25)).unwrap();
    assert_eq!(parsed.files[0].content, b"Random text");
}
