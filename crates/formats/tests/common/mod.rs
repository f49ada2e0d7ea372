//! Reads exports back, by what the formats promise and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use message::{Flags, InternalDate};
use restante_formats::{ExportMessage, Format, exporter};
use serde_json::Value;

pub type Folder = Vec<String>;

/// A message with all that an export keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub uid: u32,
    pub flags: Flags,
    pub internal_date: String,
    pub bytes: Vec<u8>,
}

pub type Mails = BTreeMap<Folder, Vec<Mail>>;

pub const FORMATS: [Format; 3] = [Format::Eml, Format::Maildir, Format::Mbox];

pub fn key(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

pub fn export(format: Format, dir: &Path, mails: &Mails) {
    let folders: Vec<Folder> = mails.keys().cloned().collect();
    let mut exporter = exporter(format, dir, &folders).unwrap();
    for (folder, mails) in mails {
        exporter.folder(folder).unwrap();
        for mail in mails {
            let (key, date) = (key(&mail.bytes), InternalDate::parse(&mail.internal_date));
            let message =
                ExportMessage { uid: mail.uid, key: &key, flags: &mail.flags, internal_date: &date };
            exporter.message(&message, &mail.bytes).unwrap();
        }
    }
    let summary = exporter.finish().unwrap();
    assert_eq!(summary.folders as usize, mails.len());
    assert_eq!(summary.messages as usize, mails.values().map(Vec::len).sum::<usize>());
}

pub fn read_back(format: Format, dir: &Path) -> Mails {
    lines(&dir.join("folders.jsonl"))
        .into_iter()
        .map(|line| {
            let folder: Folder = serde_json::from_value(line["folder"].clone()).unwrap();
            let path = dir.join(line["path"].as_str().unwrap());
            let mails = match format {
                Format::Eml => read_files(&path, &path, "eml"),
                Format::Maildir => read_maildir(&path),
                Format::Mbox => read_mbox(&path),
            };
            (folder, mails)
        })
        .collect()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn mail(line: &Value, bytes: Vec<u8>) -> Mail {
    assert_eq!(line["key"], key(&bytes), "the bytes are not exact: {line}");
    assert_eq!(line["size"], bytes.len());
    let flags: Vec<String> = serde_json::from_value(line["flags"].clone()).unwrap();
    Mail {
        uid: u32::try_from(line["uid"].as_u64().unwrap()).unwrap(),
        flags: flags.iter().collect(),
        internal_date: line["internal_date"].as_str().unwrap().to_owned(),
        bytes,
    }
}

/// Messages that are files: exactly those that the index names.
fn read_files(folder: &Path, messages: &Path, extension: &str) -> Vec<Mail> {
    let index = lines(&folder.join("index.jsonl"));
    let entries = messages.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| extension.is_empty() || path.extension().is_some_and(|it| it == extension))
        .collect();
    let mut named: Vec<PathBuf> =
        index.iter().map(|line| messages.join(line["file"].as_str().unwrap())).collect();
    let mails = named.iter().zip(&index).map(|(path, line)| {
        let mail = mail(line, std::fs::read(path).unwrap());
        if let Some(seconds) = InternalDate::parse(&mail.internal_date).unix().filter(|&seconds| seconds >= 0)
        {
            let modified = path.metadata().unwrap().modified().unwrap();
            assert_eq!(modified.duration_since(UNIX_EPOCH).unwrap().as_secs() as i64, seconds);
        }
        mail
    });
    let mails = mails.collect();
    found.sort();
    named.sort();
    assert_eq!(found, named);
    mails
}

/// A Maildir as Dovecot would read it; then what its files say is compared with the index.
fn read_maildir(folder: &Path) -> Vec<Mail> {
    for empty in ["new", "tmp"] {
        assert_eq!(folder.join(empty).read_dir().unwrap().count(), 0);
    }
    let keywords: BTreeMap<char, String> = std::fs::read_to_string(folder.join("dovecot-keywords"))
        .unwrap_or_default()
        .lines()
        .map(|line| {
            let (number, keyword) = line.split_once(' ').unwrap();
            (('a'..='z').nth(number.parse().unwrap()).unwrap(), keyword.to_owned())
        })
        .collect();
    let mails = read_files(folder, &folder.join("cur"), "");
    for (mail, line) in mails.iter().zip(lines(&folder.join("index.jsonl"))) {
        let name = line["file"].as_str().unwrap();
        let (unique, letters) = name.split_once(":2,").unwrap();
        assert!(unique.ends_with(&format!(",S={}", mail.bytes.len())), "{name}");
        assert!(letters.as_bytes().is_sorted_by(|a, b| a < b), "{name}");
        for letter in letters.chars() {
            let flag = match letter {
                'D' => "\\Draft",
                'F' => "\\Flagged",
                'R' => "\\Answered",
                'S' => "\\Seen",
                'T' => "\\Deleted",
                keyword => keywords[&keyword].as_str(),
            };
            assert!(mail.flags.contains(flag), "{name} {flag}");
        }
        let common = mail.flags.iter().filter(|flag| !flag.starts_with('\\') || flag.len() < 10);
        if keywords.len() < 26 {
            assert_eq!(
                letters.len(),
                common.filter(|flag| *flag != "\\Odd").count(),
                "{name} {}",
                mail.flags
            );
        }
    }
    mails
}

/// An mbox by the rule of its module: cut at `From ` lines, unquote, and ask the index only whether a
/// line end was added.
fn read_mbox(path: &Path) -> Vec<Mail> {
    let text = std::fs::read(path).unwrap();
    let index = lines(Path::new(&format!("{}.jsonl", path.display())));
    let mut parts: Vec<(usize, Vec<&[u8]>)> = Vec::new();
    let mut offset = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(b"From ") {
            parts.push((offset, Vec::new()));
        }
        parts.last_mut().expect("the file begins with a From line").1.push(line);
        offset += line.len();
    }
    assert_eq!(parts.len(), index.len());
    let read = parts.iter().zip(&index).map(|((offset, part), line)| {
        assert_eq!(line["offset"], *offset);
        assert_eq!(line["length"], part.iter().map(|line| line.len()).sum::<usize>());
        let quoted = |line: &[u8]| {
            let marks = line.iter().take_while(|&&byte| byte == b'>').count();
            marks > 0 && line[marks..].starts_with(b"From ")
        };
        let unquoted = part[1..].iter().map(|line| if quoted(line) { &line[1..] } else { line });
        let mut bytes = unquoted.collect::<Vec<_>>().concat();
        assert_eq!(bytes.pop(), Some(b'\n'));
        if line["line_end_added"] == true {
            assert_eq!(bytes.pop(), Some(b'\n'));
        }
        mail(line, bytes)
    });
    read.collect()
}
