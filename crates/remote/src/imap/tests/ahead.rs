//! Questions that are asked before their turn, and those that prove to be the wrong ones.

use message::UidValidity;

use super::super::script::{talk, talk_within};
use super::*;
use crate::imap::{Delivery, FetchRequest, FetchSink, Next, Part, Session};
use crate::{Error, Refusal};

struct Dropped;

impl FetchSink for Dropped {
    async fn delivered(&mut self, _delivery: Delivery) -> std::ops::ControlFlow<()> {
        std::ops::ControlFlow::Continue(())
    }

    async fn finished(
        &mut self,
        _request: FetchRequest,
        _refused: Option<Refusal>,
    ) -> std::ops::ControlFlow<()> {
        std::ops::ControlFlow::Continue(())
    }
}

/// Opens `a`, and fetches a message; `b` is what will be asked about next.
async fn fetch_and_expect(session: &mut Session) -> Result<(), Error> {
    session.examine(&name("a"), None).await?;
    session.expect(&[Next::Recount, Next::Examine(name("b"), None), Next::SurveyAll]);
    let request = FetchRequest { uids: set("1"), part: Part::Whole };
    session.fetch(vec![request], &mut Dropped).await
}

/// The server has heard all of it before it answers.
const ASKED: &str = "C: r1 EXAMINE \"a\"
    S: * 1 EXISTS
    S: * OK [UIDVALIDITY 7] yes
    S: r1 OK
    C: r2 UID FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[])
    C: r3 NOOP
    C: r4 EXAMINE \"b\"
    C: r5 UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)
    S| * 1 FETCH (UID 1 FLAGS () INTERNALDATE \"01-Jan-2026 00:00:00 +0000\" BODY[] {2}\\r\\nhi)\\r\\n
    S: r2 OK\n";

const ANSWERED: &str = "S: r3 OK
    S: * 2 EXISTS
    S: * OK [UIDVALIDITY 8] yes
    S: r4 OK
    S: * 1 FETCH (UID 5 FLAGS () INTERNALDATE \"01-Jan-2026 00:00:00 +0000\" RFC822.SIZE 10)
    S: * 2 FETCH (UID 6 FLAGS () INTERNALDATE \"01-Jan-2026 00:00:00 +0000\" RFC822.SIZE 20)
    S: r5 OK\n";

#[tokio::test]
async fn what_is_expected_goes_out_behind_the_last_body_and_is_read_in_its_turn() {
    talk("", &format!("{ASKED}{ANSWERED}"), async |mut session| {
        fetch_and_expect(&mut session).await.unwrap();
        let before = session.traffic().round_trips;
        assert_eq!(session.recount().await.unwrap(), 1);
        let opened = session.examine(&name("b"), None).await.unwrap();
        assert_eq!((opened.exists, opened.uid_validity), (2, UidValidity::new(8)));
        let surveyed = session.survey_all().await.unwrap().unwrap();
        assert_eq!(surveyed.iter().map(|message| message.size).collect::<Vec<_>>(), [10, 20]);
        assert_eq!(session.traffic().round_trips, before, "all was asked before");
    })
    .await;
}

#[tokio::test]
async fn what_is_said_of_messages_before_the_completion_of_what_came_before_is_heard_by_who_asked() {
    let script = "C: r1 EXAMINE \"a\"
        S: * 3 EXISTS
        S: r1 OK
        C: r2 UID FETCH 1:2 (UID FLAGS)
        C: r3 UID FETCH 3 (UID FLAGS INTERNALDATE RFC822.SIZE)
        S: * 1 FETCH (UID 1 FLAGS (\\Seen))
        S: * 3 FETCH (UID 3 FLAGS () INTERNALDATE \"01-Jan-2026 00:00:00 +0000\" RFC822.SIZE 9)
        S: * 2 FETCH (UID 2 FLAGS (\\Draft))
        S: r2 OK
        S: r3 OK";
    talk("", script, async |mut session| {
        session.examine(&name("a"), None).await.unwrap();
        session.expect(&[Next::Flags(set("1:2"), None), Next::Survey(set("3"))]);
        let mut heard = Vec::new();
        session.flags(&set("1:2"), None, &mut |change| heard.push(change.uid.get())).await.unwrap();
        assert_eq!(heard, [1, 2]);
        let mut sizes = Vec::new();
        session.survey(&set("3"), &mut |message| sizes.push(message.size)).await.unwrap();
        assert_eq!(sizes, [9]);
    })
    .await;
}

#[tokio::test]
async fn what_was_asked_for_in_vain_is_dropped_and_the_mailbox_opened_again() {
    let again = "C: r6 EXAMINE \"a\"
        S: * 3 EXISTS
        S: * OK [UIDVALIDITY 7] yes
        S: r6 OK
        C: r7 UID FETCH 1:* (UID)
        S: * 1 FETCH (UID 9)
        S: r7 OK";
    talk("", &format!("{ASKED}{ANSWERED}{again}"), async |mut session| {
        fetch_and_expect(&mut session).await.unwrap();
        session.recount().await.unwrap();
        assert_eq!(session.uids().await.unwrap(), set("9"), "of the mailbox that the caller has open");
    })
    .await;
}

#[tokio::test]
async fn a_mailbox_that_was_replaced_meanwhile_is_not_taken_for_the_one_that_was_open() {
    let again = "C: r6 EXAMINE \"a\"
        S: * 3 EXISTS
        S: * OK [UIDVALIDITY 70] yes
        S: r6 OK";
    talk("", &format!("{ASKED}{ANSWERED}{again}"), async |mut session| {
        fetch_and_expect(&mut session).await.unwrap();
        let error = session.uids().await.unwrap_err();
        assert!(matches!(error, Error::Cut { .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_mailbox_that_cannot_be_opened_leaves_no_answers_behind() {
    let refused = "S: r3 OK
        S: r4 NO not yours
        S: r5 BAD nothing is open
        C: r6 EXAMINE \"c\"
        S: * 4 EXISTS
        S: r6 OK";
    talk("", &format!("{ASKED}{refused}"), async |mut session| {
        fetch_and_expect(&mut session).await.unwrap();
        session.recount().await.unwrap();
        let error = session.examine(&name("b"), None).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert_eq!(session.examine(&name("c"), None).await.unwrap().exists, 4);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_answers_out_of_order_is_found_out() {
    let script = ASKED.replace("S| *", "S: r4 OK\nS| *");
    talk("", &format!("{script}HANG"), async |mut session| {
        let error = fetch_and_expect(&mut session).await.unwrap_err();
        assert!(matches!(error, Error::OutOfOrder), "{error}");
    })
    .await;
}

#[tokio::test]
async fn where_one_command_may_be_under_way_nothing_is_asked_ahead() {
    let script = "C: r1 EXAMINE \"a\"
        S: r1 OK
        C: r2 UID FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[])
        S: r2 OK
        C: r3 NOOP
        S: r3 OK";
    talk_within(limits(|limits| limits.commands_in_flight = 1), "", script, async |mut session| {
        fetch_and_expect(&mut session).await.unwrap();
        session.recount().await.unwrap();
    })
    .await;
}
