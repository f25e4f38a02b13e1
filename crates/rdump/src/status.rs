//! `--status-addr`: `/metrics` for Prometheus and `/status` as JSON.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tracing::{info, warn};

use crate::metrics::Metrics;

/// Serves until the process ends. An address that can't be listened on is logged and is no error, as in Dumpling.
pub async fn serve(address: String, metrics: Metrics) {
    // Go's `:8281` means all interfaces.
    let full = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address };
    let listener = match tokio::net::TcpListener::bind(&full).await {
        Ok(listener) => listener,
        Err(error) => {
            warn!(address = %full, %error, "the status server can't listen, the dump goes on without it");
            return;
        }
    };
    info!(address = %full, "listening on status address");
    let for_status = metrics.clone();
    let router = Router::new()
        .route(
            "/metrics",
            get(move || async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.text()) }),
        )
        .route("/status", get(move || async move { axum::Json(status(&for_status)) }));
    if let Err(error) = axum::serve(listener, router).await {
        warn!(%error, "the status server ended");
    }
}

fn status(metrics: &Metrics) -> serde_json::Value {
    let (finished, total) = metrics.chunks();
    serde_json::json!({
        "finished_rows": metrics.rows(),
        "estimated_rows": metrics.estimated_rows(),
        "finished_bytes": metrics.bytes(),
        "finished_chunks": finished,
        "planned_chunks": total,
        "seconds": metrics.elapsed().as_secs_f64(),
        "mib_per_second": metrics.speed(),
    })
}
