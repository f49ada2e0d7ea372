//! Files as providers write them, and as nobody should.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use proptest::prelude::*;

use super::*;

/// As the database has it for a provider with both protocols, shortened.
const BOTH: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="example.org">
    <domain>example.org</domain>
    <displayName>Example &amp; Sons</displayName>
    <incomingServer type="pop3">
      <hostname>pop.example.org</hostname><port>995</port><socketType>SSL</socketType>
      <username>%EMAILLOCALPART%</username><authentication>password-cleartext</authentication>
      <pop3><leaveMessagesOnServer>true</leaveMessagesOnServer></pop3>
    </incomingServer>
    <incomingServer type="imap">
      <hostname>IMAP.example.org</hostname>
      <port>143</port>
      <socketType>STARTTLS</socketType>
      <username>%EMAILADDRESS%</username>
      <authentication>OAuth2</authentication>
      <authentication>password-cleartext</authentication>
    </incomingServer>
    <outgoingServer type="smtp"><hostname>smtp.example.org</hostname></outgoingServer>
  </emailProvider>
</clientConfig>"#;

fn address() -> Address {
    Address::parse("anna@example.org").unwrap()
}

fn offer(file: &str) -> Result<Offer, Unreadable> {
    read(file.as_bytes(), &address(), Source::Database)
}

/// A file with one server.
fn one(kind: &str, fields: &str) -> Offer {
    let server = format!("<incomingServer type=\"{kind}\">{fields}</incomingServer>");
    offer(&format!("<clientConfig><emailProvider>{server}</emailProvider></clientConfig>")).unwrap()
}

#[test]
fn a_provider_s_file_gives_its_servers_imap_first() {
    let offer = offer(BOTH).unwrap();
    let [imap, pop3] = &offer.candidates[..] else { panic!("{offer:?}") };
    assert_eq!(
        *imap,
        Candidate {
            service: Service::Imap,
            host: "imap.example.org".into(),
            port: 143,
            encryption: Encryption::StartTls,
            user: "anna@example.org".into(),
            source: Source::Database,
        }
    );
    assert_eq!((pop3.service, pop3.port, pop3.user.as_str()), (Service::Pop3, 995, "anna"));
}

#[test]
fn placeholders_are_filled_in_in_user_and_host() {
    let fields = "<hostname>imap.%EMAILDOMAIN%</hostname><socketType>SSL</socketType>";
    let user = |template: &str| {
        let found = one("imap", &format!("{fields}<username>{template}</username>"));
        assert_eq!((found.candidates[0].host.as_str(), found.candidates[0].port), ("imap.example.org", 993));
        found.candidates[0].user.clone()
    };
    assert_eq!(user("%EMAILLOCALPART%"), "anna");
    assert_eq!(user("%EMAILDOMAIN%\\%EMAILLOCALPART%"), "example.org\\anna");
    assert_eq!(user("u&#49;&amp;<![CDATA[<]]>"), "u1&<");
    assert_eq!(user("%REALNAME%"), "anna@example.org", "what nobody knows is not sent");
    assert_eq!(user(""), "anna@example.org");
    assert_eq!(user("a&#10;b"), "anna@example.org");
    assert_eq!(user(&"x".repeat(400)), "anna@example.org");
}

#[test]
fn what_would_send_a_password_in_the_clear_or_takes_none_is_no_candidate() {
    let host = "<hostname>mail.example.org</hostname>";
    let plain = one("imap", &format!("{host}<socketType>plain</socketType>"));
    assert_eq!((plain.candidates.len(), plain.plain), (0, vec!["mail.example.org".to_owned()]));
    let unsaid = one("imap", host);
    assert_eq!((unsaid.candidates.len(), unsaid.plain.len()), (0, 1));
    let fields = format!("{host}<socketType>SSL</socketType><authentication>OAuth2</authentication>");
    let tokens = one("imap", &fields);
    assert_eq!((tokens.candidates.len(), tokens.tokens), (0, vec!["mail.example.org".to_owned()]));
}

#[test]
fn what_is_no_server_of_ours_is_passed_over() {
    let fields = "<hostname>mail.example.org</hostname><socketType>SSL</socketType>";
    assert_eq!(one("exchange", fields), Offer::default());
    assert_eq!(one("imap", "<hostname>10.0.0.1</hostname><socketType>SSL</socketType>"), Offer::default());
    assert_eq!(one("imap", "<hostname>a\u{1b}b</hostname><socketType>SSL</socketType>"), Offer::default());
    assert_eq!(one("imap", &format!("{fields}<port>0</port>")), Offer::default());
    assert_eq!(one("imap", &format!("{fields}<port>70000</port>")), Offer::default());
    let elsewhere = offer(&format!(
        "<clientConfig><incomingServer type=\"imap\">{fields}</incomingServer></clientConfig>"
    ));
    assert_eq!(elsewhere.unwrap(), Offer::default());
}

#[test]
fn what_is_hostile_or_no_file_at_all_is_refused_with_a_reason() {
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><clientConfig>&a;</clientConfig>";
    let deep = "<a>".repeat(100_000 / 3);
    let long = format!(
        "<clientConfig><emailProvider><incomingServer><hostname>{}</hostname></incomingServer></emailProvider></clientConfig>",
        "x".repeat(TEXT_BYTES + 1)
    );
    let large = " ".repeat(usize::try_from(FILE_BYTES).unwrap() + 1);
    for (file, expected) in [
        (bomb, "document type"),
        ("<clientConfig>&a;</clientConfig>", "entity"),
        ("<clientConfig>&#0;</clientConfig>", "entity"),
        (deep.as_str(), "too deep"),
        (long.as_str(), "longer than"),
        (large.as_str(), "too large"),
        ("<clientConfig>", "middle of an element"),
        ("<html><body><p>Not found</body></html>", "expected"),
    ] {
        let error = offer(file).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(read(b"\xff", &address(), Source::Database).unwrap_err().0, "it is not UTF-8");
    assert_eq!(offer("").unwrap(), Offer::default());
}

#[test]
fn of_very_many_servers_the_first_are_taken() {
    let server = "<incomingServer type=\"imap\"><hostname>b.example</hostname><hostname>a.example</hostname><socketType>SSL</socketType></incomingServer>";
    let file =
        format!("<clientConfig><emailProvider>{}</emailProvider></clientConfig>", server.repeat(1_000));
    let offer = offer(&file).unwrap();
    assert_eq!(offer.candidates.len(), SERVERS);
    assert!(offer.candidates.iter().all(|candidate| candidate.host == "a.example"), "{offer:?}");
}

proptest! {
    #[test]
    fn no_file_makes_it_panic_or_gives_a_host_that_is_none(file in ".{0,400}") {
        crate::fuzzing::autoconfig(file.as_bytes());
    }
}
