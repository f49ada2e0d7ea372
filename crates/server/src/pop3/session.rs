//! One POP3 client's session: reads commands, lets the faults have their say, answers.
//!
//! Each command is a method in the module of its subject. It writes its whole answer to the wire,
//! or says by [`Stop`] why there is none.

mod listing;
mod login;
mod retrieve;

use std::sync::Arc;

use super::effect::Effect;
use super::fault::Event;
use super::maildrop::Maildrop;
use super::server::Shared;
use super::wire::Wire;
use crate::behaviour::Tls;
use crate::limits;
use crate::transport::{Broken, Stream};

/// Why a command is not answered +OK.
#[derive(Debug)]
enum Stop {
    Err(String),
    /// The session ends, with these words before.
    Leave(String),
    /// The session has ended.
    Gone,
}

impl Stop {
    fn err(text: &str) -> Self {
        Self::Err(text.to_owned())
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Gone => Self::Gone,
            Broken::Abuse(what) => Self::Leave(what.into_owned()),
        }
    }
}

type Done = Result<(), Stop>;

/// A session with its state.
pub(super) struct Session {
    shared: Arc<Shared>,
    wire: Wire,
    /// What USER said.
    named: Option<String>,
    /// Once logged in.
    maildrop: Option<Maildrop>,
    encrypted: bool,
    utf8: bool,
    /// Faults that change what the current command answers.
    twists: Vec<Effect>,
}

/// Serves one client until it goes.
pub(super) async fn serve(mut session: Session) {
    if let Err(Stop::Leave(text)) = session.converse().await {
        session.say(&format!("-ERR {text}"));
        session.wire.close().await;
    }
}

/// What a fault has made of a command.
#[derive(Default)]
struct Verdict {
    refused: Option<String>,
    answered: bool,
    after: Vec<u8>,
}

impl Session {
    pub(super) fn new(stream: Box<dyn Stream>, shared: Arc<Shared>) -> Self {
        Self {
            wire: Wire::new(stream, Arc::clone(&shared)),
            shared,
            named: None,
            maildrop: None,
            encrypted: false,
            utf8: false,
            twists: Vec::new(),
        }
    }

    fn say(&mut self, line: &str) {
        self.wire.out.extend_from_slice(line.as_bytes());
        self.wire.out.extend_from_slice(b"\r\n");
    }

    fn ok(&mut self, text: &str) {
        self.say(&format!("+OK {text}"));
    }

    /// -ERR, unless the server offers this.
    fn needs(&self, capability: &str) -> Done {
        let offered = self.shared.behaviour.offers(capability);
        offered.then_some(()).ok_or_else(|| Stop::err("unknown command"))
    }

    /// A code to stand before a text, where the server has announced such codes.
    fn code(&self, code: &str) -> String {
        let capability = if code == "AUTH" { "AUTH-RESP-CODE" } else { "RESP-CODES" };
        match self.shared.behaviour.offers(capability) {
            true => format!("[{code}] "),
            false => String::new(),
        }
    }

    fn maildrop(&self) -> Result<&Maildrop, Stop> {
        self.maildrop.as_ref().ok_or_else(|| Stop::err("log in first"))
    }

    fn maildrop_mut(&mut self) -> Result<&mut Maildrop, Stop> {
        self.maildrop.as_mut().ok_or_else(|| Stop::err("log in first"))
    }

    async fn converse(&mut self) -> Result<(), Stop> {
        if let Tls::Implicit(config) = self.shared.behaviour.tls.clone() {
            self.wire.start_tls(config).await?;
            self.encrypted = true;
        }
        self.greet().await?;
        loop {
            let line = self.wire.line(limits::COMMAND_TEXT_BEFORE_LOGIN).await?;
            self.obey(&line).await?;
        }
    }

    async fn greet(&mut self) -> Result<(), Stop> {
        let effects = self.shared.script.strikes(Event::Greeting);
        let verdict = self.judge(effects).await?;
        if let Some(text) = verdict.refused {
            return Err(Stop::Leave(text));
        }
        if !verdict.answered {
            let greeting = self.shared.behaviour.greeting.clone();
            self.ok(&greeting);
        }
        self.finish(verdict.after).await
    }

    /// Takes one command and answers it.
    async fn obey(&mut self, line: &[u8]) -> Result<(), Stop> {
        let text = String::from_utf8_lossy(line).into_owned();
        let (name, arguments) = text.split_once(' ').unwrap_or((&text, ""));
        let name = name.to_ascii_uppercase();
        let told = without_secrets(&name, arguments);
        self.shared.note(&told);
        self.shared.count(|counts| counts.commands += 1);

        let mut effects = self.shared.script.strikes(Event::Command { name: &name, line: &told });
        if let Some(message) = self.message_ahead(&name, arguments) {
            let event = Event::Message { number: message.number, bytes: &message.bytes };
            effects.extend(self.shared.script.strikes(event));
        }
        let verdict = self.judge(effects).await?;
        let done = match (verdict.refused, verdict.answered) {
            (Some(text), _) => Err(Stop::Err(text)),
            (None, true) => Ok(()),
            (None, false) => self.perform(&name, arguments).await,
        };
        let agreed = done.is_ok() && !verdict.answered;
        match done {
            Ok(()) => {}
            Err(Stop::Err(text)) => self.say(&format!("-ERR {text}")),
            Err(stop) => return Err(stop),
        }
        let decides_login =
            matches!(name.as_str(), "PASS" | "APOP") || (name == "AUTH" && !arguments.is_empty());
        if decides_login && self.maildrop.is_none() {
            self.shared.count(|counts| counts.logins_refused += 1);
        }
        self.finish(verdict.after).await?;
        match name.as_str() {
            "STLS" if agreed => self.take_up_tls().await,
            "QUIT" => {
                self.wire.close().await;
                Err(Stop::Gone)
            }
            _ => Ok(()),
        }
    }

    /// Sends what is left of the answer, with what stands behind it.
    async fn finish(&mut self, mut after: Vec<u8>) -> Result<(), Stop> {
        if let Some(Effect::Endless(octets)) = self.twist(|twist| matches!(twist, Effect::Endless(_))) {
            // Of an answer that has no terminator it is the line that does not end.
            self.wire.out.truncate(self.wire.out.len().saturating_sub(2));
            return self.go_on_for_ever(&octets).await;
        }
        self.wire.out.append(&mut after);
        self.wire.flush().await?;
        self.wire.release();
        Ok(())
    }

    /// Sorts what strikes: what is about the answer as a whole, and what the command itself minds.
    async fn judge(&mut self, effects: Vec<Effect>) -> Result<Verdict, Stop> {
        let mut verdict = Verdict::default();
        self.twists.clear();
        for effect in effects {
            match effect {
                Effect::Err(text) => verdict.refused = Some(text),
                Effect::After(octets) => verdict.after = octets,
                Effect::Before(octets) => self.wire.out.extend_from_slice(&octets),
                Effect::Instead(octets) => {
                    self.wire.out.extend_from_slice(&octets);
                    verdict.answered = true;
                }
                other => self.twists.extend(self.wire.suffer(other).await?),
            }
        }
        Ok(verdict)
    }

    fn twist(&self, meant: impl Fn(&Effect) -> bool) -> Option<Effect> {
        self.twists.iter().find(|&twist| meant(twist)).cloned()
    }

    /// Ends an answer of several lines.
    async fn end_lines(&mut self) -> Done {
        if let Some(Effect::Endless(octets)) = self.twist(|twist| matches!(twist, Effect::Endless(_))) {
            return self.go_on_for_ever(&octets).await;
        }
        match self.twist(|twist| matches!(twist, Effect::Terminator(_))) {
            Some(Effect::Terminator(octets)) => self.wire.out.extend_from_slice(&octets),
            _ => self.wire.out.extend_from_slice(b".\r\n"),
        }
        Ok(())
    }

    async fn go_on_for_ever(&mut self, octets: &[u8]) -> Done {
        loop {
            while self.wire.out.len() < limits::WRITE {
                self.wire.out.extend_from_slice(octets);
                if octets.is_empty() {
                    self.wire.flush().await?;
                    return Ok(());
                }
            }
            self.wire.flush().await?;
        }
    }

    async fn perform(&mut self, name: &str, arguments: &str) -> Done {
        match name {
            "CAPA" => self.capa().await,
            "STLS" => self.may_start_tls(),
            "USER" => self.user(arguments),
            "PASS" => self.pass(arguments).await,
            "APOP" => self.apop(arguments).await,
            "AUTH" => self.auth(arguments).await,
            "UTF8" => self.utf8(),
            "LANG" => self.lang(arguments).await,
            "QUIT" => self.quit(),
            "STAT" => self.stat(),
            "LIST" => self.list(arguments).await,
            "UIDL" => self.uidl(arguments).await,
            "RETR" => self.retr(arguments).await,
            "TOP" => self.top(arguments).await,
            "DELE" => self.dele(arguments),
            "NOOP" => {
                self.maildrop()?;
                self.ok("nothing done");
                Ok(())
            }
            "RSET" => {
                self.maildrop_mut()?.keep_all();
                self.ok("nothing is deleted");
                Ok(())
            }
            _ => Err(Stop::err("unknown command")),
        }
    }

    fn quit(&mut self) -> Done {
        if let Some(maildrop) = self.maildrop.take() {
            maildrop.update(&self.shared);
        }
        self.ok("see you");
        Ok(())
    }
}

/// The command as the log has it.
fn without_secrets(name: &str, arguments: &str) -> String {
    match (name, arguments.split_once(' ')) {
        (_, None) if arguments.is_empty() => name.to_owned(),
        ("PASS", _) => "PASS ***".to_owned(),
        ("APOP" | "AUTH", Some((first, _))) => format!("{name} {first} ***"),
        ("APOP", None) => "APOP ***".to_owned(),
        _ => format!("{name} {arguments}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_no_secrets() {
        for (name, arguments, told) in [
            ("PASS", "my secret", "PASS ***"),
            ("APOP", "anna 0123456789abcdef", "APOP anna ***"),
            ("AUTH", "PLAIN AGFubmEAc2VjcmV0", "AUTH PLAIN ***"),
            ("AUTH", "PLAIN", "AUTH PLAIN"),
            ("RETR", "3", "RETR 3"),
            ("QUIT", "", "QUIT"),
        ] {
            assert_eq!(without_secrets(name, arguments), told);
        }
    }
}
