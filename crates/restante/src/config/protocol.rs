//! What is spoken with an account's server, and what there is to choose with POP3.
//!
//! Keys of POP3 beside IMAP are errors: who writes them expects something of them.

use remote::pop3::Auth;
use sync::{FolderFilter, Pop3Listing};

use super::document::Section;

/// The one folder that POP3 has, by the name under which the archive has it.
const INBOX: &str = "INBOX";

/// What an account is pulled over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Imap,
    Pop3(Pop3),
}

/// The keys of POP3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pop3 {
    pub(crate) auth: Auth,
    pub(crate) listing: Pop3Listing,
}

impl Protocol {
    /// The word of the configuration and of the ledger.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3(_) => "pop3",
        }
    }

    pub(crate) fn is_pop3(self) -> bool {
        matches!(self, Self::Pop3(_))
    }
}

/// The words of `auth`.
const AUTHS: [(&str, Auth); 6] = [
    ("auto", Auth::Auto),
    ("user", Auth::User),
    ("plain", Auth::Plain),
    ("apop", Auth::Apop),
    ("xoauth2", Auth::XOauth2),
    ("oauthbearer", Auth::OAuthBearer),
];

/// The words of `listing`.
const LISTINGS: [(&str, Pop3Listing); 2] = [("all", Pop3Listing::All), ("new", Pop3Listing::New)];

/// Reads `protocol`, and with POP3 `auth` and `listing`, whose default depends on host and user.
pub(super) fn read(
    section: &mut Section<'_, '_>,
    host: Option<&str>,
    user: Option<&str>,
) -> Option<Protocol> {
    let word = section.text("protocol");
    let auth = section.text("auth");
    let listing = section.text("listing");
    match word.as_deref() {
        Some("pop3") => {
            let usual = sync::pop3_listing(host.unwrap_or_default(), user.unwrap_or_default());
            let auth = one_of(section, "auth", auth.as_deref(), &AUTHS).unwrap_or_default();
            let listing = one_of(section, "listing", listing.as_deref(), &LISTINGS).unwrap_or(usual);
            Some(Protocol::Pop3(Pop3 { auth, listing }))
        }
        Some("imap") => Some(imap(section)),
        None if !section.has("protocol") => Some(imap(section)),
        Some(_) => {
            section.wrong("protocol", "must be \"imap\" or \"pop3\"");
            None
        }
        None => None,
    }
}

fn imap(section: &mut Section<'_, '_>) -> Protocol {
    for key in ["auth", "listing"] {
        if section.has(key) {
            section.wrong_help(
                key,
                "is for POP3 accounts, and this one is of IMAP",
                "take the line out, or set protocol = \"pop3\"",
            );
        }
    }
    Protocol::Imap
}

/// The value of one of these words; `None` when there is none (what is no such word is noted).
fn one_of<T: Copy>(
    section: &mut Section<'_, '_>,
    key: &'static str,
    text: Option<&str>,
    words: &[(&str, T)],
) -> Option<T> {
    let text = text?;
    let found = words.iter().find(|(word, _)| *word == text).map(|&(_, value)| value);
    if found.is_none() {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        section.wrong(key, format!("must be one of {}", known.join(", ")));
    }
    found
}

/// Notes when the globs leave nothing of an account that has but one folder.
pub(super) fn must_want_inbox(section: &mut Section<'_, '_>, include: &[String], exclude: &[String]) {
    // Globs that cannot be read are noted already.
    let Ok(filter) = FolderFilter::new(include, exclude) else { return };
    if include.is_empty() || filter.wants(INBOX) {
        return;
    }
    let key = if section.has("exclude") && FolderFilter::new(include, &[]).is_ok_and(|all| all.wants(INBOX)) {
        "exclude"
    } else {
        "include"
    };
    section.wrong(key, "leaves nothing to back up: POP3 has one folder, INBOX");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_ledger() {
        let pop3 = Protocol::Pop3(Pop3 { auth: Auth::Auto, listing: Pop3Listing::All });
        assert_eq!((Protocol::Imap.word(), pop3.word()), ("imap", "pop3"));
        assert_eq!(sync::Protocol::Pop3(sync::Pop3Options::default()).word(), pop3.word());
    }
}
