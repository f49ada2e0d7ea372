//! Inputs made from seeds: a few small changes each, of the kinds that find mistakes in parsers.
//!
//! What an input is depends on the target's name, its seeds and the input's number, and on nothing
//! else. A change is drawn from: a bit flipped, a byte set, a number of the wire put in (the largest
//! and smallest of each width, in binary, as LEB128 and in digits), a part cut out, doubled, moved or
//! taken from another seed, the rest cut off, digits replaced.

/// Longer inputs are cut: time goes into many inputs, not into long ones.
const MOST_BYTES: usize = 64 << 10;

/// Most changes of one input.
const MOST_CHANGES: u64 = 6;

/// Put in whole: what parsers count with, and what ends or begins things for them.
const MAGIC: [&[u8]; 30] = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x00\x00\x00\x00\x00\x00\x00\x80",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
    b"0",
    b"-1",
    b"4294967295",
    b"4294967296",
    b"9223372036854775808",
    b"18446744073709551615",
    b"99999999999999999999999",
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"((((((((((((((((((((((((((((((((",
    b"))))))))))))))))))))))))))))))))",
    b"\"\\",
    b"{4294967295}\r\n",
    b"\xef\xbb\xbf\xf0\x9f\x92\xa9\xed\xa0\x80\xc0\x80",
];

/// Makes the inputs of one target.
pub(crate) struct Mutator<'s> {
    target: u64,
    seeds: &'s [Vec<u8>],
}

impl<'s> Mutator<'s> {
    pub(crate) fn new(target: &str, seeds: &'s [Vec<u8>]) -> Self {
        // FNV-1a: any number that is the same everywhere.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self { target: target.bytes().fold(0xcbf2_9ce4_8422_2325, hash), seeds }
    }

    /// The input of this number.
    pub(crate) fn input(&self, number: u64) -> Vec<u8> {
        let mut dice = Dice(self.target ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let seeds = self.seeds;
        let mut input = seeds[dice.below(seeds.len())].clone();
        for _ in 0..=dice.next() % MOST_CHANGES {
            change(&mut input, seeds, &mut dice);
        }
        input.truncate(MOST_BYTES);
        input
    }
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    match dice.next() % 12 {
        0 | 1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << (dice.next() % 8);
            }
        }
        2 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = dice.byte();
            }
        }
        3 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = byte.wrapping_add(if dice.next().is_multiple_of(2) { 1 } else { 0xff });
            }
        }
        4 => {
            let magic = MAGIC[dice.below(MAGIC.len())];
            input.splice(at..at, magic.iter().copied());
        }
        5 => {
            let magic = MAGIC[dice.below(MAGIC.len())];
            let end = (at + magic.len()).min(input.len());
            input.splice(at..end, magic.iter().copied());
        }
        6 => {
            let part = part(input, dice);
            input.drain(part);
        }
        7 => {
            let doubled = input[part(input, dice)].to_vec();
            let times = 1 + dice.below(3);
            input.splice(at..at, doubled.repeat(times));
        }
        8 => {
            let moved: Vec<u8> = input.drain(part(input, dice)).collect();
            let at = dice.below(input.len() + 1);
            input.splice(at..at, moved);
        }
        9 => {
            let other = &seeds[dice.below(seeds.len())];
            let taken = other[part(other, dice)].to_vec();
            let end = if dice.next().is_multiple_of(2) { at } else { (at + taken.len()).min(input.len()) };
            input.splice(at..end, taken);
        }
        10 => digits(input, at, dice),
        _ => {
            if dice.next().is_multiple_of(4) {
                input.truncate(at);
            } else {
                let byte = dice.byte();
                let times = 1 + dice.below(40);
                input.splice(at..at, std::iter::repeat_n(byte, times));
            }
        }
    }
}

/// Puts another number in the place of the next digits.
fn digits(input: &mut Vec<u8>, at: usize, dice: &mut Dice) {
    let Some(start) = input[at..].iter().position(u8::is_ascii_digit).map(|found| at + found) else { return };
    let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = match dice.next() % 4 {
        0 => (dice.next() % 10).to_string(),
        1 => (dice.next() >> 32).to_string(),
        2 => dice.next().to_string(),
        _ => "00".to_owned(),
    };
    input.splice(start..start + length, number.into_bytes());
}

/// A part of the bytes: mostly short, now and then long.
fn part(bytes: &[u8], dice: &mut Dice) -> std::ops::Range<usize> {
    let start = dice.below(bytes.len() + 1);
    let most = if dice.next().is_multiple_of(4) { bytes.len() } else { 32 };
    start..(start + dice.below(most + 1)).min(bytes.len())
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_made_from_its_number_alone() {
        let seeds = [b"* 1 FETCH (UID 12 FLAGS ())".to_vec(), vec![7; 100]];
        let mutator = Mutator::new("target", &seeds);
        let first: Vec<Vec<u8>> = (0..200).map(|number| mutator.input(number)).collect();
        let again: Vec<Vec<u8>> = (0..200).rev().map(|number| mutator.input(number)).rev().collect();
        assert!(first == again);
        let others: std::collections::HashSet<&Vec<u8>> = first.iter().collect();
        assert!(others.len() > 150, "{} different inputs", others.len());
    }

    #[test]
    fn an_empty_seed_can_be_changed_too() {
        let seeds = [Vec::new()];
        let mutator = Mutator::new("target", &seeds);
        assert!((0..200).any(|number| !mutator.input(number).is_empty()));
    }
}
