//! The HTTP client of a connection: transport, rate limits, caches of tokens and lists, and what a message may show.

pub(super) mod batch;
mod ca;
pub(super) mod endpoint;
pub(super) mod list_cache;
pub(super) mod listing;
pub(super) mod rate_limiter;
pub(super) mod read_cache;
pub(super) mod retry_after;
pub(super) mod scrub;
pub(super) mod session;
pub(super) mod token_cache;
pub(super) mod transport;
