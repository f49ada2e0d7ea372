//! How numbers and texts are written in frames: little-endian integers, varints, counted bytes.
//!
//! A reader of these bytes trusts nothing: each take is checked against what is left, a count never
//! allocates more than the bytes that came with it, and no input makes it panic. A varint is an
//! unsigned LEB128 of at most 64 bits; a signed one is zigzag in a varint (rules F1 and F2 of
//! docs/archive-format.md).

/// The bytes are not what the format says; `what` names the thing that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot be read")]
pub(crate) struct Malformed {
    pub(crate) what: &'static str,
}

/// Shorthand for the error of this module.
pub(crate) const fn malformed(what: &'static str) -> Malformed {
    Malformed { what }
}

/// A place in bytes that are being read.
pub(crate) struct Cursor<'b> {
    rest: &'b [u8],
}

impl<'b> Cursor<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.rest)
    }

    pub(crate) fn take(&mut self, length: usize, what: &'static str) -> Result<&'b [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(malformed(what))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(malformed(what))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(malformed(what))
    }

    pub(crate) fn varint32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        u32::try_from(self.varint(what)?).map_err(|_| malformed(what))
    }

    pub(crate) fn signed(&mut self, what: &'static str) -> Result<i64, Malformed> {
        self.varint(what).map(unzigzag)
    }

    /// Bytes with their length before them.
    pub(crate) fn bytes(&mut self, what: &'static str) -> Result<&'b [u8], Malformed> {
        let length = usize::try_from(self.varint(what)?).map_err(|_| malformed(what))?;
        self.take(length, what)
    }

    /// UTF-8 text with its length in bytes before it.
    pub(crate) fn text(&mut self, what: &'static str) -> Result<&'b str, Malformed> {
        std::str::from_utf8(self.bytes(what)?).map_err(|_| malformed(what))
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

pub(crate) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_varint(out, zigzag(number));
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(number: u64, signed: i64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_varint(&mut out, number);
            put_signed(&mut out, signed);
            put_bytes(&mut out, &bytes);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.varint("n"), Ok(number));
            prop_assert_eq!(cursor.signed("s"), Ok(signed));
            prop_assert_eq!(cursor.bytes("b"), Ok(&bytes[..]));
            prop_assert!(cursor.is_empty());
        }

        #[test]
        fn no_bytes_make_a_cursor_panic(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes);
            while !cursor.is_empty() {
                if cursor.varint("n").is_err() || cursor.text("t").is_err() || cursor.u64("u").is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_refused() {
        let mut bytes = vec![0xff; 9];
        bytes.push(1);
        assert_eq!(Cursor::new(&bytes).varint("n"), Ok(u64::MAX));
        bytes[9] = 2;
        assert!(Cursor::new(&bytes).varint("n").is_err());
        assert!(Cursor::new(&[0xff; 30]).varint("n").is_err());
        assert!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]).bytes("b").is_err());
    }
}
