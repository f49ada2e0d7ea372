//! Where mail is given back to, as `--to` names it: an account of the configuration, or a URL such as
//! `imaps://me%40example.org@mail.example.org`.
//!
//! A URL says how the line becomes private (`imaps`, `imap+starttls`, or `imap`: plain, and only to this
//! machine), who logs in, and where. It has no place for a password, for every user of the machine can
//! read the arguments of every process; nor for a folder. No error repeats the URL: there may be a
//! password in it.

use remote::{Endpoint, Security};

use crate::config::parse_host;

/// What `--to` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An account of the configuration.
    Account(String),
    /// A mailbox that need not be configured.
    Url(Place),
}

/// Who logs in, where, and how the line becomes private.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) security: Security,
    pub(super) user: String,
    /// A name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// Why a text names no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoTarget {
    #[error("it must begin with imaps://, imap+starttls:// or imap://")]
    Scheme,
    #[error(
        "a password has no place in it, for everybody on this machine can read it in the list of \
         processes (and should it be a real one: change it, the shell has written it down); give it with \
         --password-file or --password-command, or be asked for it (a colon in a user name is %3A)"
    )]
    Password,
    #[error("it names no user; write imaps://USER@HOST")]
    NoUser,
    #[error(
        "the user name is not text: % stands before two hex digits, which together are UTF-8 (% itself is %25)"
    )]
    Escape,
    #[error("no way to log in can be chosen (;AUTH=); the best that the server offers is taken")]
    Auth,
    #[error("after @ there is no host name or address; an IPv6 address stands in brackets")]
    Host,
    #[error("the port must be a number from 1 to 65535")]
    Port,
    #[error(
        "nothing comes after the host; --prefix FOLDER puts everything below a folder (a slash in a user \
         name is %2F)"
    )]
    Folder,
    #[error(
        "imap:// would send the password in the clear to another machine; use imaps:// or imap+starttls://"
    )]
    Plain,
}

impl Target {
    /// Reads what stands after `--to`.
    ///
    /// # Errors
    /// When it is a URL, and not one of a mailbox.
    pub(super) fn parse(text: &str) -> Result<Self, NoTarget> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Self::Account(text.to_owned())) };
        let (security, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "imaps" => (Security::Implicit, 993),
            "imap+starttls" => (Security::StartTls, 143),
            "imap" => (Security::Plain, 143),
            _ => return Err(NoTarget::Scheme),
        };
        // The last @ divides: user names are often addresses, and not everybody writes %40. An @ behind
        // a path must not make a host of what follows it: the password would go there.
        let (user, server) = rest.rsplit_once('@').ok_or(NoTarget::NoUser)?;
        let server = server.strip_suffix('/').unwrap_or(server);
        if user.contains(['/', '?', '#']) || server.contains(['/', '?', '#']) {
            return Err(NoTarget::Folder);
        }
        let user = user_name(user)?;
        let (host, port) = host_and_port(server)?;
        let place = Place { security, user, host, port: port.unwrap_or(usual_port) };
        if place.endpoint().is_plain_and_remote() { Err(NoTarget::Plain) } else { Ok(Self::Url(place)) }
    }
}

impl Place {
    /// Where the engine connects to; authorities besides the system's come from elsewhere.
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint {
            host: self.host.clone(),
            port: self.port,
            security: self.security,
            extra_authorities: Vec::new(),
            extra_authorities_from: String::new(),
        }
    }
}

fn user_name(escaped: &str) -> Result<String, NoTarget> {
    if escaped.contains(':') {
        return Err(NoTarget::Password);
    }
    if escaped.to_ascii_uppercase().contains(";AUTH=") {
        return Err(NoTarget::Auth);
    }
    let user = unescape(escaped).ok_or(NoTarget::Escape)?;
    match () {
        () if user.is_empty() => Err(NoTarget::NoUser),
        () if user.chars().any(char::is_control) => Err(NoTarget::Escape),
        () => Ok(user),
    }
}

/// What percent-encoding stands for (RFC 3986 §2.1).
fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(digits[0])? << 4 | digit(digits[1])?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

fn host_and_port(server: &str) -> Result<(String, Option<u16>), NoTarget> {
    let (host, port) = match server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, after)) => (address, Some(after.strip_prefix(':').ok_or(NoTarget::Host)?)),
        // Two colons are an address that wants brackets.
        None => match server.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            Some(_) => return Err(NoTarget::Host),
            None => (server, None),
        },
    };
    let host = parse_host(host).map_err(|_| NoTarget::Host)?;
    let port = match port {
        None => None,
        // Not what u16 reads besides: "+993".
        Some(digits) if !digits.bytes().all(|byte| byte.is_ascii_digit()) => return Err(NoTarget::Port),
        Some(digits) => Some(digits.parse().ok().filter(|&port| port > 0).ok_or(NoTarget::Port)?),
    };
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Option<(Security, String, String, u16)> {
        match Target::parse(text) {
            Ok(Target::Url(place)) => Some((place.security, place.user, place.host, place.port)),
            _ => None,
        }
    }

    #[test]
    fn a_word_is_an_account_and_a_url_is_a_mailbox() {
        assert_eq!(Target::parse("work"), Ok(Target::Account("work".into())));
        let table = [
            ("imaps://anna@mail.example.org", Security::Implicit, "anna", "mail.example.org", 993),
            ("imap+starttls://anna@mail.example.org", Security::StartTls, "anna", "mail.example.org", 143),
            ("imap://anna@localhost", Security::Plain, "anna", "localhost", 143),
            ("IMAPS://anna@h:994/", Security::Implicit, "anna", "h", 994),
            ("imaps://me%40example.org@host", Security::Implicit, "me@example.org", "host", 993),
            ("imaps://me@example.org@host:1", Security::Implicit, "me@example.org", "host", 1),
            ("imaps://a%3Ab%25%c3%A4@host", Security::Implicit, "a:b%ä", "host", 993),
            ("imaps://DOMAIN%5Canna@host", Security::Implicit, "DOMAIN\\anna", "host", 993),
            ("imap://anna@[::1]:1143", Security::Plain, "anna", "::1", 1143),
            ("imaps://anna@[2001:db8::7]", Security::Implicit, "anna", "2001:db8::7", 993),
            ("imap://anna@127.0.0.1:65535", Security::Plain, "anna", "127.0.0.1", 65535),
        ];
        for (text, security, user, host, port) in table {
            assert_eq!(url(text), Some((security, user.into(), host.into(), port)), "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_told_apart() {
        let table = [
            ("pop3://anna@host", NoTarget::Scheme),
            ("://anna@host", NoTarget::Scheme),
            ("https://anna@host", NoTarget::Scheme),
            ("imaps://host", NoTarget::NoUser),
            ("imaps://@host", NoTarget::NoUser),
            ("imaps://", NoTarget::NoUser),
            ("imaps://anna:pw@host", NoTarget::Password),
            ("imaps://me@example.org:pw@host", NoTarget::Password),
            ("imaps://:pw@host", NoTarget::Password),
            ("imaps://a%@host", NoTarget::Escape),
            ("imaps://a%4@host", NoTarget::Escape),
            ("imaps://a%zz@host", NoTarget::Escape),
            ("imaps://a%ff@host", NoTarget::Escape),
            ("imaps://a%0d%0aLOGOUT@host", NoTarget::Escape),
            ("imaps://a;AUTH=PLAIN@host", NoTarget::Auth),
            ("imaps://anna@", NoTarget::Host),
            ("imaps://anna@:993", NoTarget::Host),
            ("imaps://anna@2001:db8::7", NoTarget::Host),
            ("imaps://anna@[::1]993", NoTarget::Host),
            ("imaps://anna@ho st", NoTarget::Host),
            ("imaps://anna@host:", NoTarget::Port),
            ("imaps://anna@host:0", NoTarget::Port),
            ("imaps://anna@host:65536", NoTarget::Port),
            ("imaps://anna@host:+993", NoTarget::Port),
            ("imaps://anna@host/INBOX", NoTarget::Folder),
            ("imaps://anna@host?x", NoTarget::Folder),
            ("imaps://anna@host/x@evil", NoTarget::Folder),
            ("imaps://anna@host#@evil", NoTarget::Folder),
            ("imap://anna@mail.example.org", NoTarget::Plain),
            ("imap://anna@192.0.2.1", NoTarget::Plain),
        ];
        for (text, expected) in table {
            assert_eq!(Target::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn no_error_repeats_the_url_for_there_may_be_a_password_in_it() {
        for text in [
            "imaps://anna:canary@host",
            "imaps://canary@host:canary",
            "http://canary:canary@host",
            "imaps://a%@canary",
        ] {
            let error = Target::parse(text).expect_err(text);
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}
