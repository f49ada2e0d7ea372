//! What a server does when a [`Fault`](crate::Fault) strikes.
//!
//! Some effects take the place of an answer or end it, some change what an answer says, and some
//! are what a restore meets: they change what becomes of a message that APPEND gives, or of a name
//! that CREATE asks for. Each works wherever it has a meaning and does nothing elsewhere. Those
//! about mail that is given work on [`Trigger::Given`](crate::Trigger::Given) for single messages,
//! and on the command APPEND for all of its messages.

use std::ops::RangeInclusive;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::alteration::Alteration;
use crate::naming::Spelling;

/// What the server does then.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Drops the connection; what was not sent yet is lost. Over TLS there is no close_notify.
    Disconnect,
    /// Does what was asked, but drops the connection when so many octets of the answer are sent.
    /// With 0 it is done and nobody hears of it.
    DisconnectAfter(u64),
    /// Answers NO with this text (a code in brackets may come first), and does nothing. In the
    /// middle of a FETCH: what came before is sent.
    No(String),
    /// As [`No`](Self::No), with BAD.
    Bad(String),
    /// Says BYE with this text and closes.
    Bye(String),
    /// Sends these octets in place of the whole answer; `{tag}` stands for the tag.
    Instead(Vec<u8>),
    /// Sends these octets before the answer.
    Before(Vec<u8>),
    /// Sends these octets right after the answer, in one segment with it: after STARTTLS, what an
    /// attacker injects.
    After(Vec<u8>),
    /// Never answers, and reads on until the client goes.
    Silence,
    /// Sends so many octets of the answer at a time and waits at the gate after each.
    Drip(usize, Gate),

    /// The literal of a body is shorter than it says by so many octets.
    ShortLiteral(u32),
    /// The literal of a body is longer than it says by so many octets.
    LongLiteral(u32),
    /// RFC822.SIZE is this.
    Size(u64),
    /// EMAILID is this.
    EmailId(String),
    /// INTERNALDATE is this text.
    Date(String),
    /// The FETCH answer lacks this item.
    Omit(Field),
    /// This item of the FETCH answer is NIL.
    Nil(Field),
    /// The message is passed over as if it were not there.
    Hide,
    /// Its octets are these.
    Content(Vec<u8>),
    /// Its octets are others each time: a header field with a count comes first.
    Rebuilt,
    /// UID comes last in the FETCH answer, after the literal.
    UidLast,
    /// Each item comes in a FETCH answer of its own.
    InPieces,
    /// The FETCH answers come in descending order.
    Descending,
    /// Content that is only peeked at is marked as read all the same.
    SetsSeen,

    /// SEARCH finds no more than so many.
    SearchLimit(usize),
    /// SEARCH finds these as well.
    SearchAlso(Vec<u32>),

    /// Only so many messages of a mailbox are shown, the newest, unless UIDONLY is enabled: what a
    /// large provider does.
    ShowsNewest(usize),

    /// EXISTS of SELECT and MESSAGES of STATUS is this.
    Exists(u32),
    /// UIDVALIDITY is this, or is not said.
    Validity(Option<u32>),
    /// UIDVALIDITY is another each time.
    ValidityChanges,
    /// UIDNEXT is this, or is not said.
    UidNext(Option<u32>),
    /// HIGHESTMODSEQ is this (0: `[NOMODSEQ]`), or is not said.
    HighestModSeq(Option<u64>),
    /// VANISHED (EARLIER) of SELECT tells this set, whatever is true.
    Vanished(String),

    /// On [`Trigger::Literal`](crate::Trigger::Literal): asks for the literal, and drops the
    /// connection when so many octets of it have come.
    DisconnectInLiteral(u64),
    /// A message given by APPEND is kept as other bytes.
    Alters(Alteration),
    /// These flags of a message given by APPEND are dropped without a word; an empty list: all
    /// keywords.
    DropsFlags(Vec<String>),
    /// The date given with a message counts for nothing: it was received now.
    DateIgnored,
    /// The date given with a message is kept as one so many seconds later.
    DateMoved(i64),
    /// A date given with a message outside of these (seconds since 1970) is answered BAD.
    DatesWithin(RangeInclusive<i64>),
    /// A message that the user has already is not stored twice: in the same mailbox it is the one
    /// that is there, in another it gets the date of the first.
    Merges,
    /// A message whose Message-ID is in the mailbox already is the one that is there.
    MergesById,
    /// OK of APPEND says no APPENDUID, whatever is announced.
    NoAppendUid,
    /// OK is said for a message, with a UID, and it is not stored.
    Forgets,
    /// OK is said for a message, and it is there until the connection ends.
    ForgetsAtEnd,
    /// The connection is dropped when a message has come, and all messages of the command are stored
    /// only when the STATUS of their mailbox has been asked for so many times: what a slow server still
    /// does for a client that is gone.
    StoresLate(u32),
    /// A message given by APPEND is moved at once to this mailbox (its name in the store), as a
    /// filter does; where there is none it is lost.
    MovesTo(String),
    /// CREATE makes a mailbox whose name is spelled otherwise. The name that was asked for is
    /// nobody's; see [`Behaviour::with_spelling`](crate::Behaviour::with_spelling) for a server
    /// that knows both.
    Spells(Spelling),
}

/// An item of a FETCH answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// UID
    Uid,
    /// FLAGS
    Flags,
    /// INTERNALDATE
    InternalDate,
    /// RFC822.SIZE
    Size,
    /// MODSEQ
    ModSeq,
    /// BODY\[…\], whole or in part
    Body,
}

/// Where a dripping server waits until a test lets it go on.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets so many steps pass, now or when they come.
    pub fn open(&self, steps: usize) {
        self.0.add_permits(steps.min(Semaphore::MAX_PERMITS / 4));
    }

    pub(crate) async fn pass(&self) {
        // The semaphore is never closed; a failure would only mean to go on.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
