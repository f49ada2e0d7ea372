//! Log lines: to standard error as text or JSON, or to the systemd journal with its fields.
//!
//! One [`Layer`] collects an event's message and fields, with those of the spans around it, into an
//! [`Entry`]; a sink writes the entry down. Everything in an entry is escaped as it is collected, so
//! that no sink can forget to.
//!
//! Invariant: what the libraries below the IMAP client say is heard from `warn` up only, whatever
//! RUST_LOG asks for: further down they log every byte of a session, passwords included.

mod entry;
mod journal;
mod text;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::cli::{Global, LogFormat};
use crate::output::screen::Screen;
use entry::{Entry, SpanFields};

/// Crates that see passwords on the wire.
const HUSHED: [&str; 4] = ["async_imap", "imap_proto", "rustls", "tokio_rustls"];

/// Where entries go.
trait Sink: Send + Sync + 'static {
    fn write(&self, entry: &Entry);
}

struct Lines {
    sink: Box<dyn Sink>,
}

/// Starts logging; called once, before anything is done.
pub(crate) fn start(global: &Global, screen: &Screen) {
    let layer = Lines { sink: sink(global.log_format, screen) };
    let filter = filter(global, std::env::var("RUST_LOG").ok().as_deref());
    // Fails only where logging was started before, as tests in one process do.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}

fn sink(format: LogFormat, screen: &Screen) -> Box<dyn Sink> {
    let screen = screen.clone();
    match format {
        LogFormat::Auto => match journal::Journal::connect() {
            Some(journal) => Box::new(journal),
            None => Box::new(text::Text::new(screen)),
        },
        LogFormat::Text => Box::new(text::Text::new(screen)),
        LogFormat::Json => Box::new(text::Json::new(screen)),
    }
}

/// What is heard: RUST_LOG where it is set and can be read, else by `--quiet` and `--verbose`.
fn filter(global: &Global, wished: Option<&str>) -> EnvFilter {
    let own = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (_, true) => "debug",
        _ => "info",
    };
    let wished =
        wished.filter(|wished| !wished.trim().is_empty()).and_then(|wished| EnvFilter::try_new(wished).ok());
    wished.unwrap_or_else(|| EnvFilter::new(own))
}

/// Whether an event may be heard at all.
fn is_audible(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    let of =
        |name: &str| target.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    *metadata.level() <= Level::WARN || !HUSHED.into_iter().any(of)
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Lines {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        id: &tracing::Id,
        context: Context<'_, S>,
    ) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields::of(attributes));
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if !is_audible(event.metadata()) {
            return;
        }
        let mut entry = Entry::of(event);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                entry.inherit(fields);
            }
        }
        self.sink.write(&entry);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<String>>);

    impl Sink for Memory {
        fn write(&self, entry: &Entry) {
            self.0.lock().expect("no test panics while it writes").push_str(&text::line(entry, false));
        }
    }

    /// What is heard of `events` under these wishes.
    fn heard(verbose: bool, rust_log: Option<&str>, events: impl FnOnce()) -> String {
        let global = Global {
            config: None,
            archive: None,
            json: false,
            quiet: false,
            verbose,
            log_format: LogFormat::Text,
        };
        let memory = Memory::default();
        let layer = Lines { sink: Box::new(memory.clone()) }.with_filter(filter(&global, rust_log));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
        memory.0.lock().expect("no test panics while it writes").clone()
    }

    #[test]
    fn no_password_on_the_wire_is_heard_whatever_is_asked_for() {
        for wish in
            [None, Some("trace"), Some("async_imap=trace"), Some("async_imap::client=trace,imap_proto=debug")]
        {
            let text = heard(true, wish, || {
                tracing::trace!(target: "async_imap::client", "C: a1 LOGIN me canary");
                tracing::debug!(target: "imap_proto", "canary");
                tracing::trace!(target: "rustls::client", "canary");
                tracing::warn!(target: "async_imap", "stream closed");
                tracing::info!(target: "async_imaptist", "another crate");
            });
            assert!(!text.contains("canary"), "{wish:?}: {text}");
        }
        let text = heard(true, None, || tracing::warn!(target: "async_imap", "stream closed"));
        assert!(text.contains("stream closed"));
    }

    #[test]
    fn a_subject_forges_no_line_and_moves_no_cursor() {
        let text = heard(false, None, || {
            let subject = "hello\nERROR all lost\u{1b}[2J\u{202e}";
            tracing::info!(subject, folder = %subject, "fetched {subject}");
        });
        assert_eq!(text.lines().count(), 1);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
    }

    #[test]
    fn an_event_carries_the_fields_of_its_spans() {
        let text = heard(false, None, || {
            let _run = tracing::info_span!("run", account = "work", run = 7).entered();
            let _folder = tracing::info_span!("folder", folder = "INBOX").entered();
            tracing::info!(new = 3, "pulled");
        });
        assert_eq!(text, "pulled new=3 folder=INBOX account=work run=7\n");
    }

    #[test]
    fn quiet_and_verbose_set_what_is_heard() {
        let both = || {
            tracing::debug!("fine");
            tracing::info!("coarse");
        };
        assert_eq!(heard(true, None, both), "debug: fine\ncoarse\n");
        assert_eq!(heard(false, None, both), "coarse\n");
        assert_eq!(heard(false, Some(""), both), "coarse\n");
    }
}
