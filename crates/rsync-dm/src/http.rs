//! The server side that master and worker share: gRPC, `/status` and `/metrics` on one port.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Encoder, TextEncoder};
use tokio::net::TcpListener;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::tls::{self, Tls};

/// Brings gauges up to date before they are read.
pub type Refresh = Arc<dyn Fn() + Send + Sync>;

/// Takes the port, so that a port in use is an error of the start.
///
/// # Errors
/// The system's, with the address.
pub async fn bind(address: &str) -> Result<TcpListener, std::io::Error> {
    TcpListener::bind(address)
        .await
        .map_err(|e| std::io::Error::new(e.kind(), format!("cannot listen on {address}: {e}")))
}

/// Serves, with TLS if there is some, until `shutdown` is done, and then until running calls have ended.
///
/// # Errors
/// The transport's.
pub async fn serve(
    listener: TcpListener,
    tls: Option<&Tls>,
    grpc: Routes,
    refresh: Refresh,
    shutdown: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let router = grpc
        .into_axum_router()
        .route("/status", get(status))
        .route("/metrics", get(move || metrics(Arc::clone(&refresh))));
    // No keep-alive of HTTP/2: how long a worker may be silent is its `keepalive-ttl`, not the transport's to decide.
    let server = Server::builder().accept_http1(true).add_routes(Routes::from(router));
    if let Some(tls) = tls {
        return server.serve_with_incoming_shutdown(tls::accept(listener, tls), shutdown).await;
    }
    let incoming =
        TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(Duration::from_secs(60)));
    server.serve_with_incoming_shutdown(incoming, shutdown).await
}

/// The address that a listener was given.
pub fn address(listener: &TcpListener) -> Option<SocketAddr> {
    listener.local_addr().ok()
}

async fn status() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], common::version::block()).into_response()
}

async fn metrics(refresh: Refresh) -> Response {
    refresh();
    let encoder = TextEncoder::new();
    let mut out = Vec::new();
    match encoder.encode(&prometheus::gather(), &mut out) {
        Ok(()) => ([(CONTENT_TYPE, encoder.format_type().to_owned())], out).into_response(),
        Err(e) => (axum::http::StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
    }
}
