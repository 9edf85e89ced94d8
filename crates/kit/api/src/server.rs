//! Listening: plain or TLS, with limits on time and connections, and an orderly end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::body::Body as HttpBody;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use sahab_contract::Result;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{Dispatcher, Mount};

#[derive(Clone)]
pub struct ServerSettings {
    pub max_connections: usize,
    /// Time for a client to send the head of a request, and for an idle connection to be kept.
    pub head_time: Duration,
    /// Time for running requests to end after the stop.
    pub drain: Duration,
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            max_connections: 16_384,
            head_time: Duration::from_secs(60),
            drain: Duration::from_secs(4),
            tls: None,
        }
    }
}

/// A bound socket.
pub struct Listener {
    socket: TcpListener,
    mount: Mount,
}

impl Listener {
    pub async fn bind(address: SocketAddr, mount: Mount) -> Result<Self> {
        Ok(Listener { socket: TcpListener::bind(address).await?, mount })
    }

    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// Serves until `stop` turns true, then lets running requests end.
    pub async fn serve(self, dispatcher: Arc<Dispatcher>, settings: ServerSettings, mut stop: watch::Receiver<bool>) {
        let graceful = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(settings.max_connections));
        let acceptor = settings.tls.clone().map(tokio_rustls::TlsAcceptor::from);
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { break };
            let stream = tokio::select! {
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        // Out of file descriptors, most likely: wait for some to be closed.
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = stopped(&mut stop) => break,
            };
            let _ = stream.set_nodelay(true);
            let (dispatcher, mount, head_time) = (dispatcher.clone(), self.mount, settings.head_time);
            match acceptor.clone() {
                None => connection(&graceful, dispatcher, mount, "http", head_time, stream, slot),
                Some(acceptor) => {
                    let watcher = graceful.watcher();
                    tokio::spawn(async move {
                        match tokio::time::timeout(head_time, acceptor.accept(stream)).await {
                            Ok(Ok(stream)) => {
                                let future = http1(dispatcher, mount, "https", head_time, stream);
                                let _ = watcher.watch(future).await;
                            }
                            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                            Err(_) => {}
                        }
                        drop(slot);
                    });
                }
            }
        }
        drop(self.socket);
        let _ = tokio::time::timeout(settings.drain, graceful.shutdown()).await;
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone can say nothing else any more.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn connection<S>(
    graceful: &GracefulShutdown,
    dispatcher: Arc<Dispatcher>,
    mount: Mount,
    scheme: &'static str,
    head_time: Duration,
    stream: S,
    slot: tokio::sync::OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = graceful.watch(http1(dispatcher, mount, scheme, head_time, stream));
    tokio::spawn(async move {
        // A client that goes away or talks nonsense is no event of ours.
        let _ = connection.await;
        drop(slot);
    });
}

type Connection<S, F> = hyper::server::conn::http1::Connection<TokioIo<S>, F>;

fn http1<S>(
    dispatcher: Arc<Dispatcher>,
    mount: Mount,
    scheme: &'static str,
    head_time: Duration,
    stream: S,
) -> Connection<
    S,
    impl hyper::service::Service<
        http::Request<hyper::body::Incoming>,
        Response = http::Response<HttpBody>,
        Error = std::convert::Infallible,
        Future = impl Send,
    >,
>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let dispatcher = dispatcher.clone();
        async move { Ok(dispatcher.answer(mount, scheme, request.map(HttpBody::new)).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service)
}
