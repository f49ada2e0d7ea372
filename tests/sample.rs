//! Mail for the tests: numbered messages, each different, and the files of a corpus.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use message::{Flags, InternalDate};
use server::sample::Random;
use testkit::Imap;

/// A message that is different for each number: every third is multipart with an attachment, and
/// attachments repeat.
#[must_use]
pub fn mail(number: u32) -> Vec<u8> {
    let mut text = format!(
        "Return-Path: <sender{}@example.org>\r\nReceived: from mx{number}.example.org (192.0.2.{}) by mail.example.org\r\n\
         \tid {:08x}; Mon, 2 Mar 2026 10:00:00 +0000\r\nMessage-ID: <{number}.test@example.org>\r\n\
         From: Sender {number} <sender@example.org>\r\nSubject: Message number {number}\r\n\
         Date: Mon, 2 Mar 2026 10:00:00 +0000\r\n",
        number % 7,
        number % 250,
        number.wrapping_mul(2_654_435_761)
    );
    let words = ["letter", "post", "office", "keeps", "until", "you", "come", "for", "them", "again"];
    let mut state = number.wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut body = String::new();
    for _ in 0..40 + next() % 300 {
        body.push_str(words[(next() % 10) as usize]);
        body.push_str(if next().is_multiple_of(12) { "\r\n" } else { " " });
    }
    if !number.is_multiple_of(3) {
        let _ = write!(text, "\r\n{body}\r\n");
        return text.into_bytes();
    }
    let mut attachment = (number / 9).wrapping_add(77);
    let mut encoded = String::new();
    for _ in 0..60 + (number / 9) % 90 {
        for _ in 0..76 {
            attachment = attachment.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            encoded.push(char::from(alphabet[(attachment >> 26) as usize]));
        }
        encoded.push_str("\r\n");
    }
    let _ = write!(
        text,
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\n\r\n{body}\r\n--b\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}--b--\r\n"
    );
    text.into_bytes()
}

/// A message of 40 KB, half words and half what hardly shrinks. Half of its lines stand in each message of this
/// number, as what is quoted does, whatever `random` gives: a pull cannot know it of the runs before, a compaction
/// sees it. (Not the beginnings: by these mail is recognised.)
#[must_use]
pub fn quoting_mail(number: u32, random: &mut Random) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "invoice", "meeting", "tomorrow", "regards", "attached", "please", "project", "because", "Tuesday",
        "question", "answer", "between",
    ];
    let mut mail = format!("Subject: mail {number}\r\nFrom: a@example.org\r\n\r\n");
    let mut quoted = Random::new(u64::from(number));
    for line in 0..700 {
        let random = if line % 20 >= 10 { &mut quoted } else { &mut *random };
        let digits: Vec<String> = (0..3).map(|_| format!("{:x}", random.below(usize::MAX >> 8))).collect();
        let words: Vec<&str> = (0..6).map(|_| WORDS[random.below(WORDS.len())]).collect();
        let _ = write!(mail, "{} {}\r\n", words.join(" "), digits.join(" "));
    }
    mail.into_bytes()
}

/// A message with an attachment of so many octets that nothing makes smaller.
#[must_use]
pub fn noisy_mail(number: u32, octets: usize, random: &mut Random) -> Vec<u8> {
    let mut mail = format!(
        "Subject: noise {number}\r\nFrom: a@example.org\r\nContent-Type: application/octet-stream\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n"
    );
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for _ in 0..octets / 57 {
        mail.extend((0..76).map(|_| char::from(alphabet[random.below(alphabet.len())])));
        mail.push_str("\r\n");
    }
    mail.into_bytes()
}

/// The received date of [`mail`]: a second apart for each number.
#[must_use]
pub fn date(number: u32) -> InternalDate {
    InternalDate::from_unix(1_772_445_600 + i64::from(number), 60)
}

/// Puts the messages of these numbers into a mailbox of the server.
pub fn append(judge: &mut Imap, mailbox: &str, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        let flags = ["", "\\Seen", "\\Seen \\Answered", "\\Flagged $Forwarded", "\\Draft \\Seen Todo"];
        let flags = Flags::parse(flags[number as usize % flags.len()]);
        judge.append(mailbox, &flags, &date(number), &mail(number));
    }
}

/// The files of the corpus of real mail that `RESTANTE_CORPUS` names, one message each; `None` where
/// it names none.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn corpus() -> Option<Vec<Vec<u8>>> {
    let mut folders = vec![PathBuf::from(std::env::var_os("RESTANTE_CORPUS")?)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the corpus can be read") {
            let path = entry.expect("the corpus can be read").path();
            let kept = if path.is_dir() { &mut folders } else { &mut files };
            kept.push(path);
        }
    }
    files.sort();
    Some(files.iter().map(|file| fs::read(file).expect("a file of the corpus")).collect())
}
