//! The ways to log in (RFC 1939 §7, RFC 5034), each tried once.
//!
//! What is secret is put into a [`Command`] that does not show it, or into memory that is wiped. Nothing
//! is sent that holds a line end: a password of two lines would be two commands.

use base64_simd::STANDARD;
use bytes::Bytes;
use md5::{Digest, Md5};
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;

use super::capabilities::Capabilities;
use super::command::Command;
use super::reply::Reply;
use super::wire::Wire;
use crate::endpoint::{Credentials, Endpoint};
use crate::error::Error;

/// How to log in to a POP3 server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// SASL PLAIN where the server offers it, else USER and PASS. Never APOP.
    #[default]
    Auto,
    /// USER and PASS (RFC 1939 §7).
    User,
    /// SASL PLAIN (RFC 4616, RFC 5034).
    Plain,
    /// APOP (RFC 1939 §7): the password does not cross the line, but MD5 is all that protects it.
    Apop,
    /// SASL XOAUTH2, as Google and Microsoft have it; the password is the access token.
    XOauth2,
    /// SASL OAUTHBEARER (RFC 7628); the password is the access token.
    OAuthBearer,
}

/// A line with an initial response is no longer than this (RFC 2449 §4), its end included.
const LONGEST_COMMAND: usize = 255;

/// A login takes two steps; a server that wants more does not do what it was asked.
const MOST_STEPS: usize = 4;

/// What can be sent: no line end, no NUL.
pub(super) fn check(credentials: &Credentials) -> Result<(), Error> {
    let password = credentials.password.expose_secret();
    for (what, text) in [("the user name", credentials.user.as_str()), ("the password", password)] {
        if text.contains(['\r', '\n', '\0']) {
            return Err(Error::Unsendable { what });
        }
    }
    Ok(())
}

/// Logs in, as `auth` wants it and the server offers it; gives the last answer.
pub(super) async fn log_in(
    wire: &mut Wire,
    endpoint: &Endpoint,
    credentials: &Credentials,
    auth: Auth,
    offered: &Capabilities,
    greeting: &[u8],
) -> Result<Reply, Error> {
    let none = |offered: String| Error::NoMechanism { host: endpoint.host.clone(), offered };
    let (user, password) = (&credentials.user, credentials.password.expose_secret());
    let mechanism = match auth {
        // In the open both show the password; the older way is understood by more servers.
        Auth::Auto if offered.knows("PLAIN") && !(offered.user && endpoint.is_plain_and_remote()) => {
            Mechanism::Plain
        }
        Auth::Auto if !offered.user && !offered.mechanisms.is_empty() => {
            return Err(none(offered.offered_logins()));
        }
        Auth::Auto | Auth::User => return user_and_pass(wire, user, password).await,
        Auth::Apop => {
            let Some(timestamp) = timestamp(greeting) else {
                let logins = offered.offered_logins();
                return Err(none(format!("{logins}; no APOP, for its greeting has no timestamp")));
            };
            let digest = apop_digest(timestamp, password);
            return wire.ask(Command::secret(&format!("APOP {user} "), &digest)).await;
        }
        Auth::Plain => Mechanism::Plain,
        Auth::XOauth2 => Mechanism::XOauth2,
        Auth::OAuthBearer => Mechanism::OAuthBearer,
    };
    if offered.announced && !offered.knows(mechanism.name()) {
        return Err(none(offered.offered_logins()));
    }
    mechanism.exchange(wire, endpoint, user, password).await
}

async fn user_and_pass(wire: &mut Wire, user: &str, password: &str) -> Result<Reply, Error> {
    match wire.ask(Command::new(format!("USER {user}"))).await? {
        Reply::Ok(_) => wire.ask(Command::secret("PASS ", password)).await,
        refused => Ok(refused),
    }
}

/// The timestamp in a greeting that offers APOP: a message-id in its strict form. A looser one can be
/// chosen so that digests betray the password (CVE-2007-1558).
fn timestamp(greeting: &[u8]) -> Option<&[u8]> {
    let start = memchr::memchr(b'<', greeting)?;
    let end = start + memchr::memchr(b'>', &greeting[start..])?;
    let (left, right) = {
        let inside = &greeting[start + 1..end];
        inside.split_at(memchr::memchr(b'@', inside)?)
    };
    let is_word = |part: &[u8]| {
        !part.is_empty() && part.iter().all(|octet| octet.is_ascii_graphic() && !b"<>@".contains(octet))
    };
    (is_word(left) && is_word(&right[1..])).then(|| &greeting[start..=end])
}

/// MD5 of timestamp and password, in small hexadecimal digits.
fn apop_digest(timestamp: &[u8], password: &str) -> Zeroizing<String> {
    let digest = Md5::new().chain_update(timestamp).chain_update(password).finalize();
    let mut text = Zeroizing::new(String::with_capacity(2 * digest.len()));
    for octet in digest {
        for digit in [octet >> 4, octet & 0xf] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

/// A SASL mechanism in which all that we have to say is said at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    Plain,
    XOauth2,
    OAuthBearer,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::XOauth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    fn response(self, endpoint: &Endpoint, user: &str, password: &str) -> Zeroizing<String> {
        let text = Zeroizing::new(match self {
            Self::Plain => format!("\0{user}\0{password}"),
            Self::XOauth2 => format!("user={user}\x01auth=Bearer {password}\x01\x01"),
            Self::OAuthBearer => {
                // A name in GS2 (RFC 5801 §4).
                let user = user.replace('=', "=3D").replace(',', "=2C");
                let Endpoint { host, port, .. } = endpoint;
                format!("n,a={user},\x01host={host}\x01port={port}\x01auth=Bearer {password}\x01\x01")
            }
        });
        Zeroizing::new(STANDARD.encode_to_string(text.as_bytes()))
    }

    /// What is said to a challenge after all has been said. The bearer mechanisms send the reason of a
    /// refusal so, and go on when they have been answered (RFC 7628 §3.2.3).
    fn last_word(self) -> &'static str {
        match self {
            Self::Plain => "*",
            Self::XOauth2 => "",
            Self::OAuthBearer => "AQ==",
        }
    }

    async fn exchange(
        self,
        wire: &mut Wire,
        endpoint: &Endpoint,
        user: &str,
        password: &str,
    ) -> Result<Reply, Error> {
        let response = self.response(endpoint, user, password);
        let command = format!("AUTH {}", self.name());
        let at_once = command.len() + 1 + response.len() + 2 <= LONGEST_COMMAND;
        match at_once {
            true => wire.send(&[Command::secret(&format!("{command} "), &response)]).await?,
            false => wire.send(&[Command::new(command)]).await?,
        }
        let mut said = false;
        let mut reason = Bytes::new();
        for _ in 0..MOST_STEPS {
            let challenge = match wire.reply().await? {
                Ok(Reply::Continue(challenge)) => challenge,
                Ok(reply) => return Ok(with_reason(reply, &reason)),
                Err(line) => return Err(Error::malformed("the answer to a login", &line)),
            };
            // An empty challenge, or any to PLAIN, means that what came at once was not read.
            let first = !said && (!at_once || challenge.is_empty() || self == Self::Plain);
            said = true;
            if first {
                wire.send_on(Command::secret("", &response)).await?;
            } else {
                reason = challenge;
                wire.send_on(Command::new(self.last_word())).await?;
            }
        }
        Err(Error::malformed("the end of a login", &reason))
    }
}

/// A refusal, with the reason that came before it.
fn with_reason(reply: Reply, reason: &[u8]) -> Reply {
    /// Of octets in base64.
    const LONGEST: usize = 400;
    match (reply, STANDARD.decode_to_vec(&reason[..reason.len().min(LONGEST)])) {
        (Reply::Err { mut refusal, number }, Ok(decoded)) if !decoded.is_empty() => {
            refusal.text = format!("{} ({})", refusal.text, String::from_utf8_lossy(&decoded));
            Reply::Err { refusal, number }
        }
        (reply, _) => reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1939_gives_its_digest() {
        let digest = apop_digest(b"<1896.697170952@dbc.mtview.ca.us>", "tanstaaf");
        assert_eq!(*digest, "c4c9334bac560ecc979e58001b3e22fb");
    }

    #[test]
    fn only_a_strict_timestamp_is_one() {
        let stamp = b"<1896.697170952@dbc.mtview.ca.us>";
        assert_eq!(timestamp(&[b"POP3 ready ", &stamp[..], b" hi"].concat()), Some(&stamp[..]));
        for none in [
            "ready",
            "<a>",
            "<@b>",
            "<a@>",
            "<a@b",
            "<a@b c>",
            "<a@\x01b>",
            "<a@b@c>",
            "<a<b@c>",
            "<\u{e9}@b>",
        ] {
            assert_eq!(timestamp(none.as_bytes()), None, "{none}");
        }
    }
}
