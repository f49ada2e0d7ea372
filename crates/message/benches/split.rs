//! How fast messages are taken apart and proven, and joined, on one core.
//!
//! `RESTANTE_CORPUS=folder cargo bench -p restante-message` adds the files of a folder of mail.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on should stop where it is")]

use std::convert::Infallible;
use std::path::Path;

use divan::Bencher;
use divan::counter::BytesCount;
use restante_message::MessageKey;
use restante_message::split::{Piece, SplitMessage, Splitter};

fn main() {
    divan::main();
}

/// What a network connection hands over at a time.
const PORTION: usize = 64 << 10;

fn split(message: &[u8]) -> (SplitMessage, Vec<Piece>) {
    let mut pieces = Vec::new();
    let mut splitter = Splitter::new();
    for portion in message.chunks(PORTION) {
        splitter.push(portion, &mut |piece| pieces.push(piece));
    }
    (splitter.finish(&mut |piece| pieces.push(piece)).unwrap(), pieces)
}

const HEADER: &str = "From: A <a@example.org>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\
                      Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <1@example.org>\r\n\r\n";

fn text(length: usize) -> Vec<u8> {
    let line = "Words of a letter, in lines of the usual length, as people and programs do.\r\n";
    [HEADER, &line.repeat(length / line.len())].concat().into_bytes()
}

fn base64(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length / 4 * 3];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let chars = base64_simd::STANDARD.encode_to_string(bytes);
    let lines: Vec<&[u8]> = chars.as_bytes().chunks(76).collect();
    [HEADER.as_bytes(), &lines.join(&b"\r\n"[..])].concat()
}

fn corpus() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut folders: Vec<_> = std::env::var_os("RESTANTE_CORPUS").into_iter().map(Into::into).collect();
    while let Some(folder) = folders.pop() {
        for entry in Path::new(&folder).read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                messages.push(std::fs::read(path).unwrap());
            }
        }
    }
    messages
}

#[divan::bench(args = [5_000, 100_000, 16_000_000])]
fn split_text(bencher: Bencher<'_, '_>, length: usize) {
    let message = text(length);
    bencher.counter(BytesCount::new(message.len())).bench(|| split(&message));
}

#[divan::bench(args = [5_000, 100_000, 16_000_000])]
fn split_base64(bencher: Bencher<'_, '_>, length: usize) {
    let message = base64(length);
    bencher.counter(BytesCount::new(message.len())).bench(|| split(&message));
}

#[divan::bench]
fn split_corpus(bencher: Bencher<'_, '_>) {
    let messages = corpus();
    let bytes: usize = messages.iter().map(Vec::len).sum();
    bencher.counter(BytesCount::new(bytes)).bench(|| {
        messages.iter().for_each(|message| {
            divan::black_box(split(message));
        });
    });
}

#[divan::bench]
fn hash_text(bencher: Bencher<'_, '_>) {
    let message = text(16_000_000);
    bencher.counter(BytesCount::new(message.len())).bench(|| MessageKey::of(&message));
}

#[divan::bench]
fn join_base64(bencher: Bencher<'_, '_>) {
    let (split, pieces) = split(&base64(16_000_000));
    let blob = |index: u32| {
        let name = split.recipe.blobs[index as usize].name;
        Ok::<_, Infallible>(&pieces.iter().find(|piece| piece.name == name).unwrap().bytes)
    };
    bencher.counter(BytesCount::new(split.size)).bench(|| {
        let mut joined = 0;
        let out = |bytes: &[u8]| {
            joined += divan::black_box(bytes).len();
            Ok(())
        };
        split.recipe.join(blob, out).unwrap();
        joined
    });
}
