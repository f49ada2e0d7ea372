//! The judge over POP3: a blocking client of a few lines, one command at a time.
//!
//! Like [`Imap`](crate::Imap) it knows nothing of the program's own client, and panics when the
//! server refuses what it should give.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A server that says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// A logged-in connection. Dropping it ends it without QUIT.
pub struct Pop3 {
    stream: BufReader<TcpStream>,
}

impl Pop3 {
    /// Connects without TLS and logs in.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn login(address: SocketAddr, user: &str, password: &str) -> Self {
        Self::try_login(address, user, password).unwrap_or_else(|refusal| panic!("login: {refusal}"))
    }

    /// The same, where the server may refuse.
    ///
    /// # Errors
    /// The server's words.
    pub fn try_login(address: SocketAddr, user: &str, password: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a time-out");
        stream.set_nodelay(true).expect("a socket takes its options");
        let mut pop3 = Self { stream: BufReader::new(stream) };
        pop3.status()?;
        pop3.try_command(&format!("USER {user}"))?;
        pop3.try_command(&format!("PASS {password}"))?;
        Ok(pop3)
    }

    /// A line without its CRLF.
    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        loop {
            let octets = self.stream.read_until(b'\n', &mut line).expect("the server answers");
            assert!(octets > 0, "the connection ended in {}", String::from_utf8_lossy(&line));
            // A bare LF ends no line.
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                return line;
            }
        }
    }

    /// What follows `+OK`.
    fn status(&mut self) -> Result<String, String> {
        let line = String::from_utf8_lossy(&self.line()).into_owned();
        line.strip_prefix("+OK").map(|rest| rest.trim_start().to_owned()).ok_or(line)
    }

    /// Sends a command with an answer of one line; gives what follows `+OK`.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn command(&mut self, command: &str) -> String {
        self.try_command(command).unwrap_or_else(|refusal| panic!("{command}: {refusal}"))
    }

    /// The same, where the server may refuse.
    ///
    /// # Errors
    /// The server's words.
    pub fn try_command(&mut self, command: &str) -> Result<String, String> {
        let octets = format!("{command}\r\n");
        self.stream.get_mut().write_all(octets.as_bytes()).expect("the server listens");
        self.status()
    }

    /// Sends a command with an answer of many lines; gives them as they stand between the first
    /// one and the dot, each with its CRLF, and without the dots that were put before dots.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn lines(&mut self, command: &str) -> Vec<u8> {
        self.command(command);
        let mut octets = Vec::new();
        loop {
            let line = self.line();
            match line.strip_prefix(b".") {
                Some(b"") => return octets,
                Some(rest) => octets.extend_from_slice(rest),
                None => octets.extend_from_slice(&line),
            }
            octets.extend_from_slice(b"\r\n");
        }
    }

    /// How many messages there are.
    pub fn count(&mut self) -> u32 {
        let told = self.command("STAT");
        told.split(' ').next().and_then(|number| number.parse().ok()).expect("STAT tells a number")
    }

    /// The unique-ids in the order of the numbers.
    pub fn uidls(&mut self) -> Vec<String> {
        let octets = self.lines("UIDL");
        let text = String::from_utf8_lossy(&octets);
        text.lines()
            .map(|line| line.split_once(' ').expect("a number and a unique-id").1.to_owned())
            .collect()
    }

    /// All messages in the order of the numbers. The last line of each has a CRLF, whether the message
    /// has one there or not.
    pub fn fetch_all(&mut self) -> Vec<Vec<u8>> {
        (1..=self.count()).map(|number| self.lines(&format!("RETR {number}"))).collect()
    }

    /// QUIT: what was deleted is gone.
    pub fn quit(mut self) {
        self.command("QUIT");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use message::{Flags, InternalDate};

    use crate::{Dovecot, Options};

    #[test]
    fn a_mailbox_is_read_over_pop3_and_what_was_said_is_written_down() {
        let Some(mut dovecot) = Dovecot::start(Options::default()) else { return };
        if dovecot.pop3().is_none() {
            return;
        }
        let date = InternalDate::parse("02-Mar-2026 10:00:00 +0000");
        let letter = b"Subject: dots\r\n\r\n.\r\n..two\r\nend\r\n";
        dovecot.deliver("anna", "INBOX", &Flags::new(), &date, letter);
        let mut pop3 = dovecot.pop3_session("anna");
        assert_eq!(pop3.fetch_all(), [letter]);
        let before = pop3.uidls();
        pop3.quit();
        assert_eq!(dovecot.pop3_commands()[0], ["STAT", "RETR 1", "UIDL", "QUIT"]);

        dovecot.set_uidl_format("%g");
        let mut pop3 = dovecot.pop3_session("anna");
        let after = pop3.uidls();
        assert!(before.len() == 1 && after.len() == 1 && before != after, "{before:?} {after:?}");
        pop3.command("DELE 1");
        pop3.quit();
        assert_eq!(dovecot.pop3_session("anna").count(), 0);
    }
}
