//! Log lines in the systemd journal, with fields that can be asked for:
//! `journalctl -u restante-run-now ACCOUNT=work`.

use log::Level;
use log::kv::{Key, Source, Value, VisitSource};
use systemd_journal_logger::JournalLog;

use super::Sink;
use super::entry::Entry;

/// A connection to the journal.
pub(super) struct Journal {
    log: JournalLog,
}

impl Journal {
    /// `None` when standard error is not the journal, or the journal cannot be reached.
    pub(super) fn connect() -> Option<Self> {
        if !systemd_journal_logger::connected_to_journal() {
            return None;
        }
        let log = JournalLog::empty().ok()?.with_syslog_identifier("restante".to_owned());
        Some(Self { log })
    }
}

impl Sink for Journal {
    fn write(&self, entry: &Entry) {
        let level = match entry.level {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::TRACE => Level::Trace,
        };
        let fields = Fields(entry);
        // A journal that is away or full must not stop a backup, and there is nowhere to say so.
        let _ = self.log.journal_send(
            &log::Record::builder()
                .level(level)
                .target(entry.target)
                .args(format_args!("{}", entry.message))
                .key_values(&fields)
                .build(),
        );
    }
}

/// The fields of the journal are in capitals: ACCOUNT, FOLDER, RUN, MESSAGE_ID. `id` would be an
/// odd name there for a message's key.
struct Fields<'e>(&'e Entry);

impl Source for Fields<'_> {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), log::kv::Error> {
        for (name, value) in &self.0.fields {
            visitor.visit_pair(Key::from_str(name), Value::from(value.as_str()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Seen(Vec<String>);

    impl<'kvs> VisitSource<'kvs> for Seen {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
            self.0.push(format!("{key}={value}"));
            Ok(())
        }
    }

    #[test]
    fn fields_keep_their_names_and_values() {
        let entry = Entry {
            level: tracing::Level::INFO,
            target: "restante",
            message: "pulled".into(),
            fields: vec![("account", "work".into()), ("folder", "INBOX".into())],
        };
        let mut seen = Seen(Vec::new());
        assert!(Fields(&entry).visit(&mut seen).is_ok());
        assert_eq!(seen.0, ["account=work", "folder=INBOX"]);
    }
}
