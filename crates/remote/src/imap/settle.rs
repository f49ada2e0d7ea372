//! What is said right after the login, in one round trip: what is to be switched on (ENABLE, COMPRESS),
//! who we are (ID), and the listing, if it is wanted.

use message::NameEncoding;

use super::Session;
use super::burst::{Aim, Heard};
use super::capabilities::Capabilities;
use super::command::Command;
use super::conversation::Conversation;
use super::guard::Guard;
use super::list::Listed;
use crate::error::Error;
use crate::net::deflate::Deflate;

impl Session {
    /// Settles the session that was just logged in.
    pub(super) async fn settle(self, compress: bool) -> Result<Self, Error> {
        Ok(self.settle_with(compress, false).await?.0)
    }

    /// The same, and lists the mailboxes in the same breath.
    pub(super) async fn settle_and_list(self, compress: bool) -> Result<(Self, Vec<Listed>), Error> {
        let (mut session, heard) = self.settle_with(compress, true).await?;
        let listed = session.finish_listing(heard).await?;
        Ok((session, listed))
    }

    async fn settle_with(mut self, compress: bool, list: bool) -> Result<(Self, Heard), Error> {
        self.heed_message_limit();
        let enabled = to_enable(&self.capabilities);
        let mut commands = Vec::new();
        if !enabled.is_empty() {
            commands.push((Aim::Enable, Command::new("ENABLE ").text(&enabled.join(" "))));
        }
        if self.capabilities.has("ID") {
            commands.push((Aim::Identify, who_we_are()));
        }
        if list {
            commands.extend(self.listing(enabled.contains(&"CONDSTORE")));
        }
        if compress && self.capabilities.compress {
            commands.push((Aim::Compress, Command::new("COMPRESS DEFLATE")));
        }
        if matches!(commands[..], [(Aim::Enable, _)]) {
            commands.push((Aim::End, Command::new("NOOP")));
        }
        let compressed = commands.iter().any(|(aim, _)| *aim == Aim::Compress);
        let heard = self.burst(commands).await?;
        self.note_enabled(&heard.enabled);
        match heard.refused(Aim::Compress) {
            Some((_, refusal)) => {
                tracing::debug!(%refusal, "the server offers compression and refuses it");
            }
            None if compressed => self = self.deflated(),
            None => {}
        }
        Ok((self, heard))
    }

    /// Asks for no more messages in one command than the server says it answers for (RFC 9738).
    fn heed_message_limit(&mut self) {
        if let Some(most) = self.capabilities.message_limit {
            let limits = &mut self.limits;
            limits.bodies_per_command = limits.bodies_per_command.min(most);
            limits.rows_per_command = limits.rows_per_command.min(most);
        }
    }

    fn note_enabled(&mut self, enabled: &[String]) {
        let on = |word: &str| enabled.iter().any(|enabled| enabled == word);
        self.capabilities.qresync = on("QRESYNC");
        self.capabilities.condstore = on("CONDSTORE") || on("QRESYNC");
        self.capabilities.uid_only = on("UIDONLY");
        if on("IMAP4REV2") || on("UTF8=ACCEPT") {
            self.encoding = NameEncoding::Utf8;
        }
    }

    /// The session from where the server compresses, and we do (RFC 4978).
    fn deflated(mut self) -> Self {
        let (last_tag, round_trips) = (self.talk.last_tag(), self.talk.round_trips());
        let literals = self.talk.literals;
        let (transport, counters, early) = self.talk.into_parts();
        let guard = Guard::new(Box::new(Deflate::new(transport, early)), counters, &self.limits, false);
        self.talk = Conversation::new(guard, &self.limits).after(last_tag, round_trips);
        self.talk.literals = literals;
        self
    }
}

/// What is wanted of what the server offers to enable (RFC 5161).
fn to_enable(capabilities: &Capabilities) -> Vec<&'static str> {
    let has = |word: &str| capabilities.has(word);
    if !has("ENABLE") && !has("IMAP4REV2") {
        return Vec::new();
    }
    let mut wanted: Vec<&str> = ["CONDSTORE", "QRESYNC"].into_iter().filter(|word| has(word)).collect();
    if has("IMAP4REV2") && !has("IMAP4REV1") {
        wanted.push("IMAP4rev2");
    }
    if has("UTF8=ONLY") {
        wanted.push("UTF8=ACCEPT");
    }
    if has("UIDONLY") {
        // A provider that shows the newest 10,000 messages of a mailbox shows all of them so.
        wanted.push("UIDONLY");
    }
    wanted
}

/// Some servers let nobody open a mailbox who has not said so (RFC 2971).
fn who_we_are() -> Command {
    let version = env!("CARGO_PKG_VERSION");
    Command::new("ID (\"name\" \"restante\" \"version\"").string(version.as_bytes()).text(")")
}
