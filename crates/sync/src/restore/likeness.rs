//! What a server has made of a message: pure.

use std::fmt;

/// How theirs is like ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Every byte.
    Exact,
    /// All of ours is in theirs, with line ends made CRLF.
    ButFor(&'static str),
    /// Another message.
    Different,
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "nothing",
            Self::ButFor(what) => what,
            Self::Different => "everything",
        })
    }
}

/// Compares.
pub(super) fn likeness(ours: &[u8], theirs: &[u8]) -> Likeness {
    let without_returns =
        |bytes: &[u8]| bytes.iter().copied().filter(|&byte| byte != b'\r').collect::<Vec<u8>>();
    if ours == theirs {
        Likeness::Exact
    } else if without_returns(ours) == without_returns(theirs) {
        Likeness::ButFor("line ends made CRLF")
    } else {
        Likeness::Different
    }
}
