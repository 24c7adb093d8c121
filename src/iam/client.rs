//! The HTTP client of a connection: transport, rate limits, caches of tokens and lists, and what a message may show.

pub(super) mod batch;
mod ca;
pub mod endpoint;
pub mod list_cache;
pub mod listing;
pub mod rate_limiter;
pub mod read_cache;
pub mod retry_after;
pub mod scrub;
pub mod session;
pub mod token_cache;
pub mod transport;
