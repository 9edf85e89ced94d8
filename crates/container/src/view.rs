//! Wire shapes of containers, actions and hosts.

use chrono::{DateTime, Utc};
use sahab_contract::context::now;
use serde_json::{Map, Value, json};

use crate::{
    db::{
        action,
        container::{Model, Usage},
        host,
    },
    state::Status,
};

/// `2026-01-02 03:04:05.000000`, as containers show times.
pub fn spaced(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// `2026-01-02T03:04:05.000000`, as services and actions show them.
pub fn iso(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

pub fn links(base: &str, collection: &str, id: &str) -> Value {
    json!([
        {"href": format!("{base}/v1/{collection}/{id}"), "rel": "self"},
        {"href": format!("{base}/{collection}/{id}"), "rel": "bookmark"},
    ])
}

/// Which of the administrators' fields the caller may see.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visible {
    pub host: bool,
    pub runtime: bool,
    pub image_pull_policy: bool,
    pub privileged: bool,
}

/// `links` only on single objects. `progress` is what a pull last said.
pub fn container(row: &Model, base: Option<&str>, visible: Visible, progress: Option<&str>) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| {
        out.insert(key.to_owned(), value);
    };
    put("uuid", json!(row.uuid));
    if let Some(base) = base {
        put("links", links(base, "containers", &row.uuid));
    }
    put("name", json!(row.name));
    put("project_id", json!(row.project_id));
    put("user_id", json!(row.user_id));
    put("image", json!(row.image));
    put("command", json!(asked_or(&row.command.0, &row.resolved.command)));
    put("entrypoint", json!(asked_or(&row.entrypoint.0, &row.resolved.entrypoint)));
    put("status", json!(row.status.text()));
    put("status_reason", json!(row.status_reason));
    put("status_detail", json!(detail(row, progress)));
    put("task_state", json!(row.task_state.map(|state| state.text())));
    put("cpu", json!(row.cpu));
    put("cpu_policy", json!(row.cpu_policy));
    put("memory", json!(row.memory.to_string()));
    put("disk", json!(row.disk));
    put("environment", json!(row.environment.0));
    put("workdir", json!(row.workdir.as_ref().or(row.resolved.workdir.as_ref())));
    put("labels", json!(row.labels.0));
    put("hostname", json!(row.hostname.as_ref().or(row.resolved.hostname.as_ref())));
    put("addresses", addresses(row));
    put("ports", json!(row.resolved.ports));
    put("security_groups", json!(row.security_groups.0));
    put(
        "restart_policy",
        match &row.restart_policy {
            Some(policy) => {
                json!({"Name": policy.name, "MaximumRetryCount": policy.maximum_retry_count.to_string()})
            }
            None => json!({}),
        },
    );
    put("interactive", json!(row.interactive));
    put("tty", json!(row.tty));
    put("image_driver", json!(row.image_driver));
    put("auto_remove", json!(row.auto_remove));
    put("auto_heal", json!(row.auto_heal));
    put("healthcheck", healthcheck(row));
    put("registry_id", json!(row.registry_id));
    put("created_at", json!(spaced(row.created_at)));
    put("updated_at", json!(row.updated_at.map(spaced)));
    if visible.host {
        put("host", json!(row.host));
    }
    if visible.runtime {
        put("runtime", json!(row.runtime.as_ref().or(row.resolved.runtime.as_ref())));
    }
    if visible.image_pull_policy {
        put("image_pull_policy", json!(row.image_pull_policy));
    }
    if visible.privileged {
        put("privileged", json!(row.privileged));
    }
    Value::Object(out)
}

fn asked_or<'a>(asked: &'a [String], resolved: &'a [String]) -> &'a [String] {
    if asked.is_empty() { resolved } else { asked }
}

fn healthcheck(row: &Model) -> Value {
    let Some(check) = &row.healthcheck else { return json!({}) };
    let mut out = Map::new();
    out.insert("test".into(), json!(check.0.command));
    for (key, value) in [
        ("interval", check.0.interval_seconds),
        ("retries", check.0.retries.map(u64::from)),
        ("timeout", check.0.timeout_seconds),
    ] {
        if let Some(value) = value {
            out.insert(key.into(), json!(value));
        }
    }
    Value::Object(out)
}

/// `{network id: [one element per address]}`; networks whose port is not bound yet are left out.
pub fn addresses(row: &Model) -> Value {
    let mut out = Map::new();
    for net in row.nets.0.iter().filter(|net| !net.addresses.is_empty()) {
        let list = net.addresses.iter().map(|address| {
            json!({
                "addr": address.addr, "version": version(&address.addr), "port": net.port_id,
                "subnet_id": address.subnet_id, "preserve_on_delete": net.preserve,
            })
        });
        out.insert(net.network_id.clone(), list.collect());
    }
    Value::Object(out)
}

pub fn version(address: &str) -> u8 {
    if address.contains(':') { 6 } else { 4 }
}

/// Docker's words for how long it has been so.
fn detail(row: &Model, progress: Option<&str>) -> Option<String> {
    let age = |time: Option<DateTime<Utc>>| time.map(|time| age((now() - time).num_seconds())).unwrap_or_default();
    match row.status {
        Status::Creating | Status::Rebuilding => progress.map(str::to_owned),
        Status::Running => Some(format!("Up {}", age(row.started_at))),
        Status::Paused => Some(format!("Up {} (paused)", age(row.started_at))),
        Status::Stopped => {
            let code = row.exit_code.unwrap_or_default();
            Some(format!("Exited({code}) {} ago ", age(row.finished_at)))
        }
        Status::Restarting => Some("Restarting".into()),
        Status::Created => Some("Created".into()),
        Status::Dead => Some("Dead".into()),
        _ => None,
    }
}

/// The largest unit only.
fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        86_400.. => format!("{} days", seconds / 86_400),
        3_600.. => format!("{} hours", seconds / 3_600),
        60.. => format!("{} mins", seconds / 60),
        _ => format!("{seconds} seconds"),
    }
}

pub fn action(row: &action::Model, version: (u16, u16)) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("action".into(), json!(row.action));
    out.insert("container_uuid".into(), json!(row.container_uuid));
    out.insert("request_id".into(), json!(row.request_id));
    out.insert("user_id".into(), json!(row.user_id));
    out.insert("project_id".into(), json!(row.project_id));
    out.insert("start_time".into(), json!(iso(row.start_time)));
    if version >= (1, 33) {
        out.insert("finish_time".into(), json!(row.finish_time.map(iso)));
    }
    out.insert("message".into(), json!(row.message));
    out
}

pub fn event(row: &action::event::Model, traceback: bool) -> Value {
    json!({
        "event": row.event, "start_time": iso(row.start_time), "finish_time": row.finish_time.map(iso),
        "result": row.result, "traceback": row.traceback.as_ref().filter(|_| traceback),
    })
}

/// Used values are the claims, not what was measured.
pub fn host(row: &host::Model, used: Usage, base: &str, version: (u16, u16)) -> Value {
    let info = &row.info.0;
    let mut out = json!({
        "uuid": row.uuid, "links": links(base, "hosts", &row.uuid), "hostname": row.hostname,
        "mem_total": info.memory_total, "mem_used": used.memory, "cpus": info.cpus, "cpu_used": used.cpu,
        "total_containers": info.containers_total, "architecture": info.architecture, "os_type": info.os_type,
        "os": info.os, "kernel_version": info.kernel_version, "labels": info.labels, "disk_total": info.disk_total,
        "disk_used": used.disk, "disk_quota_supported": info.disk_quota_supported, "runtimes": info.runtimes,
    });
    if version >= (1, 29) {
        out["enable_cpu_pinning"] = json!(false);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_show_the_largest_unit() {
        assert_eq!(age(5), "5 seconds");
        assert_eq!(age(65), "1 mins");
        assert_eq!(age(7300), "2 hours");
        assert_eq!(age(90_000), "1 days");
    }

    #[test]
    fn members_do_not_see_administrators_fields() {
        let row = Model::blank("u".into());
        let shown = container(&row, Some("http://h"), Visible::default(), None);
        for key in ["host", "runtime", "image_pull_policy", "privileged"] {
            assert!(shown.get(key).is_none(), "{key}");
        }
        assert_eq!(shown["memory"], "0");
        assert_eq!(shown["links"][0]["href"], "http://h/v1/containers/u");
        let all = Visible { host: true, runtime: true, image_pull_policy: true, privileged: true };
        assert_eq!(container(&row, None, all, None)["host"], Value::Null);
    }
}
