//! join(split(x)) = x, for bytes of every kind, and what the split must not depend on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use std::collections::HashMap;
use std::convert::Infallible;

use proptest::prelude::*;
use restante_message::recipe::{LineEnd, Recipe, Step, Stream};
use restante_message::split::{MAX_BLOB, Piece, SplitMessage, Splitter};
use restante_message::{BlobName, MessageKey};

/// Splits bytes that come in portions of these sizes, over and over.
fn split_in(bytes: &[u8], portions: &[usize]) -> (SplitMessage, Vec<Piece>) {
    let mut pieces = Vec::new();
    let mut splitter = Splitter::new();
    let mut rest = bytes;
    for portion in portions.iter().cycle() {
        let (now, later) = rest.split_at((*portion).min(rest.len()));
        splitter.push(now, &mut |piece| pieces.push(piece));
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    let split = splitter.finish(&mut |piece| pieces.push(piece)).unwrap();
    (split, pieces)
}

/// Splits bytes that are there as a whole, which must not differ.
fn split(bytes: &[u8]) -> (SplitMessage, Vec<Piece>) {
    let mut pieces = Vec::new();
    let split = restante_message::split::split(bytes, &mut |piece| pieces.push(piece)).unwrap();
    let whole = (split, pieces);
    assert!(whole == split_in(bytes, &[usize::MAX]));
    whole
}

fn join(recipe: &Recipe, pieces: &[Piece]) -> Vec<u8> {
    let blobs: HashMap<BlobName, &[u8]> =
        pieces.iter().map(|piece| (piece.name, piece.bytes.as_slice())).collect();
    let mut joined = Vec::new();
    recipe
        .join(
            |index| Ok::<_, Infallible>(blobs[&recipe.blobs[index as usize].name]),
            |bytes| {
                joined.extend_from_slice(bytes);
                Ok(())
            },
        )
        .unwrap();
    joined
}

/// Everything that holds for every message.
fn assert_exact(bytes: &[u8]) -> (SplitMessage, Vec<Piece>) {
    let (split, pieces) = split(bytes);
    assert!(join(&split.recipe, &pieces) == bytes, "the joined message differs");
    assert_eq!(split.key, MessageKey::of(bytes));
    assert_eq!(split.size, bytes.len() as u64);
    assert_eq!(split.recipe.size(), Ok(split.size));
    let mut steps = Vec::new();
    split.recipe.encode_steps(&mut steps);
    assert_eq!(Recipe::decode_steps(&steps), Ok(split.recipe.steps.clone()));
    for piece in &pieces {
        assert_eq!(piece.name, BlobName::of(&piece.bytes));
        assert!((1..=MAX_BLOB).contains(&piece.bytes.len()));
    }
    (split, pieces)
}

fn attachments(pieces: &[Piece]) -> Vec<BlobName> {
    pieces.iter().filter(|piece| piece.stream == Stream::Attachment).map(|piece| piece.name).collect()
}

/// Base64 as a mailer writes it.
fn base64(bytes: &[u8], line_length: usize, line_end: &str, closed: bool) -> Vec<u8> {
    let chars = base64_simd::STANDARD.encode_to_string(bytes);
    let lines: Vec<&[u8]> = chars.as_bytes().chunks(line_length).collect();
    let mut text = lines.join(line_end.as_bytes());
    if closed {
        text.extend_from_slice(line_end.as_bytes());
    }
    text
}

/// Bytes that look like a file: not all alike, the same for the same seed.
fn file(length: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}

fn mail(parts: &[&[u8]]) -> Vec<u8> {
    [&[&b"Subject: test\r\n\r\n--b\r\n"[..]], parts].concat().join(&b"\r\n--b\r\n"[..])
}

#[test]
fn a_plain_mail_is_two_blobs_and_two_steps() {
    let (split, pieces) = assert_exact(b"From: a@example.org\r\nSubject: hello\r\n\r\nHello.\r\n");
    let parts: Vec<(Stream, &[u8])> =
        pieces.iter().map(|piece| (piece.stream, piece.bytes.as_slice())).collect();
    let header = &b"From: a@example.org\r\nSubject: hello\r\n\r\n"[..];
    assert_eq!(parts, [(Stream::Header, header), (Stream::Text, b"Hello.\r\n")]);
    assert_eq!(split.recipe.steps.len(), 2);
    assert_eq!(split.recipe.header().unwrap().name, BlobName::of(header));
    assert_eq!((split.fields.subject.as_str(), split.fields.from.as_str()), ("hello", "a@example.org"));
}

#[test]
fn the_header_block_ends_with_the_first_empty_line() {
    for (bytes, header) in [
        ("", 0),
        ("\r\nbody", 2),
        ("\nbody", 1),
        ("a: b", 4),
        ("a: b\r\n", 6),
        ("a: b\r\n\r\n", 8),
        ("a: b\r\n\nbody", 7),
        ("a: b\n\r\nbody", 7),
        ("a: b\r\r\n\r\rx\n\nbody", 12),
        ("a: b\n \n\nbody", 8),
        ("\r", 1),
        ("\r\r\n\nbody", 4),
    ] {
        let (split, _) = assert_exact(bytes.as_bytes());
        assert_eq!(split.recipe.header().map_or(0, |blob| blob.length), header, "{bytes:?}");
    }
}

#[test]
fn an_attachment_is_one_blob_whatever_its_lines_look_like() {
    let file = file(100_000, 1);
    for line_length in [60, 64, 72, 76, 4, 996] {
        for line_end in ["\r\n", "\n"] {
            for closed in [true, false] {
                let (_, pieces) =
                    assert_exact(&mail(&[b"text", &base64(&file, line_length, line_end, closed), b"text"]));
                assert_eq!(
                    attachments(&pieces),
                    [BlobName::of(&file)],
                    "{line_length} {line_end:?} {closed}"
                );
            }
        }
    }
}

#[test]
fn a_long_attachment_is_cut_at_the_same_places_whatever_stands_before_it() {
    let file = file(10_000_000, 2);
    let (_, pieces) = assert_exact(&mail(&[&base64(&file, 76, "\r\n", true)]));
    let names = attachments(&pieces);
    assert_eq!(names.len(), 3);
    for line_length in [60, 64, 72] {
        let text = "Some words before.\n".repeat(line_length);
        let (_, pieces) = assert_exact(&mail(&[text.as_bytes(), &base64(&file, line_length, "\n", false)]));
        assert_eq!(attachments(&pieces), names);
    }
    assert_exact(&mail(&[&base64(&file, 92, "\n", false)]));
}

#[test]
fn text_around_a_heavy_attachment_is_joined_in_its_place() {
    let parts: Vec<Vec<u8>> = (0..4).map(|seed| base64(&file(5_000_000, seed), 76, "\r\n", true)).collect();
    let message =
        mail(&[b"one", &parts[0], b"two", &parts[1], b"three", &parts[2], b"four", &parts[3], b"five"]);
    let (split, _) = assert_exact(&message);
    let texts = split.recipe.blobs.iter().filter(|blob| blob.stream == Stream::Text).count();
    assert!((1..=3).contains(&texts), "{texts} text blobs");
}

#[test]
fn text_and_headers_longer_than_a_blob_continue_in_the_next() {
    let message = format!("Subject: long\r\n{}\r\n{}", "X: y\r\n".repeat(1 << 20), "word \n".repeat(1 << 20));
    let (split, pieces) = assert_exact(message.as_bytes());
    assert_eq!(split.recipe.header(), None);
    assert_eq!(split.fields.subject, "long");
    assert_eq!(pieces.iter().map(|piece| piece.stream as u8).collect::<Vec<_>>(), [1, 1, 2, 2]);
}

#[test]
fn what_only_looks_like_base64_stays_text() {
    let bytes = file(1600, 3);
    let encoded = base64(&bytes, 76, "\r\n", true);
    let spoilt = |from: &str, to: &str| String::from_utf8(encoded.clone()).unwrap().replace(from, to);
    for text in [
        base64(&file(100, 3), 76, "\r\n", true),
        spoilt("\r\n", " \r\n").into_bytes(),
        spoilt("\r\n", "\r\r\n").into_bytes(),
        spoilt("\r\n", "=\r\n").into_bytes(),
        base64(&bytes, 1000, "\r\n", true),
        base64(&bytes, 75, "\r\n", true),
        "abcd ".repeat(1000).into_bytes(),
        vec![b'A'; 100_000],
        vec![0; 5000],
    ] {
        let (_, pieces) = assert_exact(&mail(&[&text]));
        assert_eq!(attachments(&pieces), []);
    }
}

#[test]
fn m05_stray_bits_in_the_padding_cost_the_last_line_only() {
    let bytes = file(57 * 20 + 1, 4);
    let mut text = base64(&bytes, 76, "\r\n", true);
    let place = text.iter().position(|&byte| byte == b'=').unwrap() - 1;
    text[place] = if text[place] == b'A' { b'B' } else { text[place] + 1 };
    let (split, pieces) = assert_exact(&mail(&[&text]));
    assert_eq!(attachments(&pieces), [BlobName::of(&bytes[..57 * 20])]);
    let base64 = Step::Base64 { blob: 2, line_length: 76, line_end: LineEnd::CrLf, closed: true };
    assert!(split.recipe.steps.contains(&base64), "{:?}", split.recipe);
}

#[test]
fn m04_a_message_made_of_short_runs_has_a_bounded_recipe() {
    let run = base64(&file(1032, 5), 688, "\n", true);
    let (split, _) = assert_exact(&mail(&[&[&run[..], b"-\n"].concat().repeat(70_000)]));
    assert!(split.recipe.steps.len() < 1 << 18, "{} steps", split.recipe.steps.len());
}

/// Parts of messages, put together at random: what lies at the edges of the rules.
fn part() -> impl Strategy<Value = Vec<u8>> {
    let run = (0usize..4000, 1usize..=250, any::<bool>(), any::<bool>(), any::<u8>()).prop_map(
        |(length, groups, lf, closed, seed)| {
            base64(&file(length, seed), groups * 4, if lf { "\n" } else { "\r\n" }, closed)
        },
    );
    let odd_lines = (200usize..3000, 3usize..1002, any::<bool>()).prop_map(|(length, line_length, lf)| {
        base64(&file(length, 9), line_length, if lf { "\n" } else { "\r\n" }, true)
    });
    let spoilt = (run.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut run, at, byte)| {
        if !run.is_empty() {
            let at = at.index(run.len());
            run[at] = byte;
        }
        run
    });
    let mixed_ends = (prop::collection::vec(any::<bool>(), 1..40), 1usize..60).prop_map(|(ends, groups)| {
        ends.iter()
            .flat_map(|&lf| {
                ["QUJD".repeat(groups), if lf { "\n" } else { "\r\n" }.into()].concat().into_bytes()
            })
            .collect()
    });
    prop_oneof![
        4 => run,
        2 => odd_lines,
        2 => spoilt,
        2 => mixed_ends,
        1 => prop::collection::vec(any::<u8>(), 0..200),
        2 => "(\r\n|\n|\r|[a-zA-Z0-9+/=]{4}|[ -~]{0,80}\r?\n|\x00){0,20}".prop_map(String::into_bytes),
        1 => (900usize..2200, any::<bool>()).prop_map(|(n, end)| [vec![b'A'; n], if end { b"\n".to_vec() } else { vec![] }].concat()),
        1 => Just(b"--boundary\r\n".to_vec()),
        1 => Just(b"Header: value\r\n\r\n".to_vec()),
    ]
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(part(), 0..8).prop_map(|parts| parts.concat());
    (any::<bool>(), body).prop_map(|(header, body)| {
        if header { [b"Subject: x\r\n\r\n", body.as_slice()].concat() } else { body }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn m01_any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        assert_exact(&bytes);
    }

    #[test]
    fn m01_anything_like_a_mail_comes_back(bytes in message()) {
        assert_exact(&bytes);
    }

    #[test]
    fn the_split_does_not_depend_on_the_portions(
        bytes in message(),
        portions in prop::collection::vec(prop_oneof![1usize..6, 1usize..1200, 70usize..90], 1..10),
    ) {
        let (whole, whole_pieces) = split(&bytes);
        let (portioned, pieces) = split_in(&bytes, &portions);
        prop_assert_eq!(whole, portioned);
        prop_assert!(whole_pieces == pieces);
    }

    #[test]
    fn every_line_length_is_a_run(
        groups in 1usize..=249, lf: bool, closed: bool, length in 1024usize..9000, seed: u8,
    ) {
        let file = file(length, seed);
        let encoded = base64(&file, groups * 4, if lf { "\n" } else { "\r\n" }, closed);
        let (_, pieces) = assert_exact(&[b"a: b\n\n", encoded.as_slice()].concat());
        prop_assert_eq!(attachments(&pieces), [BlobName::of(&file)]);
    }
}
