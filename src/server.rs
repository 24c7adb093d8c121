//! The operator's own HTTP endpoint: whether it lives, and whether it is ready.
//! Ready means that the watches have brought their first lists and that no shutdown is under way.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the operator is ready; shared with the endpoint.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says that the operator is, or is no longer, ready.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

/// Serves `/healthz` and `/readyz` for as long as the process lives.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(address: SocketAddr, readiness: Readiness) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!(address = %listener.local_addr()?, "serving /healthz and /readyz");
    let routes = Router::new().route("/healthz", get(|| async { "ok" })).route("/readyz", get(ready));
    axum::serve(listener, routes.with_state(readiness)).await
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    match readiness.0.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    }
}
