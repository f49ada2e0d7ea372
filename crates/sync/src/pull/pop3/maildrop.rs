//! The maildrop, brought up to date over one connection.
//!
//! STAT and UIDL say what there is. Where every UIDL is known, their octets add up to STAT's, and all
//! is here, that is the whole session. Else LIST tells the octets of each message, and
//!
//! 1. what lies under a UIDL that is known is held, if a sample of header blocks agrees;
//! 2. what was gone and is there again continues, and nothing of it is fetched;
//! 3. what is new gets a UID, is recognised by its header where the archive has it under another
//!    name, or is fetched;
//! 4. what has no UIDL of its own is told by octets and header block, and a sample of that by bytes;
//!    where TOP is missing, it is fetched and told by its content;
//! 5. what the archive had and nothing in the listing speaks for has vanished.
//!
//! After an error all of it may be done again over another connection; it goes on from what the
//! archive has.

use std::collections::HashMap;

use archive::MailboxId;
use message::{Uid, UidSet, Uidl};
use remote::pop3::{Expire, Number, Pace, Session};

use super::super::account::Suspects;
use super::super::{Context, Pop3Listing, Pop3Options, RunError};
use super::fetch::Counts;
use super::listing::{pair, uids_of};
use super::open::{Held, open};
use super::survey::{expires, is_all_known, with_names, with_octets};
use crate::hints::is_recent;
use crate::ledger::FolderLedger;
use crate::retry::Patience;

/// A server that counts more messages is not believed.
const MOST_MESSAGES: u32 = 10_000_000;
/// After so many stalls in a run, or one before which nothing had come, commands go one at a time.
const STALLS: u32 = 2;

/// What is known of a maildrop in the course of a run, over any number of connections.
pub(super) struct Maildrop {
    pub(super) mailbox: MailboxId,
    pub(super) options: Pop3Options,
    /// Content matching is for messages of earlier runs; a first run fetches everything.
    pub(super) may_match: bool,
    /// A sample of what is held is to be compared with the server, whatever the listing says.
    pub(super) recheck: bool,
    /// The last run suspected that messages went with the epoch before.
    pub(super) loss_was_told: bool,
    /// The server has asked us to slow down.
    pub(super) one_at_a_time: bool,
    /// Messages gained so far: new ones, or proven for the first time.
    pub(super) delivered: u64,
    pub(super) suspects: Suspects,
    pub(super) on_its_way: Option<Uid>,
    /// The one that was on its way is to blame beyond doubt.
    pub(super) torn: bool,
    /// What was listed in any session of the run.
    pub(super) seen: UidSet,
    /// What is held and was fetched all the same, so that the server shows other messages.
    pub(super) shown_again: UidSet,
    /// How many messages the last session showed.
    pub(super) shown: u32,
    pub(super) opened_before: bool,
    pub(super) stalls: u32,
    /// This run has compared its share of bytes.
    pub(super) proven: bool,
    pub(super) counts: Counts,
}

impl Maildrop {
    pub(super) fn new(mailbox: MailboxId, options: Pop3Options) -> Self {
        Self {
            mailbox,
            options,
            may_match: false,
            recheck: false,
            loss_was_told: false,
            one_at_a_time: false,
            delivered: 0,
            suspects: Suspects::default(),
            on_its_way: None,
            torn: false,
            seen: UidSet::new(),
            shown_again: UidSet::new(),
            shown: 0,
            opened_before: false,
            stalls: 0,
            proven: false,
            counts: Counts::default(),
        }
    }

    /// The connection was cut: the message that was on its way may be the reason.
    pub(super) fn note_cut(&mut self, patience: &Patience) {
        let (suspect, torn) = (self.on_its_way.take(), std::mem::take(&mut self.torn));
        self.suspects.note(suspect);
        let by_top = self.suspects.cut_at_least(patience.cuts_before_slices);
        if torn && suspect.is_some_and(|suspect| !by_top.contains(suspect)) {
            // It need not be tried alone.
            self.suspects.note(suspect);
        }
    }

    /// Whether a server shows what was not fetched, and nothing else.
    pub(super) fn shows_new(&self, context: &Context<'_>) -> bool {
        self.options.listing == Pop3Listing::New && !is_recent(&context.job.credentials.user)
    }

    /// What to tell when such a server has shown messages, and none that was wanted.
    pub(super) fn shows_what_was_fetched(&self, context: &Context<'_>) -> Option<String> {
        (self.shown > 0 && self.shows_new(context)).then(|| {
            format!(
                "the server goes on showing {} messages that were fetched, and there may be others behind them (if \
                 it always shows all mail, set listing = \"all\")",
                self.shown
            )
        })
    }

    /// The server fell silent while an answer was due. That is what becomes of a server that announces
    /// PIPELINING and loses the commands that come together.
    pub(super) fn note_stall(&mut self, has_brought: bool) {
        self.stalls += if has_brought { 1 } else { STALLS };
    }

    /// Whether several commands may be under way at once.
    pub(super) fn may_pipeline(&self) -> bool {
        self.stalls < STALLS
    }

    /// How fast this server may be asked for messages.
    pub(super) fn pace(&self, session: &Session) -> Pace {
        let deletes = session.capabilities().expire == Some(Expire::Days(0));
        match (deletes || self.options.listing == Pop3Listing::New, self.one_at_a_time) {
            (true, _) => Pace::Careful,
            (false, true) => Pace::OneByOne,
            (false, false) => Pace::Fast,
        }
    }
}

/// Brings the maildrop up to date over this connection.
pub(super) async fn pull(
    context: &Context<'_>,
    session: &mut Session,
    maildrop: &mut Maildrop,
    entry: &mut FolderLedger,
) -> Result<(), RunError> {
    let overview = session.overview(true).await?;
    let held = open(context, maildrop.mailbox).await?;
    if !std::mem::replace(&mut maildrop.opened_before, true) {
        entry.notices.extend(expires(session.capabilities().expire, maildrop.options.every));
    }
    let stat = overview.stat;
    maildrop.shown = stat.messages;
    if stat.messages > MOST_MESSAGES {
        let bound = u64::from(MOST_MESSAGES);
        return Err(remote::Error::Bound { what: "a count of messages beyond belief", bound }.into());
    }
    let mut listed = with_names(session, stat, overview.uidls).await?;
    let mut pairing = pair(&listed, &held.known);
    let is_known = is_all_known(&pairing, &held, stat);
    if !is_known || maildrop.recheck {
        with_octets(session, &mut listed).await?;
        pairing = pair(&listed, &held.known);
    }
    let mut work = Work {
        context,
        session,
        maildrop,
        entry,
        names: HashMap::new(),
        octets: listed.iter().filter_map(|message| Some((message.number, message.octets?))).collect(),
        here: held.uids.intersection(&uids_of(&pairing.paired)),
        listed: UidSet::new(),
        held,
    };
    if !is_known || work.maildrop.recheck {
        work.doubt(&mut pairing).await?;
    }
    work.bring_all(&listed, pairing, stat).await?;
    let may_vanish = work.maildrop.options.listing == Pop3Listing::All && !overview.beyond;
    if may_vanish {
        work.end_what_is_gone(stat).await?;
    }
    work.account_for(stat, is_known, overview.beyond).await
}

/// One session's work.
pub(super) struct Work<'a, 'c> {
    pub(super) context: &'a Context<'c>,
    pub(super) session: &'a mut Session,
    pub(super) maildrop: &'a mut Maildrop,
    pub(super) entry: &'a mut FolderLedger,
    pub(super) held: Held,
    pub(super) octets: HashMap<Number, u64>,
    /// The UIDLs of what is listed.
    pub(super) names: HashMap<Uid, Uidl>,
    /// The UIDs of what is listed, as far as it has any.
    pub(super) listed: UidSet,
    /// Those of them that are in the archive.
    pub(super) here: UidSet,
}
