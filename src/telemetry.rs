//! Logs: one line per event on standard error, as text or JSON.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::settings::LogSettings;

/// Starts logging for the whole process. Calling it again changes nothing, so that tests may.
pub fn init(settings: &LogSettings) {
    let filter = EnvFilter::try_new(&settings.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if settings.json {
        lines.json().flatten_event(true).boxed()
    } else if std::io::stderr().is_terminal() {
        lines.boxed()
    } else {
        lines.with_ansi(false).boxed()
    };
    let started = tracing_subscriber::registry().with(lines.with_filter(FilterFn::new(is_safe))).with(filter).try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// At `trace`, libraries write whole requests and answers, which hold conversations and keys: only our own `trace` is let through.
/// The model library writes what providers answer at every level, so it is never let through; we log its errors ourselves.
fn is_safe(event: &Metadata<'_>) -> bool {
    match event.target().split("::").next() {
        Some("threadbox") => true,
        Some("genai") => false,
        Some(_) | None => *event.level() < Level::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::Context;

    use super::*;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> Layer<S> for Seen {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let line = format!("{} {}", event.metadata().level(), event.metadata().target());
            self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(line);
        }
    }

    #[test]
    fn foreign_traces_are_never_written() {
        let seen = Seen::default();
        let subscriber = tracing_subscriber::registry().with(seen.clone().with_filter(FilterFn::new(is_safe)));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "genai::webc", "a whole answer");
            tracing::warn!(target: "genai::webc", "an answer's text");
            tracing::debug!(target: "hyper::client", "a step");
            tracing::trace!(target: "threadbox::agent", "ours");
            tracing::trace!(target: "threadbox_lookalike", "not ours");
        });
        let lines = seen.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).join(", ");
        assert_eq!(lines, "DEBUG hyper::client, TRACE threadbox::agent");
    }
}
