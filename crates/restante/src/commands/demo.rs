//! `demo`: the whole life of a backup in a temporary folder, told step by step.
//!
//! An embedded mail server is filled, backed up, asked again (nothing is fetched), and loses
//! everything; then the archive is proven and gives every message back, byte for byte. Everything is
//! done by the code that backs up real mail; only the server is small.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archive::{Archive, Depth, Writer, WriterOptions};
use message::MessageKey;
use server::Store;
use sync::{FolderFilter, Job, Ledger, Outcome, PullLimits, Stop, SystemClock};

use super::Context;
use super::embedded::Embedded;
use super::export::{self, Wanted};
use super::stop::listen;
use crate::cli::ExportFormat;
use crate::exit::{Exit, Failure, chain};
use crate::output::amount::{count, size};
use crate::output::{json, progress, stdout};

const USER: &str = "demo";
const PASSWORD: &str = "demo";

/// How often each message, by its key, is there.
type Mail = BTreeMap<MessageKey, u64>;

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
        let restored = self.export(&mail)?;
        let (second_run_bytes_fetched, archive_bytes) = (second.totals.bytes_fetched, archived);
        let runs = vec![first, second, third];
        Ok(Told { messages, bytes, archive_bytes, second_run_bytes_fetched, restored, identical: true, runs })
    }

    fn archive(&self) -> PathBuf {
        self.path.join("archive")
    }

    fn mail_on_server(&self) -> Result<(Mail, u64), server::StoreError> {
        let (mut mail, mut bytes) = (Mail::new(), 0);
        for mailbox in self.store.mailboxes(USER)? {
            for message in self.store.messages(USER, &mailbox.name)? {
                *mail.entry(MessageKey::of(&message.bytes)).or_default() += 1;
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

    /// Writes everything out as files, and compares what the files hold with what the server had.
    fn export(&self, mail: &Mail) -> Result<u64, Failure> {
        let dir = self.path.join("export");
        let archive = Archive::open(&self.archive())?;
        let wanted = Wanted { as_of: None, deleted: true, format: ExportFormat::Eml, dir: &dir };
        let everything = FolderFilter::new(&[], &[]).map_err(|error| broken("a filter", &error))?;
        export::account(&archive.view(), USER, &everything, &wanted)?;
        let written = mail_in_files(&dir).map_err(|error| broken("the exported files", &error))?;
        let total: u64 = written.values().sum();
        if written != *mail {
            return Err(Failure::words(Exit::Failed, "what was given back is not what the server had"));
        }
        self.context.say(&format!(
            "7. Export: {} messages written as files; each compared with what the server had: equal, byte for byte.",
            count(total)
        ));
        Ok(total)
    }
}

fn expect(holds: bool, what: &str, ledger: &Ledger) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    let why = ledger.error.clone().unwrap_or_else(|| json::to_text(&ledger.totals));
    Err(Failure::words(Exit::Failed, format!("this does not hold: {what} ({why})")))
}

/// The mail in all `.eml` files below a folder.
fn mail_in_files(dir: &Path) -> std::io::Result<Mail> {
    let mut mail = Mail::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "eml") {
                *mail.entry(MessageKey::of(&std::fs::read(&path)?)).or_default() += 1;
            }
        }
    }
    Ok(mail)
}

/// For `--keep`: a configuration with which the archive can be looked at.
fn write_configuration(folder: &Path) -> std::io::Result<()> {
    let text = format!(
        "# The demo's archive. Its server is gone; list, show, export, status and verify work.\n\
         [archive]\npath = \"archive\"\n\n[[account]]\nname = \"{USER}\"\nhost = \"localhost\"\n\
         tls = \"none\"\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\n"
    );
    std::fs::write(folder.join("restante.toml"), text)
}
