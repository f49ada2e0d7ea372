//! Servers that refuse, stumble, or go away while messages are sent to them.

use super::*;

#[tokio::test]
async fn r05_a_message_that_is_refused_before_it_is_sent_leaves_the_conversation_in_step() {
    give(
        "",
        r#"C: r1 APPEND "INBOX" {5}
           S: r1 NO [TOOBIG] too large
           C: r2 APPEND "INBOX" {1}
           S: + go on
           C: b
           S: r2 OK [APPENDUID 1 9]"#,
        async |mut target| {
            target.append(&name("INBOX"), &[bare("large")], AT_ONCE).await.unwrap();
            let (_, outcome) = target.appended().await.unwrap();
            let Appended::Refused { status_bad: false, refusal } = outcome else { panic!("{outcome:?}") };
            assert!(refusal.is_too_big() && !refusal.is_over_quota());
            target.append(&name("INBOX"), &[bare("b")], AT_ONCE).await.unwrap();
            assert_eq!(target.appended().await.unwrap().1, uids(&[9]));
        },
    )
    .await;
}
