//! Mail as it comes in a life: mostly small, and often hard to tell from other mail.

use std::sync::Arc;

use message::InternalDate;

use crate::dice::Dice;

/// Larger messages are fetched in slices (`WHOLE_BYTES` of the engine's plan).
const SLICED: usize = (16 << 20) + 777;

/// A message and the moment of its arrival.
pub(crate) type Mail = (Arc<[u8]>, InternalDate);

/// The mail of a life, with what it takes to make the next one resemble it.
#[derive(Debug, Default)]
pub(crate) struct Post {
    sent: Vec<Mail>,
    /// A message over the slice size was sent: one is enough for a life.
    sliced: bool,
}

impl Post {
    /// The next message that arrives.
    pub(crate) fn next(&mut self, dice: &mut Dice) -> Mail {
        let number = self.sent.len();
        let date = InternalDate::from_unix(1_772_445_600 + 60 * i64::try_from(number).unwrap(), 60);
        let before = dice.pick(&self.sent).cloned();
        let mail: Mail = match (dice.below(100), before) {
            // The same bytes once more: a copy, a second delivery.
            (0..6, Some((bytes, _))) => (bytes, date),
            // The same bytes at the same moment.
            (6..9, Some(before)) => before,
            // A later draft: the same Message-ID, other words.
            (9..14, Some((bytes, _))) => (draft_after(&bytes, number).into(), date),
            // Same size, date and beginning; only the end differs.
            (14..18, Some((bytes, date))) => (twin_of(&bytes).into(), date),
            (18..21, _) => (Vec::new().into(), date),
            _ => (self.letter(dice, number).into(), date),
        };
        self.sent.push(mail.clone());
        mail
    }

    fn letter(&mut self, dice: &mut Dice, number: usize) -> Vec<u8> {
        let mut length = dice.weighted(&[(60, 200), (25, 1_500), (12, 5_000), (3, 20_000)]);
        if !self.sliced && dice.below(20_000) == 0 {
            self.sliced = true;
            length = SLICED;
        }
        let length = length + dice.below(300.min(length));
        let mut bytes = format!(
            "Received: from a.example by b.example; {number}\r\nMessage-ID: <{number}.{:x}@example.org>\r\n\
             From: Anna <anna@example.org>\r\nSubject: number {number}\r\n\r\n",
            dice.number() & 0xffff
        )
        .into_bytes();
        if dice.permille(100) {
            // An attachment, shared with every eighth letter.
            bytes.extend_from_slice("Content-Transfer-Encoding: base64\r\n\r\n".as_bytes());
            bytes.extend_from_slice(format!("{}\r\n", "QUJD".repeat(18 + number % 8)).repeat(4).as_bytes());
        }
        let mut line = 0;
        while bytes.len() < length {
            bytes.extend_from_slice(format!("line {line} of message {number}\r\n").as_bytes());
            line += 1;
        }
        bytes
    }
}

/// What a thief makes of a message: the same header block and size, and nothing of its words.
pub(crate) fn encrypted(bytes: &[u8], salt: u64) -> Vec<u8> {
    let body = bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    let mut dice = Dice::new(salt);
    let mut encrypted = bytes.to_vec();
    encrypted[body..].iter_mut().for_each(|byte| *byte = b'a' + u8::try_from(dice.below(26)).unwrap());
    encrypted
}

fn draft_after(bytes: &[u8], number: usize) -> Vec<u8> {
    [bytes, format!("and one more word: {number}\r\n").as_bytes()].concat()
}

fn twin_of(bytes: &[u8]) -> Vec<u8> {
    let mut twin = bytes.to_vec();
    if let Some(last) = twin.iter_mut().rev().find(|byte| byte.is_ascii_alphanumeric()) {
        *last = if *last == b'x' { b'y' } else { b'x' };
    }
    twin
}
