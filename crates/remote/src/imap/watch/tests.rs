//! Watches on servers that play a script, by a clock that is not real.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::imap::script::talk_within;
use crate::{Kind, Limits};

/// A server with IDLE, up to where it waits.
const IDLING: &str = "C: r1 EXAMINE \"INBOX\"
                      S: * 3 EXISTS
                      S: r1 OK [READ-ONLY]
                      C: r2 IDLE
                      S: + idling\n";

/// A server with NOTIFY, up to where it waits.
const NOTIFYING: &str = "C: r1 EXAMINE \"INBOX\"
    S: * 3 EXISTS
    S: r1 OK [READ-ONLY]
    C: r2 NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange)) (PERSONAL (MessageNew MessageExpunge FlagChange))
    S: r2 OK
    C: r3 IDLE
    S: + idling\n";

fn everything() -> Wanted {
    Arc::new(|_| true)
}

/// What becomes of a watch on a server that can do `capabilities` and then plays `script`.
async fn watch_for<T>(
    capabilities: &str,
    script: &str,
    test: impl AsyncFnOnce(Result<Option<Watch>, Error>) -> T,
) -> T {
    talk_within(narrowed(&Limits::default()), capabilities, script, async |session| {
        test(Watch::begin(session, everything()).await).await
    })
    .await
}

/// When a change is told by this server, and what came after.
async fn told(capabilities: &str, script: &str) -> Result<Duration, Error> {
    watch_for(capabilities, script, async |watch| {
        let mut watch = watch.unwrap().unwrap();
        let begun = Instant::now();
        watch.changed().await.map(|()| begun.elapsed())
    })
    .await
}

fn seconds(told: Result<Duration, Error>) -> u64 {
    told.unwrap().as_secs()
}

#[tokio::test(start_paused = true)]
async fn new_mail_is_told_when_it_has_settled() {
    for news in ["* 4 EXISTS", "* 2 EXPUNGE", "* VANISHED 7"] {
        let script = format!("{IDLING}WAIT 100\nS: {news}\nHANG");
        assert_eq!(seconds(told("IDLE", &script).await), 102, "{news}");
    }
    let burst =
        format!("{IDLING}{}HANG", (4..9).map(|n| format!("S: * {n} EXISTS\nWAIT 1\n")).collect::<String>());
    assert_eq!(seconds(told("IDLE", &burst).await), 6);
}

#[tokio::test(start_paused = true)]
async fn flags_alone_wait_for_a_minute() {
    let script = format!("{IDLING}S: * 1 FETCH (FLAGS (\\Seen))\nHANG");
    assert_eq!(seconds(told("IDLE", &script).await), 60);
}

#[tokio::test(start_paused = true)]
async fn n15_idle_is_begun_again_every_nine_minutes_and_signs_of_life_are_no_news() {
    let script = format!(
        "{IDLING}{}C: DONE\nS: * 3 EXISTS\nS: r2 OK\nC: r3 IDLE\nS: + idling\nS: * 4 EXISTS\nHANG",
        "WAIT 120\nS: * OK Still here\nS: * 3 EXISTS\nS: * 0 RECENT\n".repeat(4)
    );
    assert_eq!(seconds(told("IDLE", &script).await), 9 * 60 + 2);
}

#[tokio::test(start_paused = true)]
async fn n15_a_line_that_died_is_noticed_when_nobody_answers() {
    for end in [
        // A router forgot it: what is said goes nowhere.
        "HANG",
        // It is there, and says everything but the answer.
        &format!("C: DONE\n{}HANG", "WAIT 20\nS: * OK Still here\n".repeat(9)),
        "WAIT 300\nS| * 4 EXI\nHANG",
    ] {
        watch_for("IDLE", &format!("{IDLING}{end}"), async |watch| {
            let begun = Instant::now();
            let error = watch.unwrap().unwrap().changed().await.unwrap_err();
            assert!(matches!(error, Error::Stalled { .. }), "{error}");
            assert_eq!((error.kind(), begun.elapsed().as_secs()), (Kind::Network, 9 * 60 + 60));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn news_of_all_mailboxes_comes_where_the_server_has_notify() {
    for (news, wait) in [
        ("* STATUS Lists (MESSAGES 5 UIDNEXT 9)", 2),
        ("* STATUS \"Sent Items\" (UIDVALIDITY 1 HIGHESTMODSEQ 77)", 60),
        ("* 4 EXISTS", 2),
    ] {
        let script = format!("{NOTIFYING}S: {news}\nHANG");
        assert_eq!(seconds(told("IDLE NOTIFY", &script).await), wait, "{news}");
    }
}

#[tokio::test(start_paused = true)]
async fn news_of_mailboxes_that_are_not_wanted_is_passed_over() {
    let script = format!(
        "{NOTIFYING}S: * STATUS Spam (MESSAGES 5 UIDNEXT 9)\nWAIT 50\nS: * STATUS &AMQ-rger (UIDNEXT 9)\nHANG"
    );
    talk_within(narrowed(&Limits::default()), "IDLE NOTIFY", &script, async |session| {
        let wanted: Wanted = Arc::new(|name| name == "Ärger");
        let mut watch = Watch::begin(session, wanted).await.unwrap().unwrap();
        let begun = Instant::now();
        watch.changed().await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 52);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_notify_is_refused_or_too_much_inbox_is_watched_alone() {
    let refused = NOTIFYING.replace("S: r2 OK", "S: r2 NO [BADEVENT (MessageNew)] no") + "HANG";
    watch_for("IDLE NOTIFY", &refused, async |watch| {
        assert_eq!(watch.unwrap().unwrap().scope(), Scope::Inbox);
    })
    .await;
    let overflow = format!("{NOTIFYING}S: * OK [NOTIFICATIONOVERFLOW] too much\nHANG");
    watch_for("IDLE NOTIFY", &overflow, async |watch| {
        let mut watch = watch.unwrap().unwrap();
        assert_eq!(watch.scope(), Scope::Everything);
        watch.changed().await.unwrap();
        assert_eq!(watch.scope(), Scope::Inbox);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_tell_of_news_is_left_with_a_goodbye() {
    let script = "C: r1 LOGOUT\nS: * BYE\nS: r1 OK\n";
    watch_for("", script, async |watch| assert!(watch.unwrap().is_none())).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_let_us_wait_is_not_asked_without_end() {
    let refused = IDLING.replace("S: + idling", "S: r2 NO not today");
    let error = watch_for("IDLE", &refused, async |watch| watch.unwrap_err()).await;
    assert_eq!(error.kind(), Kind::Refused);
    for end in ["S: r2 OK\nHANG", "WAIT 100\nS: r2 BAD what?\nHANG"] {
        let error = told("IDLE", &format!("{IDLING}{end}")).await.unwrap_err();
        assert_eq!(error.to_string(), "the server refused IDLE: it was ended as soon as it had begun");
    }
    let late = format!("{IDLING}WAIT 100\nS: r2 OK\nC: r3 IDLE\nS: + idling\nS: * 4 EXISTS\nHANG");
    assert_eq!(seconds(told("IDLE", &late).await), 102);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_and_a_cut_line_are_told_as_what_they_are() {
    let bye = told("IDLE", &format!("{IDLING}S: * BYE going down\nHANG")).await.unwrap_err();
    assert_eq!(bye.to_string(), "the server said goodbye: going down");
    let cut = told("IDLE", IDLING).await.unwrap_err();
    assert_eq!(cut.kind(), Kind::Network);
}

#[tokio::test(start_paused = true)]
async fn n04_a_flood_is_told_in_time_and_has_an_end() {
    let flood = format!("{IDLING}{}HANG", "S: * 4 EXISTS\nS: * 3 EXISTS\nWAIT 1\n".repeat(50));
    assert_eq!(seconds(told("IDLE", &flood).await), 30);
    let limits = Limits { responses: 20, ..narrowed(&Limits::default()) };
    let flood = format!("{IDLING}{}HANG", "S: * OK Still here\n".repeat(30));
    let error = talk_within(limits, "IDLE", &flood, async |session| {
        Watch::begin(session, everything()).await.unwrap().unwrap().changed().await.unwrap_err()
    })
    .await;
    assert!(error.to_string().contains("endless responses"), "{error}");
}
