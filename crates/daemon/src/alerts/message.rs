//! What is told, and its words.
//!
//! A message holds account names, hosts, counts and classes of cause, and no word of a server unless
//! the operator wants details (S14). Its text is plain, short, and without a control character but
//! the line feed, whatever went into it; its subject is one line.

use chrono::{DateTime, Local, SecondsFormat, Utc};
use message::escape::escape;
use serde::{Deserialize, Serialize};

use super::trouble::{Cause, Kind, shortened};

/// So many accounts are named in each part of a message.
pub(super) const MAX_NAMES: usize = 10;
/// So many parts a message has at most.
pub(super) const MAX_ITEMS: usize = 20;
/// A subject is cut here: RFC 5322 §2.1.1 wants lines of at most 998 octets, and people shorter ones.
const MAX_SUBJECT_BYTES: usize = 160;

/// Something to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Each has a number of its own.
    pub number: u64,
    /// When it was written, in milliseconds since 1970.
    pub at_ms: i64,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// New trouble.
    Trouble {
        /// By kind, place and cause.
        items: Vec<Item>,
        /// So many more groups there are.
        more: usize,
    },
    /// Trouble that is over.
    Over {
        /// By kind, place and cause.
        items: Vec<Item>,
        /// So many more groups there are.
        more: usize,
    },
    /// Trouble that is still there.
    Still {
        /// By kind, place and cause.
        items: Vec<Item>,
        /// So many more groups there are.
        more: usize,
    },
    /// How it all stands.
    Summary {
        /// Lines for people.
        text: String,
    },
    /// Somebody wants to see whether messages arrive.
    Test,
}

/// Trouble of one kind, place and cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What kind it is.
    pub kind: Kind,
    /// The host, where it lies there.
    pub host: Option<String>,
    /// Why, where that is known.
    pub cause: Option<Cause>,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// How many accounts have it; 1 where it is nobody's alone.
    pub count: usize,
    /// The first of them.
    pub accounts: Vec<String>,
    /// It has come three times within a day.
    pub comes_and_goes: bool,
    /// More, where the operator wants it told.
    pub detail: Option<String>,
}

impl Message {
    /// One line; `machine` is the name of this computer.
    #[must_use]
    pub fn subject(&self, machine: &str) -> String {
        let words = match &self.body {
            Body::Trouble { items, more } => headlines(items, *more, Item::headline),
            Body::Over { items, more } => format!("over: {}", headlines(items, *more, Item::end)),
            Body::Still { items, more } => format!("still: {}", headlines(items, *more, Item::headline)),
            Body::Summary { .. } => "summary".to_owned(),
            Body::Test => "this is a test".to_owned(),
        };
        shortened(&escape(&format!("restante on {machine}: {words}")), MAX_SUBJECT_BYTES)
    }

    /// The lines, each ended by a line feed.
    #[must_use]
    pub fn text(&self, machine: &str) -> String {
        let (mut paragraphs, more) = match &self.body {
            Body::Trouble { items, more } | Body::Still { items, more } => {
                (items.iter().map(Item::paragraph).collect::<Vec<_>>(), *more)
            }
            Body::Over { items, more } => (items.iter().map(Item::last_paragraph).collect(), *more),
            Body::Summary { text } => (vec![text.clone()], 0),
            Body::Test => (vec!["Messages of restante arrive here.".to_owned()], 0),
        };
        if more > 0 {
            paragraphs.push(format!("There are {more} more; `restante status` shows all."));
        }
        paragraphs.push(format!("restante on {machine}, {}", clock(self.at_ms)));
        let lines = paragraphs.join("\n\n");
        lines.split('\n').map(|line| format!("{}\n", escape(line))).collect()
    }

    /// The same for programs: what docs/json.md says.
    #[must_use]
    pub fn document<'m>(&'m self, machine: &'m str) -> impl Serialize + 'm {
        let (kind, items, more): (_, &[Item], _) = match &self.body {
            Body::Trouble { items, more } => ("trouble", items, *more),
            Body::Over { items, more } => ("over", items, *more),
            Body::Still { items, more } => ("reminder", items, *more),
            Body::Summary { .. } => ("summary", &[], 0),
            Body::Test => ("test", &[], 0),
        };
        Document {
            program: "restante",
            machine,
            number: self.number,
            at: rfc3339(self.at_ms),
            kind,
            subject: self.subject(machine),
            text: self.text(machine),
            troubles: items.iter().map(ItemDocument::of).collect(),
            more,
        }
    }
}

#[derive(Serialize)]
struct Document<'m> {
    program: &'static str,
    machine: &'m str,
    number: u64,
    at: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    subject: String,
    text: String,
    troubles: Vec<ItemDocument<'m>>,
    more: usize,
}

#[derive(Serialize)]
struct ItemDocument<'m> {
    kind: Kind,
    host: Option<&'m str>,
    cause: Option<Cause>,
    since: Option<String>,
    count: usize,
    accounts: &'m [String],
    comes_and_goes: bool,
    detail: Option<&'m str>,
}

impl<'m> ItemDocument<'m> {
    fn of(item: &'m Item) -> Self {
        Self {
            kind: item.kind,
            host: item.host.as_deref(),
            cause: item.cause,
            since: rfc3339(item.since_ms),
            count: item.count,
            accounts: &item.accounts,
            comes_and_goes: item.comes_and_goes,
            detail: item.detail.as_deref(),
        }
    }
}

fn headlines(items: &[Item], more: usize, headline: impl Fn(&Item) -> String) -> String {
    match (items, more) {
        ([], _) => String::new(),
        ([only], 0) => headline(only),
        ([first, rest @ ..], more) => format!("{} (and {} more)", headline(first), rest.len() + more),
    }
}

impl Item {
    /// Whom it hits.
    fn who(&self) -> String {
        match (&self.accounts[..], &self.host) {
            ([name], _) if self.count == 1 => name.clone(),
            (_, Some(host)) => format!("{} accounts on {host}", self.count),
            (_, None) => format!("{} accounts", self.count),
        }
    }

    fn headline(&self) -> String {
        let who = self.who();
        match self.kind {
            Kind::Login => format!("{who}: the server refuses the login"),
            Kind::Failed => match self.cause {
                Some(cause) => format!("{who}: no backup: {}", cause.words()),
                None => format!("{who}: no backup"),
            },
            Kind::Partial => format!("{who}: backed up only in part"),
            Kind::Suspicious => format!("{who}: more is gone from the server than usual"),
            Kind::Stale => format!("{who}: no good run for too long"),
            Kind::Verification => "the archive did not pass its verification".to_owned(),
            Kind::Configuration => "the configuration is wrong, and the old one stays in force".to_owned(),
            Kind::Space => "the archive's disk is nearly full".to_owned(),
            Kind::Archive => "the archive cannot be opened".to_owned(),
            Kind::Damage => "the archive is damaged".to_owned(),
        }
    }

    /// What its end is called.
    fn end(&self) -> String {
        let who = self.who();
        match self.kind {
            Kind::Login => format!("{who}: the login works again"),
            Kind::Failed => format!("{who}: backed up again"),
            Kind::Partial => format!("{who}: backed up in full again"),
            Kind::Suspicious => format!("{who}: somebody has looked at what was gone"),
            Kind::Stale => format!("{who}: a good run again"),
            Kind::Verification => "the archive has passed its verification".to_owned(),
            Kind::Configuration => "the configuration is right again".to_owned(),
            Kind::Space => "the archive's disk has room again".to_owned(),
            Kind::Archive => "the archive can be opened again".to_owned(),
            Kind::Damage => "the archive was opened without damage".to_owned(),
        }
    }

    /// What can be done.
    const fn advice(&self) -> &'static str {
        match self.kind {
            Kind::Login => {
                "Log in to the mailbox by other means, mend the password in the configuration, and have it read \
                 again (systemctl reload restante). Until then it is tried rarely, so that nobody is locked out."
            }
            Kind::Failed | Kind::Partial | Kind::Stale => "`restante status` and the log say more.",
            Kind::Suspicious => {
                "The archive keeps what it has. `restante status` says what is gone and how it is brought back; \
                 `restante ack ACCOUNT` when all is as it should be."
            }
            Kind::Verification | Kind::Damage => {
                "`restante verify` says which messages are hit, `restante repair` what can be done."
            }
            Kind::Configuration => "`restante check-config` says what is wrong, and where.",
            Kind::Space => {
                "Make room, or move the archive to a larger disk: below the reserve nothing is fetched."
            }
            Kind::Archive => {
                "Nothing is backed up until then. Is its disk mounted? `restante status` says more."
            }
        }
    }

    fn paragraph(&self) -> String {
        let mut lines = vec![self.headline()];
        lines.extend(self.names());
        lines.push(format!("since {}", clock(self.since_ms)));
        if self.comes_and_goes {
            lines.push(
                "It has come three times within a day; it is told as over when it has been away for a day."
                    .to_owned(),
            );
        }
        lines.extend(self.detail.as_ref().map(|detail| format!("details: {}", escape(detail))));
        lines.push(self.advice().to_owned());
        lines.join("\n")
    }

    fn last_paragraph(&self) -> String {
        let mut lines = vec![self.end()];
        lines.extend(self.names());
        lines.push(format!("it began {}", clock(self.since_ms)));
        lines.join("\n")
    }

    fn names(&self) -> Option<String> {
        if self.count < 2 {
            return None;
        }
        let named = self.accounts.join(", ");
        Some(match self.count.saturating_sub(self.accounts.len()) {
            0 => named,
            more => format!("{named} and {more} more"),
        })
    }
}

/// A moment as people here write it, to the minute.
fn clock(unix_ms: i64) -> String {
    let time = DateTime::<Utc>::from_timestamp_millis(unix_ms);
    time.map_or_else(String::new, |time| time.with_timezone(&Local).format("%F %H:%M").to_string())
}

fn rfc3339(unix_ms: i64) -> Option<String> {
    Some(DateTime::<Utc>::from_timestamp_millis(unix_ms)?.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 10] = [
        Kind::Login,
        Kind::Failed,
        Kind::Partial,
        Kind::Suspicious,
        Kind::Stale,
        Kind::Verification,
        Kind::Configuration,
        Kind::Space,
        Kind::Archive,
        Kind::Damage,
    ];

    fn item(kind: Kind) -> Item {
        Item {
            kind,
            host: Some("mail.example.org".into()),
            cause: Some(Cause::Unreachable),
            since_ms: 0,
            count: 12,
            accounts: (0..10).map(|number| format!("a{number}")).collect(),
            comes_and_goes: true,
            detail: Some("evil\r\nBcc: all@example.org\u{1b}[2J\u{202e}".into()),
        }
    }

    fn bodies(items: Vec<Item>) -> [Body; 3] {
        [
            Body::Trouble { items: items.clone(), more: 3 },
            Body::Over { items: items.clone(), more: 3 },
            Body::Still { items, more: 3 },
        ]
    }

    #[test]
    fn s14_no_template_lets_through_what_a_terminal_or_a_header_would_obey() {
        for body in KINDS.into_iter().flat_map(|kind| bodies(vec![item(kind), item(kind)])) {
            let message = Message { number: 1, at_ms: 0, body };
            let subject = message.subject("host\r\nX: y");
            assert!(
                !subject.contains(char::is_control) && subject.len() <= MAX_SUBJECT_BYTES + 3,
                "{subject}"
            );
            let text = message.text("host\r\nX: y");
            assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
            assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
        }
    }

    #[test]
    fn s14_without_details_a_message_holds_names_counts_and_classes_alone() {
        for kind in KINDS {
            let item = Item { detail: None, ..item(kind) };
            let with = Item { detail: Some("canary".into()), ..item.clone() };
            for (bare, told) in bodies(vec![item]).into_iter().zip(bodies(vec![with])) {
                let text = |body| {
                    let message = Message { number: 1, at_ms: 0, body };
                    let document = serde_json::to_string(&message.document("here"));
                    message.text("here") + &document.unwrap_or_default()
                };
                assert!(!text(bare).contains("detail\":\""));
                assert!(text(told).contains("canary"));
            }
        }
    }

    #[test]
    fn a_message_names_the_first_accounts_and_counts_the_others() {
        let message =
            Message { number: 1, at_ms: 0, body: Body::Trouble { items: vec![item(Kind::Failed)], more: 0 } };
        assert_eq!(
            message.subject("here"),
            "restante on here: 12 accounts on mail.example.org: no backup: the server cannot be reached"
        );
        assert!(message.text("here").contains("a8, a9 and 2 more\n"));
    }
}
