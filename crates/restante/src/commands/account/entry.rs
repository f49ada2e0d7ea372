//! The words that go into the configuration: an `[[account]]`, and the file where there is none yet.
//!
//! Pure, and the one place that knows how a value is written in TOML here. What comes from strangers
//! (hosts, user names, names of folders) stands in quotes with everything escaped that a terminal or
//! TOML would take for something else, or is left out of comments.

use std::fmt::Write as _;
use std::path::Path;

use discover::{Candidate, Encryption, Service, Source};
use message::escape::escape;

use crate::cli::{Spoken, Tls};

/// A server as the configuration names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) protocol: Spoken,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) user: String,
    /// `None`: it was given by the person.
    pub(super) source: Option<Source>,
}

impl Server {
    /// A server that was found; the user name is the person's where one is given.
    pub(super) fn found(candidate: Candidate, user: Option<&str>) -> Self {
        Self {
            protocol: match candidate.service {
                Service::Imap => Spoken::Imap,
                Service::Pop3 => Spoken::Pop3,
            },
            host: candidate.host,
            port: candidate.port,
            tls: match candidate.encryption {
                Encryption::Implicit => Tls::Implicit,
                Encryption::StartTls => Tls::Starttls,
            },
            user: user.map_or(candidate.user, str::to_owned),
            source: Some(candidate.source),
        }
    }

    /// The port that is registered for what is spoken.
    pub(super) fn usual_port(protocol: Spoken, tls: Tls) -> u16 {
        let service = match protocol {
            Spoken::Imap => Service::Imap,
            Spoken::Pop3 => Service::Pop3,
        };
        service.usual_port(match tls {
            Tls::Implicit => Encryption::Implicit,
            Tls::Starttls | Tls::None => Encryption::StartTls,
        })
    }

    pub(super) fn protocol_word(&self) -> &'static str {
        match self.protocol {
            Spoken::Imap => "imap",
            Spoken::Pop3 => "pop3",
        }
    }

    pub(super) fn tls_word(&self) -> &'static str {
        match self.tls {
            Tls::Implicit => "implicit",
            Tls::Starttls => "starttls",
            Tls::None => "none",
        }
    }

    /// For a person: host, port, and how the line becomes private.
    pub(super) fn shown(&self) -> String {
        let how = match self.tls {
            Tls::Implicit => "TLS",
            Tls::Starttls => "STARTTLS",
            Tls::None => "no TLS",
        };
        let protocol = self.protocol_word().to_uppercase();
        format!("{} port {} ({protocol}, {how})", self.host, self.port)
    }
}

/// How the configuration comes by the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Secret {
    /// A file of ours beside the configuration, by its name.
    Beside(String),
    /// A file of the person's.
    File(String),
    /// A program and its arguments.
    Command(Vec<String>),
}

/// One account.
#[derive(Debug, Clone)]
pub(super) struct Entry<'e> {
    pub(super) name: &'e str,
    pub(super) address: Option<&'e str>,
    pub(super) server: &'e Server,
    pub(super) secret: &'e Secret,
    pub(super) tls_ca_file: Option<&'e str>,
    /// Folders that are for what is thrown away.
    pub(super) bins: &'e [String],
}

impl Entry<'_> {
    /// The section, beginning with its bracket.
    pub(super) fn text(&self) -> String {
        let Server { host, port, user, source, .. } = self.server;
        let mut text = "[[account]]\n".to_owned();
        let mut line = |line: std::fmt::Arguments<'_>| {
            text.write_fmt(line).expect("a String takes whatever is written to it");
            text.push('\n');
        };
        line(format_args!("name = {}", quoted(self.name)));
        // Whose mailbox it is shows in the user name, mostly.
        if let Some(address) = self.address.filter(|address| *address != user) {
            line(format_args!("# {}", escape(address)));
        }
        line(format_args!("protocol = {}", quoted(self.server.protocol_word())));
        match source {
            None => line(format_args!("host = {}", quoted(host))),
            Some(source) => line(format_args!("host = {}  # found by: {source}", quoted(host))),
        }
        line(format_args!("port = {port}"));
        line(format_args!("tls = {}", quoted(self.server.tls_word())));
        if let Some(file) = self.tls_ca_file {
            line(format_args!("tls_ca_file = {}", quoted(file)));
        }
        line(format_args!("user = {}", quoted(user)));
        match self.secret {
            Secret::Beside(file) => {
                line(format_args!("password_file = {}  # one line; keep its mode 0600", quoted(file)));
            }
            Secret::File(file) => line(format_args!("password_file = {}", quoted(file))),
            Secret::Command(words) => {
                let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
                line(format_args!("password_command = [{}]", words.join(", ")));
            }
        }
        let bins: Vec<String> = self.bins.iter().filter(|bin| is_plain(bin)).map(|bin| quoted(bin)).collect();
        if !bins.is_empty() {
            line(format_args!("#exclude = [{}]  # backed up, too, unless excluded here", bins.join(", ")));
        }
        text
    }
}

/// A file for a machine that has none yet.
pub(super) fn template(archive: &Path) -> String {
    format!(
        "# restante: what is backed up, from where and to where. All keys: docs/configuration.md.\n\
         # Check with: restante check-config --connect\n\n\
         [archive]\npath = {}\n",
        quoted(&archive.display().to_string())
    )
}

/// The configuration with one more section at its end; what is there stays as it is.
pub(super) fn appended(before: &str, section: &str) -> String {
    let windows = before.contains("\r\n");
    let line_end = if windows { "\r\n" } else { "\n" };
    let section = if windows { section.replace('\n', "\r\n") } else { section.to_owned() };
    let gap = match before {
        "" => String::new(),
        ended if ended.ends_with('\n') => line_end.to_owned(),
        _ => line_end.repeat(2),
    };
    format!("{before}{gap}{section}")
}

/// A basic string of TOML, on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // Also what would only look like something else.
            other if matches!(escape(other.encode_utf8(&mut [0; 4])), std::borrow::Cow::Owned(_)) => {
                write!(quoted, "\\U{:08X}", u32::from(other))
                    .expect("a String takes whatever is written to it");
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether a folder can be named by a glob without more ado, and shown in a comment.
fn is_plain(folder: &str) -> bool {
    !folder.contains(['*', '?', '[', ']', '{', '}', '\\', '!']) && folder.len() <= 100
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;
    use crate::config::{Config, PasswordSource};

    fn server(user: &str, source: Option<Source>) -> Server {
        Server {
            protocol: Spoken::Imap,
            host: "imap.example.org".into(),
            port: 993,
            tls: Tls::Implicit,
            user: user.into(),
            source,
        }
    }

    fn entry<'e>(server: &'e Server, secret: &'e Secret, bins: &'e [String]) -> Entry<'e> {
        Entry { name: "me", address: Some("me@example.org"), server, secret, tls_ca_file: None, bins }
    }

    fn parse(text: &str) -> Config {
        Config::parse(Path::new("/etc/restante/restante.toml"), text).unwrap()
    }

    #[test]
    fn an_entry_reads_like_one_that_a_person_wrote() {
        let server = server("me@example.org", Some(Source::Srv));
        let secret = Secret::Beside("me.password".into());
        let bins = ["Junk".to_owned(), "Trash".to_owned()];
        let text = entry(&server, &secret, &bins).text();
        insta::assert_snapshot!(appended(&template(Path::new("/var/lib/restante")), &text), @r##"
        # restante: what is backed up, from where and to where. All keys: docs/configuration.md.
        # Check with: restante check-config --connect

        [archive]
        path = "/var/lib/restante"

        [[account]]
        name = "me"
        protocol = "imap"
        host = "imap.example.org"  # found by: the domain's SRV records
        port = 993
        tls = "implicit"
        user = "me@example.org"
        password_file = "me.password"  # one line; keep its mode 0600
        #exclude = ["Junk", "Trash"]  # backed up, too, unless excluded here
        "##);
    }

    #[test]
    fn whatever_stands_in_it_comes_back_from_the_parser() {
        for odd in
            ["a\"b", "a\\b", "a\u{1b}[2Jb", "a\tb", "a\u{202e}b", "a#b", "ä", "'''", "\"\"\"", "a\u{7f}"]
        {
            let server = server(odd, None);
            let secret = Secret::Command(vec![odd.into(), odd.into()]);
            let bins = [odd.to_owned(), "a\nb = 1".to_owned()];
            let text = appended(&template(Path::new("/a")), &entry(&server, &secret, &bins).text());
            assert!(text.lines().all(|line| matches!(escape(line), std::borrow::Cow::Borrowed(_))), "{text}");
            let config = parse(&text);
            assert_eq!(config.accounts[0].user, odd);
            let PasswordSource::Command(words) = &config.accounts[0].password else { panic!("{text}") };
            assert_eq!(words, &[odd, odd]);
        }
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let section = "[[account]]\nname = \"me\"\n";
        assert_eq!(appended("a = 1", section), format!("a = 1\n\n{section}"));
        assert_eq!(appended("a = 1\n", section), format!("a = 1\n\n{section}"));
        assert_eq!(appended("", section), section);
        assert_eq!(appended("a = 1\r\n", section), "a = 1\r\n\r\n[[account]]\r\nname = \"me\"\r\n");
    }
}
