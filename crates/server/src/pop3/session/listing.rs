//! What is in the maildrop: STAT, LIST, UIDL, and DELE (RFC 1939 §5, §7).

use super::super::effect::Effect;
use super::super::fault::Event;
use super::super::maildrop::Held;
use super::{Done, Session, Stop};

impl Session {
    /// The message of this number.
    pub(super) fn held(&self, number: &str) -> Result<&Held, Stop> {
        let missing = || Stop::err("no such message");
        let maildrop = self.maildrop()?;
        number.trim().parse().ok().and_then(|number| maildrop.message(number)).ok_or_else(missing)
    }

    /// The message that a command asks for by number, for faults.
    pub(super) fn message_ahead(&self, name: &str, arguments: &str) -> Option<&Held> {
        let asks = matches!(name, "RETR" | "TOP");
        self.held(arguments.split(' ').next().filter(|_| asks)?).ok()
    }

    fn octets(&self, message: &Held) -> u64 {
        self.shared.behaviour.counting.octets(&message.bytes)
    }

    pub(super) fn stat(&mut self) -> Done {
        let maildrop = self.maildrop()?;
        let octets: u64 = maildrop.messages().map(|message| self.octets(message)).sum();
        let messages = maildrop.messages().count();
        self.ok(&format!("{messages} {octets}"));
        Ok(())
    }

    pub(super) async fn list(&mut self, arguments: &str) -> Done {
        if !arguments.is_empty() {
            let message = self.held(arguments)?;
            let line = format!("{} {}", message.number, self.octets(message));
            self.ok(&line);
            return Ok(());
        }
        let messages = self.maildrop()?.messages();
        let lines = messages.map(|message| {
            (message.number, format!("{} {}\r\n", message.number, self.octets(message)).into_bytes())
        });
        self.send_listing(lines.collect()).await
    }

    pub(super) async fn uidl(&mut self, arguments: &str) -> Done {
        self.needs("UIDL")?;
        let uidls = self.shared.uidls();
        let maildrop = self.maildrop()?;
        let line = |message: &Held| {
            let mut line = format!("{} ", message.number).into_bytes();
            line.extend(maildrop.uidl(&uidls, message));
            line.extend(b"\r\n");
            line
        };
        if !arguments.is_empty() {
            let line = line(self.held(arguments)?);
            self.wire.out.extend_from_slice(b"+OK ");
            self.wire.out.extend(line);
            return Ok(());
        }
        let lines = maildrop.messages().map(|message| (message.number, line(message)));
        self.send_listing(lines.collect()).await
    }

    /// The answer of LIST or UIDL; each line with the number of its message.
    async fn send_listing(&mut self, lines: Vec<(u32, Vec<u8>)>) -> Done {
        self.ok(&format!("{} messages", lines.len()));
        let most = match self.twist(|twist| matches!(twist, Effect::EndsAfter(_))) {
            Some(Effect::EndsAfter(lines)) => lines,
            _ => usize::MAX,
        };
        for (number, mut line) in lines.into_iter().take(most) {
            for effect in self.shared.script.strikes(Event::Listed { number }) {
                match effect {
                    Effect::Hide => line.clear(),
                    Effect::Line(other) => line = other,
                    other => drop(self.wire.suffer(other).await?),
                }
            }
            self.wire.out.extend(line);
            self.wire.flush_some().await?;
        }
        self.end_lines().await
    }

    pub(super) fn dele(&mut self, arguments: &str) -> Done {
        let number = self.held(arguments)?.number;
        if let Some(message) = self.maildrop_mut()?.message_mut(number) {
            message.deleted = true;
        }
        self.ok("to be deleted at QUIT");
        Ok(())
    }
}
