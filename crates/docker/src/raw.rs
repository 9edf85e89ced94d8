//! The few calls that the client library cannot make as we need them.
//!
//! - network create: its model lacks `CheckDuplicate`, without which engine 20.10 accepts a second network of a name;
//! - logs and exec: its decoder guesses the framing from the first byte and buffers without bound until a newline, so a
//!   container could make the agent hold gigabytes;
//! - archive: it drops the header with the file's facts.
//!
//! One connection per call. Paths are built by callers from checked ids and [`escape`]d text.

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, Response, body::Incoming};
use hyper_util::rt::TokioIo;
use sahab_contract::{Result, cloud::escape as percent};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::error::{from_status, unanswered};

const MAX_ERROR_BODY: usize = 64 * 1024;

pub(crate) struct Raw {
    socket: PathBuf,
    timeout: Duration,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

impl Raw {
    pub fn new(socket: PathBuf, timeout: Duration) -> Self {
        Raw { socket, timeout }
    }

    pub async fn get(&self, path: &str) -> Result<Response<Incoming>> {
        self.call(Method::GET, path, None).await
    }
    pub async fn post(&self, path: &str, body: &Value) -> Result<Response<Incoming>> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Answers with a success status only; the body still streams.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response<Incoming>> {
        let work = async {
            let stream = UnixStream::connect(&self.socket).await.map_err(unanswered)?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(unanswered)?;
            // Ends with the response's body, or when it is dropped.
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection to the container engine ended");
                }
            });
            let body = match body {
                Some(value) => Bytes::from(serde_json::to_vec(value)?),
                None => Bytes::new(),
            };
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "docker")
                .header("content-type", "application/json")
                .body(Full::new(body))?;
            let response = sender.send_request(request).await.map_err(unanswered)?;
            if response.status().is_success() {
                return Ok(response);
            }
            let status = response.status().as_u16();
            let text = Limited::new(response.into_body(), MAX_ERROR_BODY)
                .collect()
                .await
                .map(|body| body.to_bytes())
                .unwrap_or_default();
            let message = serde_json::from_slice::<Message>(&text)
                .map_or_else(|_| String::from_utf8_lossy(&text).trim().to_owned(), |body| body.message);
            Err(from_status(status, message))
        };
        tokio::time::timeout(self.timeout, work).await.map_err(unanswered)?
    }
}

/// Text for a query value.
pub(crate) fn escape(text: &str) -> String {
    percent(text)
}
