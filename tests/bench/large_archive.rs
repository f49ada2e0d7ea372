//! Makes a large archive without a server: `tests/bench/scale` measures the program on it.
//!
//!     large_archive DIR [--accounts N] [--messages N] [--folders N] [--runs N] [--attachments PERCENT]
//!
//! `messages` small messages are shared out among `accounts`, each with `folders` folders, and archived as a
//! first pull would have done it; every tenth lies in a second folder too. Then each account has `runs` runs
//! that found nothing new. `attachments` percent of the messages carry one that does not shrink. Senders,
//! subjects, flags and dates repeat as they do in mail. The same options give the same mail.
//!
//! Prints one JSON document: what was made, how many bytes of mail that is, and the ids of a few messages.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use archive::{AccountId, EpochId, MailboxSeen, Mark, NewPlacement, Proof, Writer, WriterOptions};
use message::split::Splitter;
use message::{Flags, InternalDate, MailboxName, MessageKey, Uid, UidValidity};

type Failure = Box<dyn std::error::Error>;

/// What a pull puts into one commit, about.
const COMMIT_BYTES: u64 = 8 << 20;
/// Runs without news in one commit: in life each has its own, which costs a sync.
const RUNS_IN_COMMIT: u32 = 100;
/// Ids that are told.
const IDS_TOLD: u64 = 20;

const DAY_MS: i64 = 86_400_000;
/// The last of the first runs; those without news come after it.
const FIRST_RUN_MS: i64 = 1_760_000_000_000;

const WORDS: [&str; 24] = [
    "letter", "post", "office", "keeps", "until", "you", "come", "for", "them", "again", "with", "list",
    "what", "was", "sent", "when", "meeting", "offer", "invoice", "holiday", "garden", "minutes", "draft",
    "answer",
];

struct Options {
    dir: PathBuf,
    accounts: u64,
    messages: u64,
    folders: u64,
    runs: u32,
    attachments: u64,
}

fn options() -> Result<Options, Failure> {
    let mut given = std::env::args().skip(1);
    let dir = PathBuf::from(given.next().ok_or("which folder?")?);
    let mut options = Options { dir, accounts: 1, messages: 1_000, folders: 5, runs: 0, attachments: 0 };
    while let Some(name) = given.next() {
        let number: u64 = given.next().ok_or("a number is missing")?.parse()?;
        match name.as_str() {
            "--accounts" => options.accounts = number.max(1),
            "--messages" => options.messages = number,
            "--folders" => options.folders = number.max(1),
            "--runs" => options.runs = u32::try_from(number)?,
            "--attachments" => options.attachments = number,
            _ => return Err(format!("{name}?").into()),
        }
    }
    Ok(options)
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    let mut made = Made::begin(&options.dir)?;
    for number in 0..options.accounts {
        let share =
            options.messages * (number + 1) / options.accounts - options.messages * number / options.accounts;
        made.account(&options, number, share)?;
    }
    made.writer.commit()?;
    let document = serde_json::json!({
        "accounts": options.accounts, "messages": made.messages, "placements": made.placements,
        "mail_bytes": made.bytes, "runs": options.accounts * u64::from(options.runs + 1), "ids": made.ids,
    });
    writeln!(std::io::stdout(), "{document}")?;
    Ok(())
}

/// The archive, and what is in it so far.
struct Made {
    writer: Writer,
    chance: Chance,
    messages: u64,
    placements: u64,
    bytes: u64,
    ids: Vec<String>,
}

/// A folder of an account, and the UID that was given last.
struct Folder {
    name: String,
    epoch: EpochId,
    uid: u32,
}

impl Made {
    fn begin(dir: &Path) -> Result<Self, Failure> {
        archive::init(dir)?;
        let writer = Writer::open(dir, WriterOptions::default())?;
        Ok(Self { writer, chance: Chance(2026), messages: 0, placements: 0, bytes: 0, ids: Vec::new() })
    }

    /// One account with its mail, and the runs after that.
    fn account(&mut self, options: &Options, number: u64, share: u64) -> Result<(), Failure> {
        let account = self.writer.account(&format!("account-{number:03}"), "imap")?;
        let run = self.writer.begin_run(account, FIRST_RUN_MS)?;
        let mut folders = self.folders(account, options.folders)?;
        let told_every = (options.messages / IDS_TOLD).max(1);
        for _ in 0..share {
            let mail = self.chance.mail(self.messages, options.attachments);
            let key = self.put(&mail.bytes)?;
            let first = if self.chance.below(2) == 0 { 0 } else { self.chance.below(options.folders) };
            self.place(&mut folders[usize::try_from(first)?], key, &mail)?;
            if self.messages.is_multiple_of(10) {
                let second = (first + 1) % options.folders;
                self.place(&mut folders[usize::try_from(second)?], key, &mail)?;
            }
            if self.messages.is_multiple_of(told_every) {
                self.ids.push(key.to_string());
            }
            self.messages += 1;
            self.bytes += mail.bytes.len() as u64;
            if self.writer.uncommitted_bytes() > COMMIT_BYTES {
                self.writer.commit()?;
            }
        }
        for folder in &folders {
            let mark =
                Mark { uid_next: Uid::new(folder.uid + 1), highest_modseq: None, messages: folder.uid };
            self.writer.mark(folder.epoch, &mark)?;
        }
        let first = ledger(&folders, share, FIRST_RUN_MS);
        self.writer.end_run(run, "ok", FIRST_RUN_MS + 60_000, &first)?;
        self.runs_without_news(options, account, &folders)
    }

    fn folders(&mut self, account: AccountId, count: u64) -> Result<Vec<Folder>, Failure> {
        let mut folders = Vec::new();
        for number in 0..count {
            let name = if number == 0 { "INBOX".to_owned() } else { format!("Archive/{}", 2000 + number) };
            let seen = MailboxSeen {
                name: MailboxName::from_text(&name, Some(b'/')),
                attributes: vec!["\\HasNoChildren".to_owned()],
                special_use: None,
                subscribed: true,
                object_id: None,
                selectable: true,
            };
            let mailbox = self.writer.mailbox(account, &seen)?;
            let epoch = self.writer.epoch(mailbox, UidValidity::new(1_700_000_000))?;
            folders.push(Folder { name, epoch, uid: 0 });
        }
        Ok(folders)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<MessageKey, Failure> {
        let mut pieces = Vec::new();
        let mut splitter = Splitter::new();
        splitter.push(bytes, &mut |piece| pieces.push(piece));
        let message = splitter.finish(&mut |piece| pieces.push(piece))?;
        for piece in pieces {
            self.writer.put_blob(piece)?;
        }
        self.writer.put_message(&message)?;
        Ok(message.key)
    }

    fn place(&mut self, folder: &mut Folder, message: MessageKey, mail: &Mail) -> Result<(), Failure> {
        folder.uid += 1;
        let uid = Uid::new(folder.uid).ok_or("a folder is full")?;
        let internal_date = InternalDate::from_unix(mail.received, 60);
        let flags = Flags::parse(mail.flags);
        let placement = NewPlacement { message, internal_date, flags, proof: Proof::Bytes };
        self.writer.place(folder.epoch, uid, placement)?;
        self.placements += 1;
        Ok(())
    }

    /// An hour apart, the last ones a moment ago.
    fn runs_without_news(
        &mut self,
        options: &Options,
        account: AccountId,
        folders: &[Folder],
    ) -> Result<(), Failure> {
        let now_ms = std::time::UNIX_EPOCH.elapsed().map(|since| since.as_millis())?;
        let now_ms = i64::try_from(now_ms)?;
        for number in 0..options.runs {
            let started_ms = now_ms - i64::from(options.runs - number) * (DAY_MS / 24);
            let run = self.writer.begin_run(account, started_ms)?;
            self.writer.end_run(run, "ok", started_ms + 900, &ledger(folders, 0, started_ms))?;
            if number % RUNS_IN_COMMIT == 0 {
                self.writer.commit()?;
            }
        }
        Ok(())
    }
}

/// As a pull writes it.
fn ledger(folders: &[Folder], new: u64, started_ms: i64) -> String {
    let all: u64 = folders.iter().map(|folder| u64::from(folder.uid)).sum();
    let counts = |held: u64, new: u64| {
        serde_json::json!({"on_server": held, "archived": held, "new": new, "healed": 0, "bytes_fetched": 0,
            "flags_changed": 0, "vanished": 0, "replaced": 0, "matched_by_header": 0})
    };
    let folders: Vec<serde_json::Value> = folders
        .iter()
        .map(|folder| {
            let mut row = counts(u64::from(folder.uid), 0);
            row["folder"] = folder.name.as_str().into();
            (row["skipped"], row["failed"]) = (serde_json::json!([]), serde_json::json!([]));
            row
        })
        .collect();
    let mut totals = counts(all, new);
    (totals["skipped"], totals["failed"]) = (0.into(), 0.into());
    serde_json::json!({"account": "bench", "protocol": "imap", "started": started_ms.to_string(),
        "finished": (started_ms + 900).to_string(), "outcome": "ok", "suspicious": false, "warnings": [],
        "totals": totals, "excluded": [], "folders": folders})
    .to_string()
}

/// A message as it comes from a server.
struct Mail {
    bytes: Vec<u8>,
    received: i64,
    flags: &'static str,
}

/// Numbers from a seed: splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn words(&mut self, count: u64) -> String {
        let mut text = String::new();
        for number in 0..count {
            text.push_str(if number == 0 {
                ""
            } else if number % 12 == 0 {
                "\r\n"
            } else {
                " "
            });
            text.push_str(WORDS[usize::try_from(self.below(WORDS.len() as u64)).unwrap_or(0)]);
        }
        text
    }

    /// The message of this number: a header block of some 600 bytes, a text of 100 to 1,500.
    fn mail(&mut self, number: u64, attachments: u64) -> Mail {
        let received = 1_100_000_000 + i64::try_from(number).unwrap_or(0) * 97 % 650_000_000;
        // Few write much, many write little.
        let sender = self.below(30) * self.below(200);
        let (id, host) = (self.next(), sender % 97);
        let subject = if self.below(3) == 0 {
            format!("Re: {}", WORDS[usize::try_from(sender % 24).unwrap_or(0)])
        } else {
            self.words(5)
        };
        let mut text = format!(
            "Return-Path: <sender.{sender}@mx{host}.example.org>\r\n\
             Received: from mx{host}.example.org (mx{host}.example.org [192.0.2.{host}])\r\n\tby mail.example.net \
             with ESMTPS id {id:016x}\r\n\tfor <me@example.net>; Mon, 2 Mar 2020 10:00:00 +0000\r\n\
             Message-ID: <{id:016x}.{number}@mx{host}.example.org>\r\n\
             From: Sender Number {sender} <sender.{sender}@mx{host}.example.org>\r\nTo: me@example.net\r\n\
             Subject: {subject}\r\nDate: Mon, 2 Mar 2020 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        );
        let length = 20 + self.below(200);
        let body = self.words(length);
        if self.below(100) < attachments {
            text.push_str(
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n",
            );
            text.push_str(&body);
            text.push_str("\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n");
            let lines = 300 + self.below(9_000);
            self.base64(&mut text, lines);
            text.push_str("--b--\r\n");
        } else {
            text.push_str("Content-Type: text/plain; charset=utf-8\r\n\r\n");
            text.push_str(&body);
            text.push_str("\r\n");
        }
        let flags = ["\\Seen", "\\Seen", "\\Seen", "", "\\Answered \\Seen", "\\Flagged \\Seen"];
        let flags = flags[usize::try_from(self.below(flags.len() as u64)).unwrap_or(0)];
        Mail { bytes: text.into_bytes(), received, flags }
    }

    /// Lines of base64 that no compressor shrinks once they are decoded.
    fn base64(&mut self, text: &mut String, lines: u64) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for _ in 0..lines {
            let mut bits = 0;
            for column in 0..76 {
                // Ten characters from each number.
                bits = if column % 10 == 0 { self.next() } else { bits >> 6 };
                text.push(char::from(ALPHABET[(bits & 63) as usize]));
            }
            text.push_str("\r\n");
        }
    }
}
