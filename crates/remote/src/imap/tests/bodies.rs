//! Fetching bodies: what is delivered, to whom it is bound, and what is dropped.

use std::ops::ControlFlow;

use super::super::script::{talk, talk_within};
use super::*;
use crate::imap::{Delivery, FetchRequest, FetchSink, Part, Refusal, Session};
use crate::{Error, Kind};

/// Notes what it is given, as text.
#[derive(Default)]
struct Notes {
    lines: Vec<String>,
    stop_after: Option<usize>,
}

impl Notes {
    fn note(&mut self, line: String) -> ControlFlow<()> {
        self.lines.push(line);
        if self.stop_after == Some(self.lines.len()) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl FetchSink for Notes {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        let text = String::from_utf8_lossy(&delivery.bytes).into_owned();
        let flags = delivery.flags.map_or_else(String::new, |flags| format!(" ({flags})"));
        let date = delivery.internal_date.map_or_else(String::new, |date| format!(" {date}"));
        self.note(format!("{}={text}{flags}{date}", delivery.uid))
    }

    async fn finished(&mut self, request: FetchRequest, refused: Option<Refusal>) -> ControlFlow<()> {
        let refused = refused.map_or_else(String::new, |refusal| format!(" refused: {refusal}"));
        self.note(format!("end {}{refused}", request.uids))
    }
}

async fn fetches(session: &mut Session, requests: &[(&str, Part)]) -> (Vec<String>, Option<Error>) {
    let mut notes = Notes::default();
    let requests = requests.iter().map(|&(uids, part)| FetchRequest { uids: set(uids), part }).collect();
    let result = session.fetch(requests, &mut notes).await;
    (notes.lines, result.err())
}

async fn whole(script: &str, uids: &str) -> Vec<String> {
    talk("", script, async |mut session| {
        let (lines, error) = fetches(&mut session, &[(uids, Part::Whole)]).await;
        assert!(error.is_none(), "{error:?}");
        lines
    })
    .await
}

#[tokio::test]
async fn i04_a_body_belongs_to_the_uid_in_its_own_response() {
    let lines = whole(
        "C: r1 UID FETCH 1:4 (UID FLAGS INTERNALDATE BODY.PEEK[])
         S: * 3 FETCH (UID 3 BODY[] {5}
         S: three FLAGS (\\Seen))
         S: * 9 EXISTS
         S: * 1 FETCH (FLAGS (a) UID 1)
         S: * 1 EXPUNGE
         S: * VANISHED 77
         S: * 1 FETCH (BODY[] {3}
         S: one INTERNALDATE \"x\" UID 1)
         S: * 2 FETCH (UID 2 BODY[] NIL)
         S: * 4 FETCH (UID 4 BODY[] \"four\")
         S: r1 OK",
        "1:4",
    )
    .await;
    assert_eq!(lines, ["3=three (\\Seen)", "1=one (a) x", "4=four", "end 1:4"]);
}

#[tokio::test]
async fn what_nobody_asked_for_is_dropped() {
    let lines = whole(
        "C: r1 UID FETCH 1:2 (UID FLAGS INTERNALDATE BODY.PEEK[])
         S: * 1 FETCH (BODY[] {3}
         S: who)
         S: * 7 FETCH (UID 7 BODY[] \"x\")
         S: * 1 FETCH (UID 1 BODY[TEXT] \"x\")
         S: * 1 FETCH (UID 1 BODY[]<0> \"x\")
         S: * 1 FETCH (UID 1 BODY[] \"yes\")
         S: * 1 FETCH (UID 1 BODY[] \"again\")
         S: r1 OK",
        "1:2",
    )
    .await;
    assert_eq!(lines, ["1=yes", "end 1:2"]);
}

#[tokio::test]
async fn i04_a_message_asked_for_alone_needs_no_uid_in_the_answer() {
    let lines = whole(
        "C: r1 UID FETCH 8 (UID FLAGS INTERNALDATE BODY.PEEK[])
         S: * 3 FETCH (BODY[] \"eight\")
         S: r1 OK",
        "8",
    )
    .await;
    assert_eq!(lines, ["8=eight", "end 8"]);
}

#[tokio::test]
async fn slices_and_headers_are_told_apart() {
    let slice = |offset| Part::Slice { offset, length: 4 };
    let script = "C: r1 UID FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[]<0.4>)
                  C: r2 UID FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[]<4.4>)
                  C: r3 UID FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[HEADER])
                  S: * 1 FETCH (UID 1 BODY[HEADER] \"head\")
                  S: * 1 FETCH (UID 1 BODY[]<4> \"5678\")
                  S: * 1 FETCH (UID 1 BODY[]<0> \"12345\")
                  S: * 1 FETCH (UID 1 BODY[]<0> \"1234\")
                  S: * 1 FETCH (UID 1 BODY[] \"all of it\")
                  S: r1 OK
                  S: r2 OK
                  S: r3 OK";
    let (lines, _) = talk("", script, async |mut session| {
        fetches(&mut session, &[("1", slice(0)), ("1", slice(4)), ("1", Part::Header)]).await
    })
    .await;
    assert_eq!(lines, ["1=head", "1=5678", "1=1234", "end 1", "end 1", "end 1"]);
}

#[tokio::test]
async fn i08_a_refusal_goes_to_the_sink_and_the_others_go_on() {
    let limits = limits(|l| {
        l.bodies_per_command = 2;
        l.commands_in_flight = 2;
    });
    let script = "C: r1 UID FETCH 1:2 (UID FLAGS INTERNALDATE BODY.PEEK[])
                  C: r2 UID FETCH 3:4 (UID FLAGS INTERNALDATE BODY.PEEK[])
                  S: * 1 FETCH (UID 1 BODY[] \"one\")
                  S: r1 NO [SERVERBUG] cannot read 2
                  C: r3 UID FETCH 5 (UID FLAGS INTERNALDATE BODY.PEEK[])
                  S: * 3 FETCH (UID 3 BODY[] \"three\")
                  S: r2 OK
                  S: r3 BAD what";
    let (lines, error) = talk_within(limits, "", script, async |mut session| {
        fetches(&mut session, &[("1:5", Part::Whole)]).await
    })
    .await;
    assert!(error.is_none());
    assert_eq!(
        lines,
        ["1=one", "end 1:2 refused: [SERVERBUG] cannot read 2", "3=three", "end 3:4", "end 5 refused: what"]
    );
}

#[tokio::test]
async fn n01_half_a_message_is_never_delivered() {
    for (script, kind) in [
        ("S| * 1 FETCH (UID 1 BODY[] {5}\\r\\nhel", Kind::Network),
        ("S| * 1 FETCH (UID 1 BODY[] {5}\\r\\nhello)", Kind::Network),
        ("S: * BYE Service unavailable", Kind::Network),
        // I6: a literal of another length than told.
        ("S: * 1 FETCH (UID 1 BODY[] {3}\nS: hello)", Kind::Protocol),
        ("S: * 1 FETCH (UID 1 BODY[] {9}\nS: hello)\nS: * 2 EXISTS", Kind::Protocol),
    ] {
        let script = format!("C: r1 UID FETCH 1:2 (UID FLAGS INTERNALDATE BODY.PEEK[])\n{script}");
        let (lines, error) =
            talk("", &script, async |mut session| fetches(&mut session, &[("1:2", Part::Whole)]).await).await;
        assert!(lines.is_empty(), "{lines:?}");
        assert_eq!(error.unwrap().kind(), kind, "{script}");
    }
}

#[tokio::test]
async fn a_sink_can_stop_the_fetch_and_with_it_the_session() {
    let script = "C: r1 UID FETCH 1:9 (UID FLAGS INTERNALDATE BODY.PEEK[])
                  S: * 1 FETCH (UID 1 BODY[] \"one\")
                  S: * 2 FETCH (UID 2 BODY[] \"two\")";
    talk("", script, async |mut session| {
        let mut notes = Notes { stop_after: Some(1), ..Notes::default() };
        let request = FetchRequest { uids: set("1:9"), part: Part::Whole };
        session.fetch(vec![request], &mut notes).await.unwrap();
        assert_eq!(notes.lines, ["1=one"]);
        assert!(matches!(session.recount().await, Err(Error::GivenUp)));
        session.logout().await;
    })
    .await;
}

#[tokio::test]
async fn r11_message_ids_are_asked_for_alone_and_taken_however_the_section_is_spelt() {
    let lines = talk(
        "",
        "C: r1 UID FETCH 1:6 (UID FLAGS INTERNALDATE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])
         S: * 1 FETCH (UID 1 BODY[HEADER.FIELDS (MESSAGE-ID)] \"Message-ID: <1>\")
         S: * 2 FETCH (UID 2 BODY[header.fields (\"Message-Id\")] {15}
         S: Message-Id: <2>)
         S: * 3 FETCH (UID 3 BODY[HEADER.FIELDS  ( MESSAGE-ID )] \"\")
         S: * 4 FETCH (UID 4 BODY[HEADER.FIELDS (SUBJECT)] \"Subject: no\")
         S: * 5 FETCH (UID 5 BODY[HEADER.FIELDS (MESSAGE-ID)]<0> \"no\")
         S: * 6 FETCH (UID 6 BODY[HEADER] \"no\")
         S: r1 OK",
        async |mut session| {
            let (lines, error) = fetches(&mut session, &[("1:6", Part::Fields)]).await;
            assert!(error.is_none(), "{error:?}");
            lines
        },
    )
    .await;
    assert_eq!(lines, ["1=Message-ID: <1>", "2=Message-Id: <2>", "3=", "end 1:6"]);
}
