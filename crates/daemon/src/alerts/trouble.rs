//! What can be wrong, with what, and why: the words of everything that is told.
//!
//! Nothing here comes from a server: an account's name and a host are the configuration's, all else is
//! chosen from lists (S14). The one exception is [`Sighting::detail`], which is only there where the
//! operator wants it.

use serde::{Deserialize, Serialize};

/// Longer details are cut: a message is for a telephone's screen.
pub(super) const MAX_DETAIL_BYTES: usize = 300;

/// What kind of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The server refuses the login: somebody has to come and mend it.
    Login,
    /// Runs of an account fail.
    Failed,
    /// Runs of an account do not bring everything.
    Partial,
    /// So much has vanished or changed that a person should look.
    Suspicious,
    /// An account has had no good run for too long.
    Stale,
    /// A verification found the archive not whole.
    Verification,
    /// The configuration was read again and is wrong.
    Configuration,
    /// The archive's disk is nearly full, or will be soon.
    Space,
    /// The archive cannot be opened.
    Archive,
    /// The archive was found damaged when it was opened.
    Damage,
}

impl Kind {
    /// Whether this trouble of an account makes the other one not worth a word of its own: who knows
    /// that the login is refused need not hear that runs fail.
    pub(super) const fn covers(self, other: Self) -> bool {
        match self {
            Self::Login => matches!(other, Self::Failed | Self::Partial | Self::Stale),
            Self::Failed => matches!(other, Self::Partial | Self::Stale),
            _ => false,
        }
    }
}

/// The class of a failure's cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The network, or a server that does not answer.
    Unreachable,
    /// The server wants less of us.
    Limit,
    /// No secure connection can be made.
    Tls,
    /// The server does not speak as it should.
    Protocol,
    /// The server said no.
    Refused,
    /// The archive, its disk, or a bound of our own.
    Here,
    /// The run could not even be tried: no password, another program at work.
    NotBegun,
}

impl Cause {
    /// For people, after a colon.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Unreachable => "the server cannot be reached",
            Self::Limit => "the server limits us",
            Self::Tls => "no secure connection",
            Self::Protocol => "the server does not speak its protocol",
            Self::Refused => "the server refuses",
            Self::Here => "the archive, its disk or a limit of our own",
            Self::NotBegun => "the runs cannot begin",
        }
    }

    /// Whether it lies with the server, so that all accounts of the host may have it.
    #[must_use]
    pub const fn is_of_server(self) -> bool {
        !matches!(self, Self::Here | Self::NotBegun)
    }
}

/// Trouble, as it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Whose it is; `None`: of all, such as the archive's.
    pub account: Option<String>,
    /// What kind it is.
    pub kind: Kind,
    /// The host, where it lies there; trouble of one kind, place and cause is told together.
    pub place: String,
    /// Why, where that is known.
    pub cause: Option<Cause>,
    /// More, from wherever; `None` unless the operator wants it told.
    pub detail: Option<String>,
}

impl Sighting {
    /// Trouble that is nobody's alone.
    #[must_use]
    pub fn of_all(kind: Kind, detail: Option<String>) -> Self {
        Self { account: None, kind, place: String::new(), cause: None, detail }
    }
}

/// Trouble that is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trouble {
    pub(super) account: Option<String>,
    pub(super) kind: Kind,
    pub(super) place: String,
    pub(super) cause: Option<Cause>,
    pub(super) detail: Option<String>,
    pub(super) since_ms: i64,
    pub(super) state: State,
    /// When it was told as new, within the last day.
    pub(super) told_ms: Vec<i64>,
    /// When it was told last, as new or as still there.
    pub(super) last_ms: i64,
    /// It was told so often that it is over only when it has been away for a day.
    pub(super) comes_and_goes: bool,
}

/// What its reader knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It is there, and not told.
    Waiting,
    /// It is there, and told.
    Told,
    /// It was told and is gone since then; that is not told.
    Over(i64),
    /// All is told; only kept to know how often it came.
    Quiet,
}

impl Trouble {
    pub(super) fn is_there(&self) -> bool {
        matches!(self.state, State::Waiting | State::Told)
    }
}

/// At most so many bytes of a text, cut between letters.
pub(super) fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}…", &text[..end])
}
