//! mbox in the mboxrd form, from which the exact bytes come back.
//!
//! A folder is one file `*.mbox`; its child folders are in a directory beside it. A message is
//!
//! 1. a line `From MAILER-DAEMON <day and time of receipt, UTC, as asctime writes it>` and LF;
//! 2. its bytes as they are, but each line that begins with any number of `>` and then `From ` gets
//!    one more `>` in front. A line begins after LF, whatever stands before the LF;
//! 3. an LF, only if the bytes do not end in one (an empty message too);
//! 4. an LF, the blank line before the next message.
//!
//! So a line that begins with `From ` is the beginning of a message and nothing else. To read: cut
//! there, drop the first line and the last LF, and take one `>` from each line that begins with `>`s
//! and `From `. Whether there was a third step is in the index (`*.mbox.jsonl`,
//! `line_end_added`); nothing is put into the message to say so. Flags are in the index too.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use memchr::memmem;
use message::InternalDate;

use crate::index::{Index, Place};
use crate::output::Output;
use crate::{Error, ExportMessage, Exporter, Summary};

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub(crate) struct Mbox {
    output: Output,
    open: Option<Open>,
}

struct Open {
    file: File,
    path: PathBuf,
    length: u64,
    index: Index,
}

impl Mbox {
    pub(crate) fn new(output: Output) -> Self {
        Self { output, open: None }
    }

    fn close_folder(&mut self) -> Result<(), Error> {
        self.open.take().map_or(Ok(()), |open| open.index.close())
    }
}

impl Exporter for Mbox {
    fn folder(&mut self, components: &[String]) -> Result<(), Error> {
        self.close_folder()?;
        let place = self.output.begin_folder(components, |path| format!("{}.mbox", path.join("/")))?;
        let (name, above) = match place.path.split_last() {
            Some((name, above)) => (name.as_str(), above),
            None => return Err(Error::UnknownFolder { folder: components.to_vec() }),
        };
        let directory = self.output.tree.folder(above)?;
        let mbox = format!("{name}.mbox");
        let file = if place.first { directory.create(&mbox)? } else { directory.append(&mbox)? };
        let path = directory.path_of(&mbox);
        let length = file.metadata().map_err(Error::io("measure", &path))?.len();
        let index = Index::open(&directory, &format!("{mbox}.jsonl"), place.first)?;
        self.open = Some(Open { file, path, length, index });
        Ok(())
    }

    fn message(&mut self, message: &ExportMessage<'_>, bytes: &[u8]) -> Result<(), Error> {
        let open = self.open.as_mut().ok_or(Error::NoFolder)?;
        let line_end_added = !bytes.ends_with(b"\n");
        let length = match write_message(&open.file, message.internal_date, bytes, line_end_added) {
            Ok(length) => length,
            Err(error) => {
                // Half a message would swallow the next. Should the file not get shorter, the first
                // error is the one that says why.
                let _ = open.file.set_len(open.length);
                return Err(Error::io("write", &open.path)(error));
            }
        };
        let place = Place::Part { offset: open.length, length, line_end_added };
        open.length += length;
        open.index.message(place, message, bytes.len())?;
        self.output.count(bytes.len());
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Summary, Error> {
        self.close_folder()?;
        self.output.finish()
    }
}

/// Writes one message with all that belongs to it and says how many bytes that took.
fn write_message(file: &File, date: &InternalDate, bytes: &[u8], line_end_added: bool) -> io::Result<u64> {
    let mut out = BufWriter::with_capacity(64 << 10, file);
    let first = format!("From MAILER-DAEMON {}\n", asctime(date));
    out.write_all(first.as_bytes())?;
    let quotes = write_quoted(&mut out, bytes)?;
    out.write_all(if line_end_added { b"\n\n" } else { b"\n" })?;
    out.flush()?;
    Ok(first.len() as u64 + bytes.len() as u64 + quotes + 1 + u64::from(line_end_added))
}

/// Writes a message's bytes with its `From ` lines quoted and says how many `>` that took.
pub(crate) fn write_quoted(out: &mut impl Write, bytes: &[u8]) -> io::Result<u64> {
    let (mut quotes, mut written) = (0, 0);
    for found in memmem::find_iter(bytes, b"From ") {
        let marks = bytes[written..found].iter().rev().take_while(|&&byte| byte == b'>').count();
        let line = found - marks;
        if line == 0 || bytes[line - 1] == b'\n' {
            out.write_all(&bytes[written..line])?;
            out.write_all(b">")?;
            (quotes, written) = (quotes + 1, line);
        }
    }
    out.write_all(&bytes[written..])?;
    Ok(quotes)
}

/// `Thu Feb 29 08:15:00 2024`; the beginning of 1970 for a date that could not be read.
fn asctime(date: &InternalDate) -> String {
    let Some(at) = date.utc() else { return "Thu Jan  1 00:00:00 1970".to_owned() };
    let day = usize::try_from(at.weekday).ok().and_then(|day| DAYS.get(day)).unwrap_or(&"Sun");
    let month = MONTHS.get(at.month.wrapping_sub(1)).unwrap_or(&"Jan");
    let clock = format!("{:02}:{:02}:{:02}", at.hour, at.minute, at.second);
    format!("{day} {month} {:2} {clock} {:04}", at.day, at.year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_begin_with_from_are_quoted() {
        for (bytes, quoted) in [
            ("", ""),
            ("From x", ">From x"),
            ("a\nFrom x\n>From y\n>>>From z\n", "a\n>From x\n>>From y\n>>>>From z\n"),
            ("From\nfrom x\n From x\n> From x\nFrom: x\n", "From\nfrom x\n From x\n> From x\nFrom: x\n"),
            ("a\r\nFrom x\r\rFrom y\r\n", "a\r\n>From x\r\rFrom y\r\n"),
            ("From From From \n", ">From From From \n"),
            ("a>From \n", "a>From \n"),
        ] {
            let mut out = Vec::new();
            let quotes = write_quoted(&mut out, bytes.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), quoted);
            assert_eq!(quotes, (quoted.len() - bytes.len()) as u64);
        }
    }

    #[test]
    fn the_day_of_receipt_is_written_as_asctime_does() {
        let date = InternalDate::parse("29-Feb-2024 01:15:07 -0700");
        assert_eq!(asctime(&date), "Thu Feb 29 08:15:07 2024");
        assert_eq!(asctime(&InternalDate::parse(" 1-Mar-0999 00:00:00 +0000")), "Fri Mar  1 00:00:00 0999");
        assert_eq!(asctime(&InternalDate::parse("")), "Thu Jan  1 00:00:00 1970");
    }
}
