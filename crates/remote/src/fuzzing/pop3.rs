//! The laws of POP3: how a message is read off the line, and what a session does at a server that says
//! whatever the input says.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{Canned, Heard, block_on, check, credentials, endpoint, limits};
use crate::net::Transport;
use crate::net::meter::{Counters, Meter};
use crate::pop3::doors::{read, stuffed};
use crate::pop3::{Auth, HeaderSink, How, Number, Pace, RetrieveSink, Retrieved, Session, Wanted};
use crate::refusal::Refusal;

/// A message on the line: the same however it arrives and is taken; and what a right server sends comes
/// back. The first two bytes say in which portions it arrives, and is taken.
pub fn pop3_multiline(data: &[u8]) {
    let Some((&[portion, part], stream)) = data.split_first_chunk() else { return };
    let (portion, part) = (usize::from(portion) + 1, usize::from(part) + 1);
    let whole = read(stream, stream.len(), usize::MAX);
    assert!(read(stream, portion, part) == whole, "the message depends on the portions");
    if let Some((text, left)) = whole {
        assert!(text.len() + left.len() + b".\r\n".len() <= stream.len());
    }
    let message = [stream, b"\r\n"].concat();
    let back = read(&stuffed(&message), portion, part);
    assert!(back == Some((message, Vec::new())), "a message does not come back");
}

/// A whole session. The first byte: bit 0 if the server says all of it at once, else a line when it is
/// read; bits 1 and 2 the pace, the others the way to log in. The second: in which portions octets come.
pub fn pop3_conversation(data: &[u8]) {
    let Some((&[form, portion], stream)) = data.split_first_chunk() else { return };
    let paces = [Pace::Fast, Pace::OneByOne, Pace::Careful];
    let auths = [Auth::Auto, Auth::User, Auth::Plain, Auth::Apop, Auth::XOauth2, Auth::OAuthBearer];
    let pace = paces[usize::from(form >> 1 & 3) % paces.len()];
    let auth = auths[usize::from(form >> 3) % auths.len()];
    let counters = Counters::default();
    let said = Arc::new(Mutex::new(Vec::new()));
    let transport: Box<dyn Transport> = match form & 1 {
        1 => Box::new(Meter::new(Canned::new(stream, portion), counters.clone())),
        _ => {
            let heard = Heard {
                lines: Bytes::copy_from_slice(stream),
                portion: usize::from(portion).pow(2) + 1,
                said: Arc::clone(&said),
                rest: false,
                interrupts: false,
                spoken_to: false,
            };
            Box::new(Meter::new(heard, counters.clone()))
        }
    };
    let (endpoint, credentials, limits) = (endpoint(), credentials(), limits());
    block_on(async {
        match Session::begin(transport, counters, &endpoint, &credentials, auth, &limits).await {
            Ok(session) => hold(session, pace).await,
            Err(error) => check(&error),
        }
    });
    check_said(&said.lock().unwrap_or_else(PoisonError::into_inner));
}

/// What a pull does, and more.
async fn hold(mut session: Session, pace: Pace) {
    let overview = match session.overview(true).await {
        Ok(overview) => overview,
        Err(error) => return check(&error),
    };
    let messages = overview.stat.messages;
    let ascends = |numbers: &[Number]| {
        assert!(numbers.is_sorted_by(|a, b| a < b), "a number twice, or out of order");
        assert!(numbers.iter().all(|number| (1..=messages).contains(&number.get())));
        assert!(numbers.len() as u64 <= limits().responses);
    };
    let uidls = overview.uidls.unwrap_or_default();
    ascends(&uidls.iter().map(|(number, _)| *number).collect::<Vec<_>>());
    match session.sizes().await {
        Ok(sizes) => ascends(&sizes.iter().map(|(number, _)| *number).collect::<Vec<_>>()),
        Err(error) => return check(&error),
    }
    let numbers: Vec<Number> = (1..=6).filter_map(|number| session.number(number)).collect();
    let sizes = match session.size_of(&numbers).await {
        Ok(sizes) => sizes,
        Err(error) => return check(&error),
    };
    if let Err(error) = session.uidl_of(&numbers).await {
        return check(&error);
    }
    let mut headers = Headers { wanted: numbers };
    match session.headers(&headers.wanted.clone(), &mut headers).await {
        Ok(()) => assert!(headers.wanted.is_empty(), "a header that was not told"),
        Err(error) => return check(&error),
    }
    let how = |number: Number| if number.get() == 2 { How::Top } else { How::Retr };
    let wanted: Vec<Wanted> =
        sizes.iter().map(|&(number, octets)| Wanted { number, octets, how: how(number) }).collect();
    let mut sink = Sink { wanted: wanted.clone(), sliced: false, torn: false };
    match session.retrieve(&wanted, pace, &mut sink).await {
        Ok(()) => assert!(sink.wanted.is_empty() && !sink.torn, "a message that was not told"),
        Err(error) => return check(&error),
    }
    for ended in [session.stat().await.map(drop), session.quit().await] {
        if let Err(error) = ended {
            check(&error);
        }
    }
}

/// Each header is told once, in the order in which they were wanted.
struct Headers {
    wanted: Vec<Number>,
}

impl HeaderSink for Headers {
    async fn header(&mut self, number: Number, header: Result<Bytes, Refusal>) -> ControlFlow<()> {
        assert!(self.wanted.remove(0) == number);
        assert!(header.is_ok_and(|header| header.len() <= limits().header) || self.wanted.len() < 6);
        ControlFlow::Continue(())
    }
}

/// Each message is told once, in the order in which they were wanted; slices are of the one that is due.
struct Sink {
    wanted: Vec<Wanted>,
    sliced: bool,
    torn: bool,
}

impl RetrieveSink for Sink {
    async fn retrieved(&mut self, event: Retrieved) -> ControlFlow<()> {
        assert!(!self.torn, "told after it was torn");
        let (number, sliced) = match &event {
            Retrieved::Slice { number, bytes } => {
                assert!((1..=limits().slice).contains(&bytes.len()));
                assert!(*number == self.wanted[0].number);
                self.sliced = true;
                return ControlFlow::Continue(());
            }
            Retrieved::EndOfSlices { number, .. } => (*number, true),
            Retrieved::Whole { number, .. } | Retrieved::Refused { number, .. } => (*number, false),
            Retrieved::Torn { number } => {
                self.torn = true;
                (*number, self.sliced)
            }
        };
        assert!(self.wanted.remove(0).number == number && self.sliced == sliced);
        self.sliced = false;
        ControlFlow::Continue(())
    }
}

/// What we said: commands that take nothing away, and the password only where it belongs.
fn check_said(said: &[u8]) {
    let commands = [
        "CAPA", "UTF8", "LANG", "USER", "PASS", "APOP", "AUTH", "STAT", "UIDL", "LIST", "TOP", "RETR",
        "NOOP", "QUIT",
    ];
    let said = String::from_utf8_lossy(said);
    let mut in_exchange = false;
    for line in said.split_terminator("\r\n") {
        let verb = line.split(' ').next().unwrap_or_default();
        // The last line may have been cut off, and what is said in an exchange is in base64.
        assert!(commands.iter().any(|command| command.starts_with(verb)) || in_exchange, "we said {line:?}");
        in_exchange = verb == "AUTH" || (in_exchange && !commands.contains(&verb));
        assert!(!line.contains("secret") || verb == "PASS", "we said {line:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_whatever_comes_as_a_message_is_read_alike_and_what_is_sent_comes_back() {
        seeds::replay("pop3_multiline", pop3_multiline);
        seeds::mutate("pop3_multiline", pop3_multiline, 20_000);
    }

    #[test]
    fn s18_no_pop3_server_makes_a_session_panic_or_tell_what_was_not_asked_for() {
        seeds::replay("pop3_conversation", pop3_conversation);
        seeds::mutate("pop3_conversation", pop3_conversation, 20_000);
    }
}
