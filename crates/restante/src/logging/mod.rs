//! Log lines: to standard error as text or JSON, or to the systemd journal with its fields.
//!
//! One [`Layer`] collects an event's message and fields, with those of the spans around it, into an
//! [`Entry`]; a sink writes the entry down. Everything in an entry is escaped as it is collected, so
//! that no sink can forget to. The run of an account is a span with the fields `account` and `run`; within
//! it no kind of line floods the log ([`flood`]).
//!
//! Invariant: what the libraries below the IMAP client say is heard from `warn` up only, whatever
//! RUST_LOG asks for: further down they log every byte of a session, passwords included.

mod entry;
mod flood;
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
use flood::Flood;

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
            let mut extensions = span.extensions_mut();
            extensions.insert(SpanFields::of(attributes));
            if let Some(flood) = Flood::for_span(attributes.metadata()) {
                extensions.insert(flood);
            }
        }
    }

    fn on_record(&self, id: &tracing::Id, values: &tracing::span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            fields.learn(values);
        }
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if !is_audible(event.metadata()) {
            return;
        }
        let mut entry = Entry::of(event);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(flood) = span.extensions_mut().get_mut::<Flood>()
                && !flood.may_pass(event.metadata(), &entry.message)
            {
                return;
            }
        }
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                entry.inherit(fields);
            }
        }
        self.sink.write(&entry);
    }

    fn on_close(&self, id: tracing::Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let (flood, fields) = {
            let mut extensions = span.extensions_mut();
            (extensions.remove::<Flood>(), extensions.remove::<SpanFields>())
        };
        for held_back in flood.map(Flood::held_back).unwrap_or_default() {
            let mut entry = Entry::of_held_back(held_back);
            if let Some(fields) = &fields {
                entry.inherit(fields);
            }
            self.sink.write(&entry);
        }
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
    fn what_is_learnt_of_a_span_stands_in_the_lines_that_follow_on_every_thread() {
        let text = heard(false, None, || {
            let span = tracing::error_span!("run", account = "work", run = tracing::field::Empty);
            let inside = span.clone().entered();
            tracing::info!("begins");
            tracing::Span::current().record("run", 7);
            drop(inside);
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            let elsewhere = move || {
                tracing::dispatcher::with_default(&dispatch, || span.in_scope(|| tracing::info!("goes on")));
            };
            std::thread::spawn(elsewhere).join().expect("it does not panic");
        });
        assert_eq!(text, "begins account=work\ngoes on account=work run=7\n");
    }

    #[test]
    fn o09_of_a_flood_the_first_lines_are_written_and_the_rest_is_counted() {
        let text = heard(true, None, || {
            let _run = tracing::error_span!("run", account = "work", run = 7).entered();
            for uid in 0..100_000 {
                let _folder = tracing::info_span!("folder", folder = "INBOX").entered();
                tracing::warn!(uid, "message {uid} is refused: NO");
            }
            tracing::error!("failed");
            (0..30).for_each(|step| tracing::debug!(step, "asked for"));
        });
        assert_eq!(text.lines().filter(|line| line.contains("is refused")).count(), 21);
        assert!(text.contains("warning: message 0 is refused: NO uid=0 folder=INBOX account=work run=7\n"));
        let rest =
            "warning: and 99980 more lines like: message 20 is refused: NO more=99980 account=work run=7";
        assert_eq!(text.lines().last(), Some(rest));
        assert!(text.contains("error: failed account=work run=7\n"), "another kind is heard");
        assert_eq!(text.matches("asked for").count(), 30, "what was asked for is no flood");
    }

    #[test]
    fn work_without_an_end_is_never_silenced() {
        let text = heard(false, None, || {
            let _watch = tracing::error_span!("account", account = "work").entered();
            (0..50).for_each(|_| tracing::warn!("not watched"));
        });
        assert_eq!(text.matches("not watched").count(), 50);
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
