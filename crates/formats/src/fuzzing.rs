//! What must hold for any names and any messages: the laws of this crate's fuzz targets.
//!
//! [`names`] is about names alone, [`mbox`] about one file in memory; [`export`] writes whole exports
//! of folders with names from nowhere, in all three formats, and looks at what lies on the disk
//! afterwards: every message where the index says, with its bytes, and nothing outside the target.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use message::{Flags, InternalDate};

use crate::layout::Layout;
use crate::names::{Dots, MAX_NAME, encode, folded};
use crate::{ExportMessage, Format, exporter};

/// Folders of one input, and levels of one folder.
const MOST_FOLDERS: usize = 12;
const MOST_LEVELS: usize = 40;

/// One folder a line, its levels with `/` between: all paths are safe on every file system and differ
/// from one another, also where case and normalisation do not count, and in whatever order the
/// folders come.
pub fn names(data: &[u8]) {
    let folders = folders(data);
    for component in folders.iter().flatten() {
        for dots in [Dots::AtTheEdges, Dots::Everywhere] {
            is_safe(&encode(component, dots), MAX_NAME);
        }
    }
    let backwards: Vec<Vec<String>> = folders.iter().rev().cloned().collect();
    for layout in [Layout::nested, Layout::flat] {
        let (one, other) = (layout(&folders), layout(&backwards));
        let mut taken = HashMap::new();
        for folder in &folders {
            let path = one.path(folder).expect("the layout was made for it");
            assert_eq!(other.path(folder), Some(path), "the order of folders matters");
            path.iter().for_each(|name| is_safe(name, 255 - ".mbox.jsonl".len()));
            assert!(path.iter().map(|name| name.len() + 1).sum::<usize>() <= 2048 + 256);
            let folded: Vec<String> = path.iter().map(|name| folded(name)).collect();
            let before = taken.insert(folded, folder);
            assert!(
                before.is_none_or(|before| before == folder),
                "{before:?} and {folder:?} lie in {path:?}"
            );
        }
    }
}

/// A name that means nothing to any file system but itself.
fn is_safe(name: &str, most: usize) {
    assert!(!name.is_empty() && name.len() <= most, "{name:?}");
    assert!(name != "." && name != ".." && !name.contains(['/', '\\', ':', '\0']), "{name:?}");
    assert!(!name.contains(char::is_control) && !name.ends_with(['.', ' ']), "{name:?}");
}

fn folders(data: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(data);
    let lines = text.split('\n').take(MOST_FOLDERS);
    lines.map(|line| line.split('/').take(MOST_LEVELS).map(str::to_owned).collect()).collect()
}

/// Messages in an mbox, apart from one another by lines of `%%`: read by the rules of the module
/// `mbox` alone they come back, byte for byte.
pub fn mbox(data: &[u8]) {
    let messages = messages(data);
    let mut file = Vec::new();
    let mut added = Vec::new();
    for message in &messages {
        added.push(!message.ends_with(b"\n"));
        file.extend_from_slice(b"From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n");
        crate::mbox::write_quoted(&mut file, message).expect("memory takes everything");
        file.extend_from_slice(if added.last() == Some(&true) { b"\n\n" } else { b"\n" });
    }
    let read = read_mbox(&file);
    assert_eq!(read.len(), messages.len());
    for ((read, message), added) in read.iter().zip(&messages).zip(added) {
        let read = if added { read.strip_suffix(b"\n").expect("a line end was added") } else { &read[..] };
        assert_eq!(read, message);
    }
}

fn messages(data: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = vec![Vec::new()];
    for line in data.split_inclusive(|&byte| byte == b'\n') {
        match messages.last_mut() {
            Some(_) if line == b"%%\n" => messages.push(Vec::new()),
            Some(message) => message.extend_from_slice(line),
            None => {}
        }
    }
    messages
}

/// Cut at `From `, the first line and the last line feed dropped, one `>` taken from quoted lines.
fn read_mbox(file: &[u8]) -> Vec<Vec<u8>> {
    let mut read: Vec<Vec<u8>> = Vec::new();
    for line in file.split_inclusive(|&byte| byte == b'\n') {
        let marks = line.iter().take_while(|&&byte| byte == b'>').count();
        if line.starts_with(b"From ") {
            read.push(Vec::new());
        } else if let Some(message) = read.last_mut() {
            let quoted = marks > 0 && line[marks..].starts_with(b"From ");
            message.extend_from_slice(if quoted { &line[1..] } else { line });
        }
    }
    for message in &mut read {
        assert_eq!(message.pop(), Some(b'\n'));
    }
    read
}

/// Whole exports. The first lines are folders as in [`names`], up to an empty one; then flags, a date,
/// and messages as in [`mbox`], which go to the folders in turn.
pub fn export(data: &[u8]) {
    let (head, rest) = cut(data, b"\n\n");
    let (flags, rest) = cut(rest, b"\n");
    let (date, rest) = cut(rest, b"\n");
    let mut folders = folders(head);
    folders.sort();
    folders.dedup();
    let (flags, date) = (String::from_utf8_lossy(flags), String::from_utf8_lossy(date));
    let (flags, date) = (Flags::parse(&flags), InternalDate::parse(&date));
    let messages = messages(rest);
    for format in [Format::Eml, Format::Maildir, Format::Mbox] {
        let dir = tempfile::tempdir().expect("tests have a folder to write to");
        let target = dir.path().join("target");
        write(format, &target, &folders, (&flags, &date), &messages);
        let files = files_below(dir.path(), &target);
        let mut found: HashSet<Vec<u8>> = HashSet::new();
        for file in files {
            let bytes = std::fs::read(&file).expect("it was just written");
            if file.extension().is_some_and(|extension| extension == "mbox") {
                found.extend(read_mbox(&bytes));
            } else {
                found.insert(bytes);
            }
        }
        for message in &messages {
            let with_line_end = [&message[..], b"\n"].concat();
            let there = found.contains(message)
                || format == Format::Mbox && !message.ends_with(b"\n") && found.contains(&with_line_end);
            assert!(there, "{format:?} has lost {message:?}");
        }
    }
}

fn write(
    format: Format,
    target: &Path,
    folders: &[Vec<String>],
    (flags, internal_date): (&Flags, &InternalDate),
    messages: &[Vec<u8>],
) {
    let mut exporter = exporter(format, target, folders).expect("the target is missing");
    for ((uid, bytes), folder) in (1..).zip(messages).zip(folders.iter().cycle()) {
        let key = blake3::hash(bytes).to_hex();
        exporter.folder(folder).expect("a folder that was told");
        let message = ExportMessage { uid: uid / 2, key: &key, flags, internal_date };
        exporter.message(&message, bytes).expect("any message can be written");
    }
    let summary = exporter.finish().expect("everything can be written");
    assert_eq!(summary.messages, messages.len() as u64);
}

/// Every regular file; nothing but the target and what is in it lies in `dir`.
fn files_below(dir: &Path, target: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut waiting = vec![dir.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).expect("it was just written") {
            let entry = entry.expect("it was just written");
            let kind = entry.file_type().expect("it was just written");
            assert!(entry.path().starts_with(target), "{} was written", entry.path().display());
            assert!(kind.is_dir() || kind.is_file(), "{} is no file", entry.path().display());
            if kind.is_dir() { waiting.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files
}

fn cut<'d>(data: &'d [u8], at: &[u8]) -> (&'d [u8], &'d [u8]) {
    match memchr::memmem::find(data, at) {
        Some(found) => (&data[..found], &data[found + at.len()..]),
        None => (data, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m10_m11_m12_any_folder_name_becomes_a_safe_path_of_its_own() {
        seeds::replay("names", names);
        seeds::mutate("names", names, 5_000);
    }

    #[test]
    fn m13_any_messages_come_back_from_an_mbox() {
        seeds::replay("mbox", mbox);
        seeds::mutate("mbox", mbox, 10_000);
    }

    #[test]
    fn m10_no_folder_name_makes_an_export_write_outside_its_target() {
        seeds::replay("export", export);
        seeds::mutate("export", export, 100);
    }
}
