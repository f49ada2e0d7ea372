//! What a server may be hiding, guessed from its name and its numbers.
//!
//! Some providers show a part of a folder and count only what they show, so that every sum agrees
//! and yet mail is missing. Nothing in the protocol tells. What can be known is known from the
//! host's name, or suspected from a count that is too round to be chance; then a person is told,
//! with the way out. A hint never changes what a run does.

use crate::pull::Pop3Listing;

/// The domains under which Yahoo and the brands that it runs are reached over IMAP.
const YAHOO: [&str; 7] =
    ["yahoo.com", "yahoo.co.jp", "yahoodns.net", "aol.com", "ymail.com", "verizon.net", "att.net"];
/// Gmail.
const GMAIL: [&str; 2] = ["gmail.com", "googlemail.com"];
/// The newest so many messages of a folder are what Yahoo shows.
const YAHOO_SHOWS: u64 = 10_000;
/// The choices of Gmail's setting "Folder size limits".
const GMAIL_CHOICES: [u64; 4] = [1_000, 2_000, 5_000, 10_000];
/// Limits that providers are known, or likely, to set.
const ROUND: [u64; 8] = [1_000, 2_000, 5_000, 10_000, 20_000, 25_000, 50_000, 100_000];

/// Octets that Gmail lets a client download over IMAP in a day are 2,500 MB; beyond, it locks the
/// account out for a while. A little less, for the rest of what goes over the line.
const GMAIL_DAY: u64 = 2_400_000_000;
/// Over POP3 it is half of that: 1,250 MB.
const GMAIL_POP3_DAY: u64 = 1_200_000_000;

/// What to tell of a folder with so many messages, if it may not show them all. `all_shown`: the
/// server has promised to show all (UIDONLY).
pub(crate) fn shown_in_part(host: &str, messages: u64, all_shown: bool) -> Option<String> {
    if all_shown {
        return None;
    }
    if is_within(host, &YAHOO) && messages >= YAHOO_SHOWS {
        return Some(format!(
            "{messages} messages: this provider shows no more than the newest {YAHOO_SHOWS} of a folder over IMAP; \
             move older mail into other folders, and it will be backed up from there"
        ));
    }
    if is_within(host, &GMAIL) && GMAIL_CHOICES.contains(&messages) {
        return Some(format!(
            "exactly {messages} messages: Gmail may be set to show no more; in its settings under \"Forwarding and \
             POP/IMAP\", choose \"Do not limit the number of messages in an IMAP folder\""
        ));
    }
    ROUND.contains(&messages).then(|| {
        format!(
            "exactly {messages} messages is a round number: some providers show no more of a folder over IMAP; \
             compare it with what the provider's web page shows"
        )
    })
}

/// What to tell of an account on Gmail whose "All Mail" is not listed.
pub(crate) fn all_mail_is_hidden() -> &'static str {
    "Gmail's \"All Mail\" is not shown over IMAP, so mail that has no other label is not backed up; in Gmail's \
     settings under \"Labels\", tick \"Show in IMAP\" for it (and for each label that is missing here)"
}

/// Octets of content that a known provider lets a client fetch over IMAP in a day; `None` for any
/// other.
#[must_use]
pub fn bytes_per_day(host: &str) -> Option<u64> {
    is_within(host, &GMAIL).then_some(GMAIL_DAY)
}

/// The same over POP3.
#[must_use]
pub fn pop3_bytes_per_day(host: &str) -> Option<u64> {
    is_within(host, &GMAIL).then_some(GMAIL_POP3_DAY)
}

/// What a POP3 server lists, as far as its name and the user's tell: Gmail shows what has not been
/// fetched, some of it at a time, or, to a user that begins with `recent:`, what came within 30 days.
#[must_use]
pub fn pop3_listing(host: &str, user: &str) -> Pop3Listing {
    if is_within(host, &GMAIL) || is_recent(user) { Pop3Listing::New } else { Pop3Listing::All }
}

/// Whether Gmail shows this user the mail of the last days, fetched or not.
pub(crate) fn is_recent(user: &str) -> bool {
    user.starts_with("recent:")
}

/// What to tell of a known provider before it is pulled over POP3, with the better way.
#[must_use]
pub fn pop3_remark(host: &str) -> Option<&'static str> {
    is_within(host, &GMAIL).then_some(
        "over POP3 Gmail shows only mail that nobody has fetched, some 250 messages at a time, and may archive or \
         delete what is fetched: in its settings under \"Forwarding and POP/IMAP\", choose \"keep Gmail's copy in the \
         Inbox\"; better, set protocol = \"imap\" and host = \"imap.gmail.com\", where all mail is shown and nothing \
         is touched",
    )
}

/// Whether the host is one of these domains or below one.
fn is_within(host: &str, domains: &[&str]) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    domains.iter().any(|domain| {
        host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i02_a_folder_that_may_be_cut_off_is_told_with_the_way_out() {
        let hint = |host, messages| shown_in_part(host, messages, false).unwrap_or_default();
        assert!(hint("imap.mail.yahoo.com", 10_000).contains("move older mail"));
        assert!(hint("imap.mail.yahoo.com", 10_003).contains("move older mail"));
        assert!(hint("imap.gmail.com", 5_000).contains("Do not limit"));
        assert!(hint("mail.example.org", 25_000).contains("round number"));
        for (host, messages) in [
            ("imap.mail.yahoo.com", 9_999),
            ("imap.gmail.com", 5_001),
            ("mail.example.org", 24_999),
            ("mail.example.org", 0),
        ] {
            assert_eq!(hint(host, messages), "", "{host} {messages}");
        }
        assert_eq!(shown_in_part("imap.mail.yahoo.com", 10_000, true), None);
    }

    #[test]
    fn p06_gmail_and_its_recent_mode_list_what_is_new() {
        for (host, user) in [
            ("pop.gmail.com", "anna@gmail.com"),
            ("POP.googlemail.com.", "anna"),
            ("pop.example.org", "recent:anna@example.org"),
        ] {
            assert_eq!(pop3_listing(host, user), Pop3Listing::New, "{host} {user}");
        }
        for host in ["pop.example.org", "notgmail.com", "gmail.com.example.org", ""] {
            assert_eq!(pop3_listing(host, "anna"), Pop3Listing::All, "{host}");
            assert_eq!(pop3_remark(host), None, "{host}");
        }
        assert!(pop3_remark("pop.gmail.com").is_some_and(|remark| remark.contains("imap.gmail.com")));
    }

    #[test]
    fn i22_only_the_provider_itself_has_its_budget() {
        for host in ["imap.gmail.com", "IMAP.GOOGLEMAIL.COM.", "gmail.com"] {
            assert_eq!(bytes_per_day(host), Some(2_400_000_000), "{host}");
            assert_eq!(pop3_bytes_per_day(host), Some(1_200_000_000), "{host}");
        }
        for host in ["notgmail.com", "gmail.com.example.org", "imap.example.org", ""] {
            assert_eq!((bytes_per_day(host), pop3_bytes_per_day(host)), (None, None), "{host}");
        }
    }
}
