//! `demo`: the whole life of a backup in a temporary folder, told step by step.
//!
//! An embedded mail server is filled, backed up, asked again (nothing is fetched), and loses
//! everything; then the archive is proven and gives every message back to the server, where it is
//! compared with what was there before: folder, bytes, flags and received date. Everything is done by the
//! code that backs up and restores real mail; only the server is small, and the comparison is the demo's
//! own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archive::{Archive, Depth, Writer, WriterOptions};
use message::MessageKey;
use server::Store;
use sync::{
    FolderFilter, Job, Ledger, Outcome, PullLimits, RestoreJob, RestoreLimits, RestoreOutcome, RestoreReport,
    Stop, SystemClock, Verify,
};

use super::embedded::Embedded;
use super::stop::listen;
use super::{Context, known_account, moment};
use crate::exit::{Exit, Failure, chain};
use crate::output::amount::{count, size};
use crate::output::restore_progress::Watcher;
use crate::output::{json, progress, stdout};

const USER: &str = "demo";
const PASSWORD: &str = "demo";

/// How often each message is there, by its folder, key, flags and received date.
type Mail = BTreeMap<(String, MessageKey, String, String), u64>;

pub(super) fn run(context: &Context, keep: bool) -> Result<Exit, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("restante-demo-")
        .tempdir()
        .map_err(|error| broken("a temporary folder", &error))?;
    let stop = listen(&context.screen).map_err(|error| broken("signals", &error))?;
    let store = Store::new();
    let server = Embedded::start(&store).map_err(|error| broken("a server", &error))?;
    let told = Demo { context, path: folder.path().to_owned(), server, store, stop }.tell()?;
    if keep {
        let path = folder.keep();
        write_configuration(&path).map_err(|error| broken("the demo's configuration", &error))?;
        let config = path.join("restante.toml").display().to_string();
        context.say(&format!("The folder is kept. Look around: restante --config {config} list {USER}"));
    } else {
        context.say("The folder is removed; `restante demo --keep` leaves it to look around in.");
    }
    context.say("Next: write a restante.toml for your own account, then `restante check-config --connect`.");
    if context.global.json {
        json::write(&mut stdout(), &told)?;
    }
    Ok(Exit::Done)
}

fn broken(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::words(Exit::Failed, format!("the demo cannot have {what}: {}", chain(error)))
}

/// What came out, for programs.
#[derive(serde::Serialize)]
struct Told {
    messages: u64,
    bytes: u64,
    archive_bytes: u64,
    second_run_bytes_fetched: u64,
    restored: u64,
    identical: bool,
    runs: Vec<Ledger>,
    restore: RestoreReport,
}

struct Demo<'c> {
    context: &'c Context,
    path: PathBuf,
    store: Store,
    server: Embedded,
    stop: Stop,
}

impl Demo<'_> {
    fn tell(&self) -> Result<Told, Failure> {
        let say = |line: &str| self.context.say(line);
        let cannot_fill = |error| broken("a mailbox", &error);
        self.store.add_user(USER, PASSWORD);
        server::sample::fill(&self.store, USER).map_err(cannot_fill)?;
        let (mail, bytes) = self.mail_on_server().map_err(cannot_fill)?;
        let messages: u64 = mail.values().sum();
        say(&format!(
            "1. A mail server on {} has a mailbox of {} messages, {}.",
            self.server.address(),
            count(messages),
            size(bytes)
        ));

        archive::init(&self.archive())?;
        let first = self.pull()?;
        say(&format!(
            "2. First backup: {} of {} messages archived, in {} folders.",
            count(first.totals.archived),
            count(first.totals.on_server),
            count(first.folders.len() as u64)
        ));
        expect(first.outcome == Outcome::Ok, "the first backup is whole", &first)?;

        let second = self.pull()?;
        say(&format!(
            "3. Second backup: {} new, {} fetched. An unchanged mailbox costs a few round trips.",
            count(second.totals.new),
            size(second.totals.bytes_fetched)
        ));
        let nothing = second.outcome == Outcome::Ok && second.totals.bytes_fetched == 0;
        expect(nothing, "the second backup fetches nothing", &second)?;
        let archived = self.report_size(bytes)?;

        self.store.wipe(USER).map_err(|error| broken("a disaster", &error))?;
        let third = self.pull()?;
        say("5. Disaster: the server loses everything, and the next backup sees an empty mailbox.");
        for warning in &third.warnings {
            say(&format!("   The ledger warns: {warning}"));
        }
        expect(third.suspicious, "the loss is noticed", &third)?;

        self.verify()?;
        let before = third.before.as_ref().map(|before| format!("run:{}", before.run));
        let restored = self.restore(before.as_deref())?;
        say(&format!(
            "7. Restore, as of the backup before: {} messages in {} folders given back to the server and proven.",
            count(restored.totals.proven),
            count(restored.folders.len() as u64)
        ));
        self.compare(&mail)?;
        let again = self.restore(before.as_deref())?;
        say(&format!(
            "9. Restore once more: {} added, {} were there. Nothing comes twice.",
            count(again.totals.added),
            count(again.totals.already_there)
        ));
        if again.totals.added > 0 || again.totals.already_there != messages {
            return Err(Failure::words(Exit::Failed, "this does not hold: a second restore adds nothing"));
        }
        Ok(Told {
            messages,
            bytes,
            archive_bytes: archived,
            second_run_bytes_fetched: second.totals.bytes_fetched,
            restored: restored.totals.proven,
            identical: true,
            runs: vec![first, second, third],
            restore: restored,
        })
    }

    fn archive(&self) -> PathBuf {
        self.path.join("archive")
    }

    fn mail_on_server(&self) -> Result<(Mail, u64), server::StoreError> {
        let (mut mail, mut bytes) = (Mail::new(), 0);
        for mailbox in self.store.mailboxes(USER)? {
            for message in self.store.messages(USER, &mailbox.name)? {
                let (flags, date) = (message.flags.to_string(), message.date.to_string());
                let key = (mailbox.name.clone(), MessageKey::of(&message.bytes), flags, date);
                *mail.entry(key).or_default() += 1;
                bytes += message.bytes.len() as u64;
            }
        }
        Ok((mail, bytes))
    }

    fn pull(&self) -> Result<Ledger, Failure> {
        let mut writer = Writer::open(&self.archive(), WriterOptions::default())?;
        let progress = progress::for_account(&self.context.screen, USER);
        let job = Job {
            account: USER.to_owned(),
            protocol: sync::Protocol::Imap,
            endpoint: self.server.endpoint(),
            credentials: remote::Credentials { user: USER.to_owned(), password: PASSWORD.into() },
            filter: FolderFilter::new(&[], &[]).map_err(|error| broken("a filter", &error))?,
            limits: PullLimits { reserve_bytes: 0, ..PullLimits::default() },
        };
        let ledger = sync::pull(&mut writer, &job, &SystemClock::default(), progress.as_ref(), &self.stop);
        if self.stop.requested() {
            return Err(Failure::words(Exit::Failed, "interrupted"));
        }
        Ok(ledger)
    }

    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no 53 bits")]
    fn report_size(&self, mail_bytes: u64) -> Result<u64, Failure> {
        let archive = Archive::open(&self.archive())?;
        let sizes = archive.view().sizes()?;
        let bytes = sizes.pack_bytes + sizes.catalogue_bytes;
        self.context.say(&format!(
            "4. The archive takes {} ({} of mail in packs of {}, and a catalogue), {:.0} % of the mail.",
            size(bytes),
            size(mail_bytes),
            size(sizes.pack_bytes),
            bytes as f64 * 100.0 / mail_bytes.max(1) as f64
        ));
        Ok(bytes)
    }

    fn verify(&self) -> Result<(), Failure> {
        let report = archive::verify(&self.archive(), Depth::Full, None, &mut |_| {})?;
        if !report.damage.is_empty() || !report.messages_hit.is_empty() {
            return Err(Failure::words(Exit::Damaged, "the archive of the demo is damaged"));
        }
        let messages = count(report.messages);
        self.context
            .say(&format!("6. Verify: all {messages} distinct messages re-read and re-hashed, all whole."));
        Ok(())
    }

    /// Gives everything back to the server as it was, by the code of `restore` with its strictest proof.
    fn restore(&self, as_of: Option<&str>) -> Result<RestoreReport, Failure> {
        let archive = Archive::open(&self.archive())?;
        let when = {
            let view = archive.view();
            moment::when(&view, &known_account(&view, USER)?, as_of, false)?
        };
        let job = RestoreJob {
            account: USER.to_owned(),
            endpoint: self.server.endpoint(),
            credentials: remote::Credentials { user: USER.to_owned(), password: PASSWORD.into() },
            filter: FolderFilter::new(&[], &[]).map_err(|error| broken("a filter", &error))?,
            when,
            only: None,
            prefix: None,
            verify: Verify::Full,
            keep_flags: false,
            dry_run: false,
            connections: 2,
            limits: RestoreLimits::default(),
        };
        let watcher = Watcher::new(&self.context.screen, None);
        let report = sync::restore(&archive, &job, &SystemClock::default(), &watcher, &self.stop);
        drop(watcher);
        if self.stop.requested() {
            return Err(Failure::words(Exit::Failed, "interrupted"));
        }
        if report.outcome != RestoreOutcome::Proven {
            let why = report.error.clone().unwrap_or_else(|| json::to_text(&report.totals));
            return Err(Failure::words(
                Exit::Failed,
                format!("this does not hold: all mail is given back ({why})"),
            ));
        }
        Ok(report)
    }

    /// Compares what the server has now with what it had, without asking the code that gave it back.
    fn compare(&self, before: &Mail) -> Result<(), Failure> {
        let (mail, _) = self.mail_on_server().map_err(|error| broken("the mailbox", &error))?;
        if mail != *before {
            return Err(Failure::words(Exit::Failed, "what was given back is not what the server had"));
        }
        self.context.say(&format!(
            "8. Compared, message by message: all {} are as they were before the disaster – folder, every byte, \
             flags, received date.",
            count(mail.values().sum())
        ));
        Ok(())
    }
}

fn expect(holds: bool, what: &str, ledger: &Ledger) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    let why = ledger.error.clone().unwrap_or_else(|| json::to_text(&ledger.totals));
    Err(Failure::words(Exit::Failed, format!("this does not hold: {what} ({why})")))
}

/// For `--keep`: a configuration with which the archive can be looked at.
fn write_configuration(folder: &Path) -> std::io::Result<()> {
    let text = format!(
        "# The demo's archive. Its server is gone; list, show, export, drill, status and verify work.\n\
         [archive]\npath = \"archive\"\n\n[[account]]\nname = \"{USER}\"\nhost = \"localhost\"\n\
         tls = \"none\"\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\n"
    );
    std::fs::write(folder.join("restante.toml"), text)
}
