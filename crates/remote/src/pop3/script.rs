//! POP3 sessions with servers that play a script.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::{Auth, How, Number, Pace, RetrieveSink, Retrieved, Session, Wanted};
use crate::script::World;
use crate::{Error, Limits, Security};

impl World {
    /// Opens a POP3 session with a server that plays `script`, and does `test` with it.
    pub(crate) async fn pop3<T>(
        &self,
        auth: Auth,
        script: &str,
        test: impl AsyncFnOnce(Session) -> T,
    ) -> Result<T, Error> {
        self.meet(script, async |transport, counters| {
            let (endpoint, credentials) = (&self.endpoint, &self.credentials);
            let session =
                Session::begin(transport, counters, endpoint, credentials, auth, &self.limits).await?;
            Ok(test(session).await)
        })
        .await
    }
}

/// A session with a server that can do `capabilities`, and then plays `script`.
pub(super) async fn talk<T>(capabilities: &[&str], script: &str, test: impl AsyncFnOnce(Session) -> T) -> T {
    talk_within(Limits::default(), capabilities, script, test).await
}

pub(super) async fn talk_within<T>(
    limits: Limits,
    capabilities: &[&str],
    script: &str,
    test: impl AsyncFnOnce(Session) -> T,
) -> T {
    let mut world = World::new(Security::Plain);
    world.limits = limits;
    let lines: String = capabilities.iter().map(|line| format!("S: {line}\n")).collect();
    let script = format!(
        "S: +OK hi
         C: CAPA
         S: -ERR later
         C: USER me
         S: +OK
         C: PASS canary-\"p\\w\"-7431
         S: +OK
         C: CAPA
         S: +OK
         {lines}
         S: .
         {script}"
    );
    world.pop3(Auth::Auto, &script, test).await.unwrap()
}

/// A session with so many messages in its maildrop.
pub(super) async fn with_mail<T>(
    limits: Limits,
    capabilities: &[&str],
    messages: u32,
    script: &str,
    test: impl AsyncFnOnce(Session) -> T,
) -> T {
    let script = format!("C: STAT\nS: +OK {messages} 1000\n{script}");
    talk_within(limits, capabilities, &script, async |mut session| {
        session.stat().await.unwrap();
        test(session).await
    })
    .await
}

/// Notes what comes, in words; breaks after so many events.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) lines: Vec<String>,
    pub(super) bytes: Vec<Bytes>,
    pub(super) stop_after: Option<usize>,
}

impl RetrieveSink for Notes {
    async fn retrieved(&mut self, event: Retrieved) -> ControlFlow<()> {
        self.lines.push(match event {
            Retrieved::Whole { number, bytes, count } => {
                let line = format!("{}={} {count:?}", number.get(), bytes.escape_ascii());
                self.bytes.push(bytes);
                line
            }
            Retrieved::Slice { number, bytes } => {
                let line = format!("{}+{}", number.get(), bytes.len());
                self.bytes.push(bytes);
                line
            }
            Retrieved::EndOfSlices { number, count } => format!("{} end {count:?}", number.get()),
            Retrieved::Refused { number, refusal } => format!("{} refused: {refusal}", number.get()),
            Retrieved::Torn { number } => format!("{} torn", number.get()),
        });
        match self.stop_after == Some(self.lines.len()) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

pub(super) fn wanted(session: &Session, sizes: &[(u32, Option<u64>)]) -> Vec<Wanted> {
    sizes
        .iter()
        .map(|(number, octets)| Wanted {
            number: number_of(session, *number),
            octets: *octets,
            how: How::Retr,
        })
        .collect()
}

pub(super) fn number_of(session: &Session, number: u32) -> Number {
    session.number(number).unwrap()
}

/// What comes of retrieving messages of these told sizes, and how it ends.
pub(super) async fn retrieves(
    session: &mut Session,
    sizes: &[(u32, Option<u64>)],
    pace: Pace,
) -> (Vec<String>, Option<Error>) {
    let wanted = wanted(session, sizes);
    let mut notes = Notes::default();
    let error = session.retrieve(&wanted, pace, &mut notes).await.err();
    (notes.lines, error)
}
