//! Traces: each pass is one, each call to the API a span in it, and the API is told which (W3C trace context).
//! They are sent to a collector with OTLP over HTTP, where one is named.

mod otlp;

pub use otlp::export;

use std::fmt::Debug;
use std::time::SystemTime;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tracing::dispatcher::get_default;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, Registry};

/// Spans that wait for the collector; what ends beyond that is lost, since no pass may wait for it.
const WAITING: usize = 4096;

/// The name of a span around a request to somebody else.
pub const REQUEST: &str = "request";

/// Turns the spans of the operator into spans of traces.
#[derive(Debug)]
pub struct Traces(Sender<Span>);

/// A span, under way or ended.
#[derive(Debug)]
pub struct Span {
    name: &'static str,
    trace: u128,
    id: u64,
    parent: Option<u64>,
    attributes: Vec<(&'static str, String)>,
    began: SystemTime,
    ended: SystemTime,
}

impl Traces {
    /// The layer, and the spans that end.
    pub fn new() -> (Self, Receiver<Span>) {
        let (send, receive) = channel(WAITING);
        (Self(send), receive)
    }

    /// Of what happens in this process, what belongs into a trace.
    pub fn wants(metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }
}

/// What tells the receiver of a request which span it belongs to; nothing where no traces are wanted.
/// <https://www.w3.org/TR/trace-context/#traceparent-header>
pub fn traceparent() -> Option<String> {
    get_default(|dispatch| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let span = registry.span(dispatch.current_span().id()?)?;
        let extensions = span.extensions();
        extensions.get::<Span>().map(|span| format!("00-{:032x}-{:016x}-01", span.trace, span.id))
    })
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let above = span.parent().and_then(|above| above.extensions().get::<Span>().map(|span| (span.trace, span.id)));
        let mut new = Span {
            name: span.name(),
            // Zero is no id.
            trace: above.map_or_else(|| fastrand::u128(1..), |(trace, _)| trace),
            id: fastrand::u64(1..),
            parent: above.map(|(_, id)| id),
            attributes: Vec::new(),
            began: SystemTime::now(),
            ended: SystemTime::now(),
        };
        attributes.record(&mut Words(&mut new.attributes));
        span.extensions_mut().insert(new);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(span) = span.extensions_mut().get_mut::<Span>() {
            values.record(&mut Words(&mut span.attributes));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).and_then(|span| span.extensions_mut().remove::<Span>());
        if let Some(span) = span {
            // Full: it is lost.
            self.0.try_send(Span { ended: SystemTime::now(), ..span }).ok();
        }
    }
}

/// The fields of a span as words.
struct Words<'a>(&'a mut Vec<(&'static str, String)>);

impl Visit for Words<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}
