//! What a person types at the terminal: a line, or a password that is not shown.
//!
//! While a password is typed the terminal hands over each key as it comes, so that Ctrl-C is a key like
//! others here and the terminal is itself again when the answer is there, whatever it is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use secrecy::zeroize::Zeroizing;

/// No password is longer; what is typed beyond is one that the caller refuses.
const MAX_TYPED: usize = 4097;

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: [u8; 2] = [0x08, 0x7f];
const CLEAR: u8 = 0x15;

/// Asks a question and takes what is typed until the line ends; `None` when the person does not want to.
///
/// # Errors
/// When the terminal is none, or has gone.
pub(super) fn ask(
    terminal: &impl AsFd,
    say: &mut dyn FnMut(&str),
    question: &str,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let silent = Silent::begin(terminal.as_fd())?;
    say(question);
    let typed = read(silent.terminal);
    drop(silent);
    say("\n");
    typed
}

/// Asks a question and takes the line that is typed, shown as it is; `None` when the person ends the input
/// instead.
///
/// # Errors
/// When the terminal is none, has gone, or gives what is no text.
pub(super) fn line(
    terminal: &impl AsFd,
    say: &mut dyn FnMut(&str),
    question: &str,
) -> io::Result<Option<String>> {
    say(question);
    let mut typed = Vec::new();
    loop {
        let mut key = [0];
        // One at a time: what comes behind the line's end is for the next question.
        if rustix::io::retry_on_intr(|| rustix::io::read(terminal, &mut key))? == 0 {
            say("\n");
            return Ok(None);
        }
        match key[0] {
            b'\n' => break,
            key if typed.len() < MAX_TYPED => typed.push(key),
            _ => {}
        }
    }
    String::from_utf8(typed).map(Some).map_err(io::Error::other)
}

fn read(terminal: BorrowedFd<'_>) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let mut typed = Zeroizing::new(Vec::with_capacity(MAX_TYPED));
    loop {
        let mut key = Zeroizing::new([0]);
        if rustix::io::retry_on_intr(|| rustix::io::read(terminal, &mut key[..]))? == 0 {
            return Ok(None);
        }
        match key[0] {
            b'\n' | b'\r' => return Ok(Some(typed)),
            INTERRUPT => return Ok(None),
            END if typed.is_empty() => return Ok(None),
            CLEAR => typed.clear(),
            key if BACKSPACE.contains(&key) => rub_out(&mut typed),
            key if typed.len() < MAX_TYPED => typed.push(key),
            _ => {}
        }
    }
}

/// Takes the last letter away, which in UTF-8 can be several bytes.
fn rub_out(typed: &mut Vec<u8>) {
    while let Some(byte) = typed.pop() {
        if byte & 0xc0 != 0x80 {
            return;
        }
    }
}

/// A terminal that shows nothing, until dropped.
struct Silent<'t> {
    terminal: BorrowedFd<'t>,
    before: Termios,
}

impl<'t> Silent<'t> {
    fn begin(terminal: BorrowedFd<'t>) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        // What was typed before the question is not its answer.
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(self.terminal, OptionalActions::Drain, &self.before);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use std::fs::{File, OpenOptions};
    use std::io::{Read, Write};

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    /// The person's side of a terminal, and the program's.
    fn terminal() -> (File, File) {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap().into_string().unwrap();
        (File::from(person), OpenOptions::new().read(true).write(true).open(name).unwrap())
    }

    /// What comes of these keys, and what the terminal has shown.
    fn type_in(keys: &[u8]) -> (Option<Vec<u8>>, String) {
        let (mut person, program) = terminal();
        let mut at_terminal = program.try_clone().unwrap();
        let mut asked = false;
        let mut say = |text: &str| {
            at_terminal.write_all(text.as_bytes()).unwrap();
            if !std::mem::replace(&mut asked, true) {
                person.write_all(keys).unwrap();
            }
        };
        let typed = ask(&program, &mut say, "Password: ").unwrap();
        let modes = tcgetattr(&program).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG), "it is as before");
        // A terminal gives what it shows in pieces as it likes; the line end comes last.
        let (mut shown, mut piece) = (Vec::new(), [0; 200]);
        while !shown.ends_with(b"\n") {
            let length = person.read(&mut piece).unwrap();
            shown.extend_from_slice(&piece[..length]);
        }
        (typed.map(|typed| typed.to_vec()), String::from_utf8_lossy(&shown).into_owned())
    }

    #[test]
    fn s02_a_typed_password_is_not_shown_and_the_terminal_is_itself_again() {
        let (typed, shown) = type_in("canary ä\n".as_bytes());
        assert_eq!(typed.as_deref(), Some("canary ä".as_bytes()));
        assert_eq!(shown, "Password: \r\n");
    }

    #[test]
    fn mistakes_can_be_mended() {
        assert_eq!(type_in("oops\u{15}caä\u{7f}n\u{8}nary\r".as_bytes()).0.as_deref(), Some(&b"canary"[..]));
    }

    #[test]
    fn who_does_not_want_to_answer_need_not() {
        assert_eq!(type_in(b"cana\x03").0, None);
        assert_eq!(type_in(b"\x04").0, None);
    }

    #[test]
    fn a_line_is_taken_up_to_its_end_and_the_next_one_stays() {
        let (mut person, program) = terminal();
        person.write_all("oops\u{15}an\u{7f}nä\nmore\n\u{4}".as_bytes()).unwrap();
        let mut said = String::new();
        let mut ask = |question: &str| line(&program, &mut |text| said.push_str(text), question).unwrap();
        assert_eq!(ask("Name: ").as_deref(), Some("anä"));
        assert_eq!(ask("Again: ").as_deref(), Some("more"));
        assert_eq!(ask("Once more: "), None);
        assert_eq!(said, "Name: Again: Once more: \n");
    }

    #[test]
    fn what_is_no_terminal_is_an_error() {
        let file = File::open("/dev/null").unwrap();
        assert!(ask(&file, &mut |_| {}, "?").is_err());
    }
}
