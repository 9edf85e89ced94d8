//! The plugin socket: HTTP/1.1, POST only, JSON whatever the content type says, failures as 200 with `Err`.

use std::{
    future::Future,
    io::ErrorKind,
    path::Path,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    response::Response,
    routing::post,
};
use http::{StatusCode, Uri, header::CONTENT_TYPE};
use sahab_contract::{Error, Result};
use serde_json::{Value, json};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::oneshot,
};

use crate::driver::Driver;

/// Where Docker looks for the driver `sahab`; the directory is fixed in Docker.
pub const DEFAULT_SOCKET: &str = "/run/docker/plugins/sahab.sock";

const MEDIA_TYPE: &str = "application/vnd.docker.plugins.v1.1+json";
const MAX_BODY: usize = 1 << 20;
/// Calls under way at the end get this long.
const DRAIN: Duration = Duration::from_secs(2);
/// How often the socket's path is looked at.
const WATCH: Duration = Duration::from_secs(2);

/// Binds the socket, reports that through `ready`, and answers until `stop` resolves. The socket is for root alone. When
/// somebody removes or replaces it, it is made again.
///
/// Fails when the socket cannot be made at first, or when another process answers on it then.
pub async fn serve(
    socket: &Path,
    driver: Arc<Driver>,
    ready: impl FnOnce(),
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let router = Router::new().fallback(post(answer)).layer(DefaultBodyLimit::max(MAX_BODY)).with_state(driver);
    let mut stop = pin!(stop);
    let mut listener = bind(socket).await?;
    tracing::info!(socket = %socket.display(), "network driver listens for Docker");
    ready();
    loop {
        let (shut, shutting) = oneshot::channel::<()>();
        let server = axum::serve(listener, router.clone()).with_graceful_shutdown(async {
            // Sent or dropped: either way it is the end.
            let _ = shutting.await;
        });
        let mut server = pin!(async { server.await });
        let stopped = tokio::select! {
            result = &mut server => return result.map_err(Error::from),
            () = &mut stop => true,
            () = vanished(socket) => false,
        };
        drop(shut);
        if tokio::time::timeout(DRAIN, server).await.is_err() {
            tracing::warn!("Docker's calls under way were cut off");
        }
        if stopped {
            if let Err(error) = tokio::fs::remove_file(socket).await {
                tracing::debug!(%error, "the network driver's socket is gone already");
            }
            return Ok(());
        }
        tracing::warn!(socket = %socket.display(), "the network driver's socket was removed; made again");
        listener = loop {
            match bind(socket).await {
                Ok(listener) => break listener,
                Err(error) => tracing::error!(?error, "Docker cannot reach its network driver"),
            }
            tokio::select! {
                () = &mut stop => return Ok(()),
                () = tokio::time::sleep(WATCH) => {}
            }
        };
    }
}

/// Until the path no longer leads to what it leads to now.
async fn vanished(socket: &Path) {
    use std::os::unix::fs::MetadataExt;
    let inode = async || tokio::fs::metadata(socket).await.ok().map(|found| found.ino());
    let first = inode().await;
    loop {
        tokio::time::sleep(WATCH).await;
        let now = inode().await;
        if now.is_none() || now != first {
            return;
        }
    }
}

async fn answer(State(driver): State<Arc<Driver>>, uri: Uri, body: Bytes) -> Response {
    let begin = Instant::now();
    let answered = driver.call(uri.path(), &body).await;
    let micros = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
    tracing::debug!(call = uri.path(), micros, "Docker's network request");
    match answered {
        Some(value) => respond(StatusCode::OK, &value),
        None => respond(StatusCode::NOT_FOUND, &json!({"Err": format!("no such call: {}", uri.path())})),
    }
}

fn respond(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(MEDIA_TYPE));
    response
}

/// Made under another name and moved into place when its mode is right, so that it is never open to others.
async fn bind(socket: &Path) -> Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(folder) = socket.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    match UnixStream::connect(socket).await {
        Ok(_) => {
            let message = format!("another process serves {}: is a second agent running?", socket.display());
            return Err(Error::conflict("AddressInUse", message));
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
        Err(error) => return Err(error.into()),
    }
    let draft = socket.with_extension("sock.new");
    match tokio::fs::remove_file(&draft).await {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let listener = UnixListener::bind(&draft)?;
    tokio::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600)).await?;
    tokio::fs::rename(&draft, socket).await?;
    Ok(listener)
}

#[cfg(test)]
mod tests;
