//! What runs in a container and what it says: logs, commands, process list.

use std::time::Duration;

use bollard::{exec::CreateExecOptions, query_parameters::TopOptionsBuilder};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use sahab_contract::{
    Error, Result,
    container::{Exec, LogQuery, RunState, Top},
};
use serde_json::json;

use crate::{
    engine::{Engine, container_name},
    error::{CODE, Mapped, from_engine, status_of, unanswered},
    raw::escape,
};

/// How long the exit code may lag behind the end of the output.
const EXIT_CODE_LIMIT: Duration = Duration::from_secs(2);
const EXIT_CODE_POLL: Duration = Duration::from_millis(10);

impl Engine {
    pub(crate) async fn logs(&self, id: &str, query: &LogQuery, max_output: usize) -> Result<Vec<u8>> {
        let name = container_name(id)?;
        if !query.stdout && !query.stderr {
            return Err(Error::invalid(CODE, "Bad parameters: you must choose at least one stream"));
        }
        let tty = self.inspect(id).await?.config.and_then(|config| config.tty).unwrap_or_default();
        let flag = |on: bool| if on { "1" } else { "0" };
        let tail = query.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let mut path = format!(
            "/containers/{name}/logs?stdout={}&stderr={}&timestamps={}&tail={tail}",
            flag(query.stdout),
            flag(query.stderr),
            flag(query.timestamps)
        );
        if let Some(since) = query.since {
            path.push_str(&format!("&since={since}"));
        }
        let response = self.raw.get(&path).await?;
        let mut output = Output::newest(max_output);
        tokio::time::timeout(self.settings.request_timeout, read(response.into_body(), tty, &mut output))
            .await
            .map_err(unanswered)??;
        Ok(output.finish())
    }

    pub(crate) async fn execute(
        &self,
        id: &str,
        command: &[String],
        limit: Duration,
        max_output: usize,
    ) -> Result<Exec> {
        let name = container_name(id)?;
        let docker = self.docker()?;
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..Default::default()
        };
        let exec = docker.create_exec(&name, options).await.mapped()?.id;
        let mut output = Output::oldest(max_output);
        let run = async {
            let response = self
                .raw
                .post(&format!("/exec/{}/start", escape(&exec)), &json!({"Detach": false, "Tty": false}))
                .await?;
            read(response.into_body(), false, &mut output).await
        };
        // The command itself goes on, as with upstream: nothing can end it but the container's end.
        tokio::time::timeout(limit, run).await.map_err(|_| Error::conflict(CODE, "Timeout on executing command"))??;
        let code = async {
            loop {
                let seen = docker.inspect_exec(&exec).await.mapped()?;
                if let (Some(code), false) = (seen.exit_code, seen.running.unwrap_or_default()) {
                    return Ok::<_, Error>(code);
                }
                tokio::time::sleep(EXIT_CODE_POLL).await;
            }
        };
        let exit_code = tokio::time::timeout(EXIT_CODE_LIMIT, code)
            .await
            .map_err(|_| Error::conflict(CODE, "Timeout on executing command"))??;
        Ok(Exec { output: output.finish(), exit_code })
    }

    pub(crate) async fn top(&self, id: &str, ps_args: Option<&str>) -> Result<Top> {
        let name = container_name(id)?;
        let options = ps_args.map(|args| TopOptionsBuilder::default().ps_args(args).build());
        match self.docker()?.top_processes(&name, options).await {
            Ok(answer) => {
                Ok(Top { titles: answer.titles.unwrap_or_default(), processes: answer.processes.unwrap_or_default() })
            }
            // 500 is a `ps` that refused its arguments, unless the container is to blame.
            Err(error) if status_of(&error) == Some(500) => {
                let seen = self.observe(id).await?;
                let refused = from_engine(error);
                match seen.state {
                    RunState::Running | RunState::Paused => Err(Error::invalid(CODE, refused.message())),
                    _ => Err(Error::conflict(CODE, refused.message())),
                }
            }
            Err(error) => Err(from_engine(error)),
        }
    }
}

/// Bytes kept of a stream of any length.
struct Output {
    bytes: Vec<u8>,
    limit: usize,
    keep_newest: bool,
}

impl Output {
    fn newest(limit: usize) -> Self {
        Output { bytes: Vec::new(), limit, keep_newest: true }
    }
    fn oldest(limit: usize) -> Self {
        Output { bytes: Vec::new(), limit, keep_newest: false }
    }
    fn push(&mut self, part: &[u8]) {
        if !self.keep_newest {
            let room = self.limit.saturating_sub(self.bytes.len());
            self.bytes.extend_from_slice(&part[..part.len().min(room)]);
            return;
        }
        self.bytes.extend_from_slice(part);
        // Trimmed rarely, so that each byte moves a bounded number of times.
        if self.bytes.len() > self.limit.saturating_mul(2).saturating_add(4096) {
            self.trim();
        }
    }
    fn trim(&mut self) {
        let excess = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..excess);
    }
    fn finish(mut self) -> Vec<u8> {
        self.trim();
        self.bytes
    }
}

/// Splits the engine's framing: stream number, three zero bytes, length as big-endian u32, payload. Holds at most a
/// header, whatever the lengths claim.
#[derive(Default)]
struct Frames {
    header: Vec<u8>,
    remaining: usize,
}

impl Frames {
    fn feed(&mut self, mut input: &[u8], output: &mut Output) {
        while !input.is_empty() {
            if self.remaining == 0 {
                let take = (8 - self.header.len()).min(input.len());
                self.header.extend_from_slice(&input[..take]);
                input = &input[take..];
                if let [_, _, _, _, a, b, c, d] = self.header[..] {
                    self.remaining = u32::from_be_bytes([a, b, c, d]) as usize;
                    self.header.clear();
                }
                continue;
            }
            let take = self.remaining.min(input.len());
            output.push(&input[..take]);
            self.remaining -= take;
            input = &input[take..];
        }
    }
}

async fn read(mut body: Incoming, tty: bool, output: &mut Output) -> Result<()> {
    let mut frames = Frames::default();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(unanswered)?.into_data() {
            if tty { output.push(&data) } else { frames.feed(&data, output) }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(stream: u8, text: &str) -> Vec<u8> {
        let mut bytes = vec![stream, 0, 0, 0];
        bytes.extend((text.len() as u32).to_be_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn frames_survive_any_cutting() {
        let mut bytes = frame(1, "out\n");
        bytes.extend(frame(2, ""));
        bytes.extend(frame(2, "err\n"));
        for size in 1..bytes.len() {
            let mut output = Output::newest(100);
            let mut frames = Frames::default();
            bytes.chunks(size).for_each(|part| frames.feed(part, &mut output));
            assert_eq!(output.finish(), b"out\nerr\n", "in parts of {size}");
        }
    }

    #[test]
    fn a_lying_length_holds_nothing() {
        let mut output = Output::newest(4);
        let mut frames = Frames::default();
        frames.feed(&[1, 0, 0, 0, 255, 255, 255, 255], &mut output);
        for _ in 0..10_000 {
            frames.feed(b"abcdefgh", &mut output);
        }
        assert!(output.bytes.capacity() < 64 * 1024);
        assert_eq!(output.finish(), b"efgh");
    }

    #[test]
    fn commands_keep_the_beginning_and_logs_the_end() {
        let mut first = Output::oldest(3);
        first.push(b"abcd");
        first.push(b"ef");
        assert_eq!(first.finish(), b"abc");
        let mut last = Output::newest(3);
        last.push(b"abcd");
        last.push(b"ef");
        assert_eq!(last.finish(), b"def");
    }
}
