//! Every file of a folder of real mail comes back byte for byte, as it is and with CRLF line ends.
//!
//! The folder is named by `RESTANTE_CORPUS`; without it there is nothing to test.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
#![allow(clippy::print_stderr, reason = "a test that tests nothing says so")]

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use restante_message::recipe::Stream;
use restante_message::split::{Piece, Splitter};
use restante_message::{BlobName, MessageKey};

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut converted = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        match line {
            [.., b'\r', b'\n'] => converted.extend_from_slice(line),
            [text @ .., b'\n'] => converted.extend_from_slice(&[text, b"\r\n"].concat()),
            _ => converted.extend_from_slice(line),
        }
    }
    converted
}

/// Splits, joins and compares; gives the names and lengths of the attachments.
fn assert_exact(bytes: &[u8], path: &Path) -> Vec<(BlobName, usize)> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut splitter = Splitter::new();
    for portion in bytes.chunks(8192) {
        splitter.push(portion, &mut |piece| pieces.push(piece));
    }
    let split = splitter.finish(&mut |piece| pieces.push(piece)).unwrap();
    let blobs: HashMap<BlobName, &Piece> = pieces.iter().map(|piece| (piece.name, piece)).collect();
    let mut joined = Vec::with_capacity(bytes.len());
    let blob = |index: u32| Ok::<_, Infallible>(&blobs[&split.recipe.blobs[index as usize].name].bytes);
    let out = |piece: &[u8]| {
        joined.extend_from_slice(piece);
        Ok(())
    };
    split.recipe.join(blob, out).unwrap();
    assert!(joined == bytes, "{} does not come back", path.display());
    assert_eq!(split.key, MessageKey::of(bytes));
    let attachments = pieces.iter().filter(|piece| piece.stream == Stream::Attachment);
    attachments.map(|piece| (piece.name, piece.bytes.len())).collect()
}

#[test]
fn every_file_comes_back_whatever_its_line_ends() {
    let Some(folder) = std::env::var_os("RESTANTE_CORPUS") else {
        eprintln!("skipped: RESTANTE_CORPUS names no folder");
        return;
    };
    let mut files = Vec::new();
    files_below(Path::new(&folder), &mut files);
    assert!(!files.is_empty(), "{} is empty", folder.display());
    let (mut runs, mut decoded, mut distinct) = (0, 0, HashSet::new());
    for path in &files {
        let bytes = std::fs::read(path).unwrap();
        let crlf = with_crlf(&bytes);
        let attachments = assert_exact(&bytes, path);
        let same_with_crlf = assert_exact(&crlf, path);
        if !bytes.contains(&b'\r') {
            assert_eq!(attachments, same_with_crlf, "{}: line ends change the attachments", path.display());
        }
        runs += attachments.len();
        decoded += attachments.iter().map(|(_, length)| length).sum::<usize>();
        distinct.extend(attachments);
    }
    let kept: usize = distinct.iter().map(|(_, length)| length).sum();
    eprintln!(
        "{} files: {runs} runs of {decoded} bytes, {} distinct of {kept} bytes",
        files.len(),
        distinct.len()
    );
}
