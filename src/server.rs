//! The operator's own HTTP endpoint: whether it lives, whether it is ready, and its metrics.
//! It decides none of that; see `readiness` and `metrics`.

use crate::metrics::Metrics;
use crate::readiness::Readiness;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use k8s_openapi::jiff::Timestamp;
use prometheus_client::encoding::prometheus_text;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// Serves `/healthz`, `/readyz` and `/metrics` for as long as the process lives.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(address: SocketAddr, readiness: Readiness, metrics: Arc<Metrics>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving /healthz, /readyz and /metrics");
    let routes = Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(ready));
    let measured = Router::new().route("/metrics", get(text)).with_state(metrics);
    axum::serve(listener, routes.with_state(readiness).merge(measured)).await
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    match readiness.check().await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn text(State(metrics): State<Arc<Metrics>>) -> impl IntoResponse {
    match metrics.text(Timestamp::now()) {
        Ok(text) => Ok(([(CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], text)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}
