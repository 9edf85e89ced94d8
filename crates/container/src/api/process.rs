//! Looks into a container.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::NaiveDateTime;
use sahab_api::{Request, Response};
use sahab_contract::Result;
use serde_json::{Value, json};

use crate::{
    ContainerService,
    container::Logs,
    request::{Arguments, fields},
    state::Action,
    texts,
};

pub async fn logs(service: ContainerService, request: Request) -> Result<Response> {
    let arguments = Arguments::query(&request);
    arguments.only(&["stdout", "stderr", "timestamps", "tail", "since"])?;
    let query = Logs {
        stdout: arguments.flag("stdout", true)?,
        stderr: arguments.flag("stderr", true)?,
        timestamps: arguments.flag("timestamps", false)?,
        // What is not a number means all, as upstream.
        tail: arguments.text("tail")?.and_then(|tail| tail.parse().ok()),
        since: arguments.text("since")?.filter(|since| !since.is_empty()).map(since).transpose()?,
    };
    if !query.stdout && !query.stderr {
        return Err(texts::invalid_value("At least one of stdout and stderr must be asked for."));
    }
    let log = service.logs(&request.context, request.param("id"), &query).await?;
    Ok(Response::ok(Value::String(String::from_utf8_lossy(&log).into_owned())))
}

/// Seconds since the epoch, or `YYYY-MM-DD HH:MM:SS[,mmm]`.
fn since(text: &str) -> Result<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Ok(seconds);
    }
    let time = NaiveDateTime::parse_from_str(&text.replace(',', "."), "%Y-%m-%d %H:%M:%S%.f");
    time.map(|time| time.and_utc().timestamp()).map_err(|_| {
        texts::invalid_value(format!(
            "Invalid time '{}' for since: use seconds since the epoch or YYYY-MM-DD HH:MM:SS,mmm",
            text.escape_debug()
        ))
    })
}

pub async fn execute(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["command", "run", "interactive"])?;
    let command = arguments.required("command")?;
    let run = arguments.strict("run")?.unwrap_or(true);
    let interactive = arguments.strict("interactive")?.unwrap_or(false);
    if !run || interactive {
        return Err(texts::unsupported("An interactive session (execute with run=false or interactive=true)"));
    }
    let done = service.execute(&request.context, request.param("id"), command).await?;
    Ok(Response::ok(json!({
        "output": String::from_utf8_lossy(&done.output), "exit_code": done.exit_code, "exec_id": null, "proxy_url": null,
    })))
}

/// Rights and state first: who may not do it need not know what a release lacks.
async fn later(service: ContainerService, request: Request, action: Action, what: &str) -> Result<Response> {
    let row = service.find_for(service.database.read(), &request.context, request.param("id"), action).await?;
    action.check(&row.uuid, row.status)?;
    Err(texts::unsupported(what))
}

pub async fn execute_resize(service: ContainerService, request: Request) -> Result<Response> {
    later(service, request, Action::ExecuteResize, "An interactive session").await
}

pub async fn attach(service: ContainerService, request: Request) -> Result<Response> {
    later(service, request, Action::Attach, "Attaching to a container").await
}

pub async fn commit(service: ContainerService, request: Request) -> Result<Response> {
    later(service, request, Action::Commit, "Committing a container to an image").await
}

pub async fn resize(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["w", "h"])?;
    let side = |key: &str| -> Result<u16> {
        let value = arguments.integer(key, 1, i64::from(u16::MAX))?.ok_or_else(|| texts::missing(key))?;
        Ok(u16::try_from(value).unwrap_or(u16::MAX))
    };
    service.resize_terminal(&request.context, request.param("id"), side("w")?, side("h")?).await?;
    Ok(Response::ok(Value::Null))
}

pub async fn top(service: ContainerService, request: Request) -> Result<Response> {
    let arguments = Arguments::query(&request);
    arguments.only(&["ps_args"])?;
    let ps_args = arguments.text("ps_args")?.filter(|text| !text.is_empty());
    let top = service.top(&request.context, request.param("id"), ps_args).await?;
    Ok(Response::ok(json!({"Titles": top.titles, "Processes": top.processes})))
}

pub async fn stats(service: ContainerService, request: Request) -> Result<Response> {
    let (name, stats) = service.stats(&request.context, request.param("id")).await?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let share = if stats.memory_limit == 0 { 0.0 } else { stats.memory_usage as f64 / stats.memory_limit as f64 };
    Ok(Response::ok(json!({
        "CONTAINER": name,
        "CPU %": stats.cpu_percent,
        "MEM USAGE(MiB)": mib(stats.memory_usage),
        "MEM LIMIT(MiB)": mib(stats.memory_limit),
        "MEM %": share * 100.0,
        "BLOCK I/O(B)": format!("{}/{}", stats.block_read, stats.block_write),
        "NET I/O(B)": format!("{}/{}", stats.net_rx, stats.net_tx),
    })))
}

pub async fn get_archive(service: ContainerService, request: Request) -> Result<Response> {
    let arguments = Arguments::query(&request);
    arguments.only(&["path", "encode_data"])?;
    let archive = service.get_archive(&request.context, request.param("id"), arguments.required("path")?).await?;
    let data = if request.version() >= (1, 25) {
        STANDARD.encode(&archive.tar)
    } else {
        // Raw text: what is not UTF-8 cannot travel in it, which is why 1.25 came.
        String::from_utf8_lossy(&archive.tar).into_owned()
    };
    Ok(Response::ok(json!({"data": data, "stat": archive.stat})))
}

pub async fn put_archive(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["path", "data", "decode_data"])?;
    let path = arguments.required("path")?;
    let data = arguments.required("data")?;
    let tar = if request.version() >= (1, 25) { fields::base64("data", data)? } else { data.as_bytes().to_vec() };
    if tar.len() > service.settings.max_archive {
        return Err(texts::invalid_value(format!(
            "The archive is larger than {} bytes.",
            service.settings.max_archive
        )));
    }
    service.put_archive(&request.context, request.param("id"), path, tar).await?;
    Ok(Response::ok(Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_two_shapes() {
        assert_eq!(since("1700000000").unwrap(), 1_700_000_000);
        assert_eq!(since("1970-01-01 00:01:00,000").unwrap(), 60);
        assert!(since("yesterday").is_err());
    }
}
