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

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use archive::{MailboxId, Mark, NewPlacement, PopName};
use message::{Uid, UidSet, Uidl};
use remote::pop3::{Expire, Number, Pace, Session, Stat};

use super::super::account::Suspects;
use super::super::folder::end_leftovers;
use super::super::{Context, Pop3Listing, Pop3Options, RunError};
use super::fetch::{Brought, Counts, Doubts, Order, Purpose, Want, bring};
use super::listing::{Listed, Pairing, pair, pair_by_clue, uids_of};
use super::open::{Held, keys, open};
use super::pool::Pool;
use super::recognise::{clues, differing, header_blocks, recognise};
use crate::hints::is_recent;
use crate::ledger::{FolderLedger, Item, Listing};
use crate::plan;
use crate::recheck;
use crate::retry::{Patience, message_is_due};

/// Of what was recognised and not compared by its bytes, at least so many are compared in each run, or
/// one in so many.
const PROVE_MIN: u64 = 20;
const PROVE_SHARE: u64 = 100;
/// A server that counts more messages is not believed.
const MOST_MESSAGES: u32 = 10_000_000;
/// After so many stalls in a run, or one before which nothing had come, commands go one at a time.
const STALLS: u32 = 2;
/// With so many right counts of octets for each wrong one, a server counts as it sends.
const RIGHT_FOR_ONE_WRONG: u64 = 10;
/// Held messages that seem to be other ones, of which so many are looked at in full before it is believed.
const MOST_CONFIRMED: usize = 3;
/// A server that shows this many messages at a time does not only show what was not fetched.
const MOST_SHOWN_AT_ONCE: usize = 1_000;
/// Messages whose octets differ from the server's count that are named in a run.
const MOST_NAMED: usize = 10;

/// What is known of a maildrop in the course of a run, over any number of connections.
pub(super) struct Maildrop {
    mailbox: MailboxId,
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
    suspects: Suspects,
    on_its_way: Option<Uid>,
    /// The one that was on its way is to blame beyond doubt.
    torn: bool,
    /// What was listed in any session of the run.
    seen: UidSet,
    /// What is held and was fetched all the same, so that the server shows other messages.
    pub(super) shown_again: UidSet,
    /// How many messages the last session showed.
    shown: u32,
    opened_before: bool,
    stalls: u32,
    /// This run has compared its share of bytes.
    proven: bool,
    counts: Counts,
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
    fn shows_new(&self, context: &Context<'_>) -> bool {
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
    fn pace(&self, session: &Session) -> Pace {
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

/// The messages of the listing with their UIDLs, one by one where the listing was short (P8).
async fn with_names(
    session: &mut Session,
    stat: Stat,
    uidls: Option<Vec<(Number, Uidl)>>,
) -> Result<Vec<Listed<Number>>, RunError> {
    let has_uidls = uidls.is_some();
    let mut names: HashMap<Number, Uidl> = uidls.unwrap_or_default().into_iter().collect();
    let numbers: Vec<Number> = (1..=stat.messages).filter_map(|number| session.number(number)).collect();
    if has_uidls && names.len() < numbers.len() {
        let nameless: Vec<Number> =
            numbers.iter().copied().filter(|number| !names.contains_key(number)).collect();
        let answers = session.uidl_of(&nameless).await?;
        names.extend(answers.into_iter().filter_map(|(number, uidl)| Some((number, uidl?))));
    }
    let mut message = |number| Listed { number, uidl: names.remove(&number), octets: None };
    Ok(numbers.into_iter().map(&mut message).collect())
}

/// Adds what LIST says, and asks one by one for what it leaves out.
async fn with_octets(session: &mut Session, listed: &mut [Listed<Number>]) -> Result<(), RunError> {
    let mut octets: HashMap<Number, u64> = session.sizes().await?.into_iter().collect();
    let untold: Vec<Number> =
        listed.iter().map(|message| message.number).filter(|number| !octets.contains_key(number)).collect();
    if !untold.is_empty() {
        let answers = session.size_of(&untold).await?;
        octets.extend(answers.into_iter().filter_map(|(number, octets)| Some((number, octets?))));
    }
    listed.iter_mut().for_each(|message| message.octets = octets.get(&message.number).copied());
    Ok(())
}

/// Whether the UIDLs tell everything, and all of it is here.
fn is_all_known(pairing: &Pairing<Number>, held: &Held, stat: Stat) -> bool {
    let listed = uids_of(&pairing.paired);
    let octets = held.known.iter().filter(|known| listed.contains(known.uid)).map(|known| known.octets);
    !pairing.leaves_questions()
        && listed.difference(&held.uids).is_empty()
        && octets.fold(0, u64::saturating_add) == stat.octets
        && held.unproven.intersection(&listed).is_empty()
        // An empty maildrop is asked for twice.
        && (stat.messages > 0 || held.believed().is_empty())
}

/// What to tell of a server that deletes by itself (RFC 2449 §6.7).
fn expires(expire: Option<Expire>, every: Option<Duration>) -> Option<String> {
    const DAY: u64 = 86_400;
    match expire? {
        Expire::Days(0) => Some(
            "the server says that it may delete what has been fetched (EXPIRE 0); each message is made durable \
             before the next is fetched"
                .to_owned(),
        ),
        Expire::Days(days) => {
            let seldom = every.map_or(days <= 31, |every| every.as_secs() > u64::from(days) * DAY);
            seldom.then(|| {
                format!("the server deletes mail after {days} days (EXPIRE): a backup that runs less often misses some")
            })
        }
        Expire::Never => None,
    }
}

/// One session's work.
struct Work<'a, 'c> {
    context: &'a Context<'c>,
    session: &'a mut Session,
    maildrop: &'a mut Maildrop,
    entry: &'a mut FolderLedger,
    held: Held,
    octets: HashMap<Number, u64>,
    /// The UIDLs of what is listed.
    names: HashMap<Uid, Uidl>,
    /// The UIDs of what is listed, as far as it has any.
    listed: UidSet,
    /// Those of them that are in the archive.
    here: UidSet,
}

impl Work<'_, '_> {
    /// Compares a sample of what is held, by header blocks. If one is another message, all are
    /// compared, and what differs is taken for new (P4).
    async fn doubt(&mut self, pairing: &mut Pairing<Number>) -> Result<(), RunError> {
        let mut sample = plan::sample(&self.here);
        if self.maildrop.recheck {
            sample.extend_from(&recheck::sample(&self.here, self.context.run.get()));
        }
        let in_sample = self.pairs_in(pairing, &sample);
        let doubtful = self.differing(&in_sample).await?;
        if doubtful.is_empty() || !self.is_confirmed(self.pairs_in(pairing, &doubtful)).await? {
            return Ok(());
        }
        let held = self.pairs_in(pairing, &self.here);
        let recycled = self.differing(&held).await?;
        self.entry.replaced += recycled.len();
        self.entry.notices.push(format!(
            "the server has given {} UIDLs to other messages, which are fetched",
            recycled.len()
        ));
        let is_other = |pair: &(Number, Uid)| recycled.contains(pair.1);
        pairing.fresh.extend(pairing.paired.iter().filter(|pair| is_other(pair)).map(|&(number, _)| number));
        pairing.fresh.sort_unstable();
        pairing.paired.retain(|pair| !is_other(pair));
        self.here = self.here.difference(&recycled);
        Ok(())
    }

    /// Whether one of some messages whose headers differ is another one indeed. If not, it is TOP that
    /// does not tell what RETR tells.
    async fn is_confirmed(&mut self, mut doubtful: Vec<(Number, Uid)>) -> Result<bool, RunError> {
        doubtful.truncate(MOST_CONFIRMED);
        let is_confirmed = self.fetch_again(doubtful).await? > 0;
        if !is_confirmed {
            let notice = "the headers that the server gives by TOP are not those of its messages, so nothing is known by them";
            self.entry.notices.push(notice.to_owned());
        }
        Ok(is_confirmed)
    }

    fn pairs_in(&self, pairing: &Pairing<Number>, uids: &UidSet) -> Vec<(Number, Uid)> {
        pairing.paired.iter().filter(|(_, uid)| uids.contains(*uid)).copied().collect()
    }

    async fn differing(&mut self, held: &[(Number, Uid)]) -> Result<UidSet, RunError> {
        differing(self.context, self.session, self.held.epoch, held, &mut self.entry.bytes_fetched).await
    }

    /// Everything that is listed and not here.
    async fn bring_all(
        &mut self,
        listed: &[Listed<Number>],
        pairing: Pairing<Number>,
        stat: Stat,
    ) -> Result<(), RunError> {
        let uidls: HashMap<Number, &Uidl> =
            listed.iter().filter_map(|message| Some((message.number, message.uidl.as_ref()?))).collect();
        let Pairing { mut paired, returning, fresh, nameless } = pairing;
        let returned = self.revive(&returning).await?;
        // What cannot be given back any more is fetched, under the UID that it had.
        paired.extend(returning);
        paired.extend(self.give_uids(&fresh, &uidls).await?);
        self.listed = uids_of(&paired);
        self.here.extend_from(&returned);
        self.names =
            paired.iter().filter_map(|(number, uid)| Some((*uid, (*uidls.get(number)?).clone()))).collect();
        self.note_listing(stat);

        let lost = self.held.lost.clone();
        let mut wants: Vec<Want> = paired.iter().map(|&(number, uid)| self.want(number, uid)).collect();
        let left_out = self.left_out();
        wants.retain(|want| !self.here.contains(want.uid) && !left_out.contains(want.uid));
        if self.maildrop.may_match {
            let strangers: Vec<Want> =
                wants.iter().filter(|want| !lost.contains(want.uid)).copied().collect();
            let fetched = &mut self.entry.bytes_fetched;
            let found = recognise(self.context, self.session, self.held.epoch, &strangers, fetched).await?;
            self.entry.matched_by_header += found.len();
            self.entry.new += found.len();
            self.maildrop.delivered += found.len();
            self.here.extend_from(&found);
            wants.retain(|want| !found.contains(want.uid));
        }
        let stored = self.fetch(&Purpose::Keep, &wants).await?;
        let healed = stored.intersection(&lost);
        self.entry.healed += healed.len();
        self.entry.new += stored.len() - healed.len();
        self.here.extend_from(&stored);

        let hinted = self.bring_nameless(&nameless, &uidls).await?;
        self.fetch_what_is_shown(paired.iter().filter(|(_, uid)| !stored.contains(*uid)).copied()).await?;
        let unproven = self.held.unproven.intersection(&self.here);
        let unproven = paired.into_iter().filter(|(_, uid)| unproven.contains(*uid)).collect();
        if !self.maildrop.proven {
            self.prove(unproven).await?;
            self.prove(hinted).await?;
            self.maildrop.proven = true;
        }
        Ok(())
    }

    /// Who shows what was not fetched yet, and shows a message that is here, has not noticed that it was
    /// fetched: it came by another way, or QUIT did not get through. Until it is fetched again it stands in
    /// the place of others.
    async fn fetch_what_is_shown(
        &mut self,
        pairs: impl Iterator<Item = (Number, Uid)>,
    ) -> Result<(), RunError> {
        let is_meant =
            |&(_, uid): &(Number, Uid)| self.here.contains(uid) && !self.maildrop.shown_again.contains(uid);
        let pairs: Vec<_> = pairs.filter(is_meant).collect();
        if !self.maildrop.shows_new(self.context) || pairs.len() > MOST_SHOWN_AT_ONCE {
            return Ok(());
        }
        self.maildrop.shown_again.extend_from(&uids_of(&pairs));
        self.maildrop.delivered += pairs.len() as u64;
        self.fetch_again(pairs).await.map(drop)
    }

    /// What was gone and is there again under the same UIDL lies again where it lay.
    async fn revive(&mut self, returning: &[(Number, Uid)]) -> Result<UidSet, RunError> {
        let (epoch, uids) = (self.held.epoch, uids_of(returning));
        if uids.is_empty() {
            return Ok(uids);
        }
        let place = self.context.pipeline.ask(move |writer| {
            let mut placed = UidSet::new();
            for uid in uids.iter() {
                let Some(then) = writer.view().placement(epoch, uid)? else { continue };
                if writer.view().holds_message(&then.message)? {
                    let (message, internal_date, flags) = (then.message, then.internal_date, then.flags);
                    let proof = then.proof;
                    writer.place(epoch, uid, NewPlacement { message, internal_date, flags, proof })?;
                    placed.insert(uid);
                }
            }
            Ok(placed)
        });
        let placed = place.await?;
        self.maildrop.delivered += placed.len();
        Ok(placed)
    }

    /// Gives a UID to each of these messages, in the order of the listing, and records its name.
    async fn give_uids(
        &mut self,
        fresh: &[Number],
        uidls: &HashMap<Number, &Uidl>,
    ) -> Result<Vec<(Number, Uid)>, RunError> {
        let mut given = Vec::with_capacity(fresh.len());
        let mut names = Vec::with_capacity(fresh.len());
        for &number in fresh {
            let uid = self.held.take_uid()?;
            let octets = self.octets.get(&number).copied().unwrap_or_default();
            names.push(PopName { uid, uidl: uidls.get(&number).map(|&uidl| uidl.clone()), octets });
            given.push((number, uid));
        }
        let epoch = self.held.epoch;
        self.context.pipeline.ask(move |writer| writer.name(epoch, &names)).await?;
        Ok(given)
    }

    fn want(&self, number: Number, uid: Uid) -> Want {
        Want { number, uid, octets: self.octets.get(&number).copied() }
    }

    /// What has failed too often to be asked for now.
    fn left_out(&self) -> UidSet {
        let now = self.context.run.get();
        let troubles = self.held.troubles.iter();
        let rests = troubles.filter(|trouble| !message_is_due(trouble.attempts, trouble.last_run.get(), now));
        let mut left_out: UidSet = rests.map(|trouble| trouble.uid).collect();
        left_out.extend_from(&self.skipped());
        left_out
    }

    fn skipped(&self) -> UidSet {
        self.maildrop.suspects.cut_at_least(self.context.job.limits.patience.cuts_before_skipped)
    }

    /// Messages without a UIDL of their own. Gives back those that were known by octets and header.
    async fn bring_nameless(
        &mut self,
        nameless: &[Number],
        uidls: &HashMap<Number, &Uidl>,
    ) -> Result<Vec<(Number, Uid)>, RunError> {
        if nameless.is_empty() {
            return Ok(Vec::new());
        }
        self.note_nameless(nameless.len());
        let wants: Vec<Want> = nameless.iter().map(|&number| self.want(number, stand_in(number))).collect();
        for want in &wants {
            self.names.extend(uidls.get(&want.number).map(|&uidl| (want.uid, uidl.clone())));
        }
        let pool = self.held.believed().difference(&self.listed);
        let hinted = self.known_by_clue(&wants, &pool).await?;
        let taken = uids_of(&hinted);
        self.listed.extend_from(&taken);
        self.here.extend_from(&taken);

        let by_hint: HashSet<Number> = hinted.iter().map(|&(number, _)| number).collect();
        let vacant = keys(self.context, self.held.epoch, &pool.difference(&taken)).await?;
        let next = self.held.next_uid()?;
        let pool = Arc::new(Pool::new(vacant.into_iter().map(|(uid, key)| (key, uid)), next));
        let left_out = self.left_out();
        let unknown: Vec<Want> = wants
            .into_iter()
            .filter(|want| !by_hint.contains(&want.number) && !left_out.contains(want.uid))
            .collect();
        for want in &unknown {
            let uidl = self.names.get(&want.uid).cloned();
            pool.expect(want.uid, uidl, want.octets.unwrap_or_default());
        }
        let stored = self.fetch(&Purpose::Place(Arc::clone(&pool)), &unknown).await?;
        let places: UidSet = stored.iter().filter_map(|stand_in| pool.found(stand_in)).collect();
        self.entry.new += places.difference(&self.held.believed()).len();
        self.listed.extend_from(&places);
        self.here.extend_from(&places);
        Ok(hinted)
    }

    fn note_nameless(&mut self, messages: usize) {
        let notice = format!(
            "{messages} messages have no UIDL of their own: they are told by their octets and header (by their bytes \
             where the server has no TOP) in each run"
        );
        if !self.entry.notices.contains(&notice) {
            self.entry.notices.push(notice);
        }
    }

    /// Pairs messages without a name with those that the archive has and no name speaks for.
    async fn known_by_clue(&mut self, wants: &[Want], pool: &UidSet) -> Result<Vec<(Number, Uid)>, RunError> {
        if pool.is_empty() {
            return Ok(Vec::new());
        }
        let clues = clues(self.session, wants, &mut self.entry.bytes_fetched).await?;
        let headers = header_blocks(self.context, self.held.epoch, pool).await?;
        let numbers: HashMap<Uid, Number> = wants.iter().map(|want| (want.uid, want.number)).collect();
        let mut listed: Vec<_> =
            clues.into_iter().filter_map(|(uid, clue)| Some((*numbers.get(&uid)?, clue))).collect();
        let mut vacant: Vec<_> = self.held.known.iter().filter(|known| pool.contains(known.uid)).collect();
        let mut found = Vec::new();
        // By the octets that are here; then, for a server that counts otherwise, by those that it told.
        for by_told in [false, true] {
            let clue = |known: &&super::listing::Known| {
                let octets = if by_told { known.octets } else { known.octets_here()? };
                Some((known.uid, (octets, *headers.get(&known.uid)?)))
            };
            let pairs = pair_by_clue(&listed, &vacant.iter().filter_map(clue).collect::<Vec<_>>());
            let taken = uids_of(&pairs);
            let known: HashSet<Number> = pairs.iter().map(|&(number, _)| number).collect();
            listed.retain(|(number, _)| !known.contains(number));
            vacant.retain(|known| !taken.contains(known.uid));
            found.extend(pairs);
        }
        Ok(found)
    }

    /// Compares the bytes of some messages that are held by their header alone; of all, if one was
    /// another message.
    async fn prove(&mut self, mut pairs: Vec<(Number, Uid)>) -> Result<(), RunError> {
        if pairs.is_empty() {
            return Ok(());
        }
        let wanted = (pairs.len() as u64 / PROVE_SHARE).max(PROVE_MIN);
        let step = usize::try_from((pairs.len() as u64).div_ceil(wanted)).unwrap_or(usize::MAX).max(1);
        let skipped = self.context.run.get() as usize % step;
        pairs.rotate_left(skipped);
        let (sample, rest): (Vec<_>, Vec<_>) =
            pairs.into_iter().enumerate().partition(|(position, _)| position % step == 0);
        let wrong = self.fetch_again(sample.into_iter().map(|(_, pair)| pair).collect()).await?;
        if wrong > 0 && !rest.is_empty() {
            self.entry.notices.push(format!(
                "{wrong} messages that were recognised by their headers were other ones; the other {} are fetched now",
                rest.len()
            ));
            self.fetch_again(rest.into_iter().map(|(_, pair)| pair).collect()).await?;
        }
        Ok(())
    }

    /// Fetches messages that are held, and says how many were other ones.
    async fn fetch_again(&mut self, pairs: Vec<(Number, Uid)>) -> Result<usize, RunError> {
        let uids = uids_of(&pairs);
        let before = keys(self.context, self.held.epoch, &uids).await?;
        let wants: Vec<Want> = pairs.into_iter().map(|(number, uid)| self.want(number, uid)).collect();
        self.fetch(&Purpose::Prove, &wants).await?;
        let after = keys(self.context, self.held.epoch, &uids).await?;
        let wrong = before.iter().filter(|(uid, key)| after.get(uid) != Some(key)).count();
        self.entry.replaced += wrong as u64;
        Ok(wrong)
    }

    /// Fetches, and returns what the archive has taken. What failed is recorded with its reason.
    async fn fetch(&mut self, purpose: &Purpose, wants: &[Want]) -> Result<UidSet, RunError> {
        if wants.is_empty() {
            return Ok(UidSet::new());
        }
        let patience = &self.context.job.limits.patience;
        let doubts = Doubts {
            alone: self.maildrop.suspects.cut_at_least(patience.cuts_before_alone),
            by_top: self.maildrop.suspects.cut_at_least(patience.cuts_before_slices),
            counted_right: self.counted_right(),
        };
        let octets = wants.iter().filter_map(|want| want.octets).fold(0, u64::saturating_add);
        self.context.progress.folder_begins("INBOX", wants.len() as u64, octets);
        let pace = self.maildrop.pace(self.session);
        let mut brought = Brought::default();
        let order = Order { epoch: self.held.epoch, purpose, wants, doubts, pace };
        let fetched = &mut self.entry.bytes_fetched;
        let result = bring(self.context, self.session, &order, &mut brought, fetched).await;
        self.maildrop.delivered += match purpose {
            Purpose::Keep => brought.delivered.len(),
            Purpose::Prove => brought.delivered.intersection(&self.held.unproven).len(),
            Purpose::Place(pool) => {
                self.context.pipeline.flush().await?;
                pool.given()
            }
        };
        self.maildrop.counts.exact += brought.counts.exact;
        self.maildrop.counts.other.append(&mut brought.counts.other);
        if let Err(error) = &result {
            self.maildrop.on_its_way = brought.on_its_way();
            self.maildrop.torn = brought.torn.is_some();
            // The entry counts what is stored; the caller will not come back here for it.
            if matches!((purpose, error), (Purpose::Keep, RunError::Remote(_))) {
                self.entry.new += brought.delivered.len();
            }
        }
        result?;
        self.context.pipeline.flush().await?;
        let spoilt = self.context.pipeline.take_spoilt();
        let spoilt_uids: UidSet = spoilt.iter().map(|&(uid, _)| uid).collect();
        for (uid, why) in spoilt.into_iter().chain(brought.refused) {
            self.note_failure(uid, why).await?;
        }
        Ok(brought.delivered.difference(&spoilt_uids))
    }

    /// Of how many messages the server's count was right, in this run and before; `None` where it is wrong
    /// more often than by accident.
    fn counted_right(&self) -> Option<u64> {
        let told = self.held.known.iter().filter(|known| known.octets > 0);
        let counted = told.filter_map(|known| Some(known.octets_here()? == known.octets));
        let (right, wrong): (Vec<bool>, Vec<bool>) = counted.partition(|is_right| *is_right);
        let Counts { exact, other } = &self.maildrop.counts;
        let right = right.len() as u64 + exact;
        (other.is_empty() && right >= RIGHT_FOR_ONE_WRONG * wrong.len() as u64).then_some(right)
    }

    async fn note_failure(&mut self, uid: Uid, why: String) -> Result<(), RunError> {
        let item = self.item(uid, why);
        let same = |known: &Item| known.uid == item.uid && known.uidl == item.uidl && known.why == item.why;
        if self.entry.failed.iter().any(same) {
            return Ok(());
        }
        let (epoch, why, has_uid) = (self.held.epoch, item.why.clone(), item.uid.is_some());
        self.entry.failed.push(item);
        if has_uid {
            self.context.pipeline.ask(move |writer| writer.trouble(epoch, uid, &why)).await?;
        }
        Ok(())
    }

    fn item(&self, uid: Uid, why: String) -> Item {
        let uidl = self.names.get(&uid).map(ToString::to_string);
        match number_behind(uid) {
            None => Item { uid: Some(uid.get()), uidl, why },
            Some(number) => Item {
                uid: None,
                uidl,
                why: format!("message {number}, which has no UIDL of its own: {why}"),
            },
        }
    }

    /// What the archive believed to be on the server and nothing in the listing speaks for.
    async fn end_what_is_gone(&mut self, stat: Stat) -> Result<(), RunError> {
        let believed = self.held.believed();
        let unheard = u64::from(stat.messages).saturating_sub(self.listed.len());
        let gone = believed.difference(&self.listed);
        // A message that has no name and could not be had may be any of them.
        if !gone.is_empty() && unheard == 0 {
            self.entry.vanished += gone.len();
            let epoch = self.held.epoch;
            self.context.pipeline.ask(move |writer| writer.vanished(epoch, &gone)).await?;
        }
        let what = ("it is pulled over POP3 now", self.maildrop.loss_was_told);
        end_leftovers(self.context, what, self.entry, self.held.epoch, &self.held.leftovers).await
    }

    /// Notes what is to be brought. What was held before the run is noted once, whatever happens to
    /// the line.
    fn note_listing(&mut self, stat: Stat) {
        let epoch = self.held.epoch;
        self.maildrop.seen.extend_from(&self.listed);
        let uids = self.maildrop.seen.clone();
        let earlier = self.entry.listing.take().filter(|listing| listing.epoch == epoch);
        let held_before =
            earlier.map_or_else(|| self.held.uids.intersection(&uids).len(), |listing| listing.held_before);
        self.entry.on_server = match self.maildrop.options.listing {
            Pop3Listing::All => u64::from(stat.messages),
            Pop3Listing::New => uids.len(),
        };
        self.entry.listing = Some(Listing { epoch, uids, held_before });
    }

    /// Names what is missing, and counts.
    async fn account_for(&mut self, stat: Stat, is_known: bool, beyond: bool) -> Result<(), RunError> {
        self.name_what_is_missing().await?;
        // The server counts again at the end, unless nothing was asked of it since it last did.
        let now = if is_known { stat } else { self.session.stat().await? };
        let messages = u64::from(stat.messages);
        if self.maildrop.options.listing == Pop3Listing::All {
            self.entry.on_server = u64::from(now.messages);
            self.entry.archived = self.here.len();
        } else {
            let epoch = self.held.epoch;
            self.context.pipeline.commit().await?;
            let held = self.context.pipeline.ask(move |writer| writer.view().held_uids(epoch)).await?;
            self.entry.archived = held.intersection(&self.maildrop.seen).len();
        }
        if beyond {
            self.entry.error = Some(format!(
                "the server counts {messages} messages and lists more; nothing counts as vanished in this run"
            ));
        } else if now.messages != stat.messages {
            self.entry.error =
                Some(format!("the server counted {messages} messages, and {} at the end", now.messages));
        }
        self.note_counts();
        let mark = Mark { uid_next: None, highest_modseq: None, messages: stat.messages };
        let epoch = self.held.epoch;
        self.context.pipeline.ask(move |writer| writer.mark(epoch, &mark)).await
    }

    async fn name_what_is_missing(&mut self) -> Result<(), RunError> {
        let missing = self.listed.difference(&self.here);
        let is_missing = |item: &Item| item.uid.and_then(Uid::new).is_none_or(|uid| missing.contains(uid));
        self.entry.failed.retain(is_missing);
        let named: HashSet<u32> = self.entry.failed.iter().filter_map(|item| item.uid).collect();
        let skipped = self.skipped();
        let cut = "the connection breaks whenever it is fetched";
        for uid in missing.iter().filter(|uid| !named.contains(&uid.get())) {
            let trouble = self.held.troubles.iter().find(|trouble| trouble.uid == uid);
            match trouble {
                _ if skipped.contains(uid) => self.note_failure(uid, cut.to_owned()).await?,
                Some(trouble) => {
                    let (attempts, reason) = (trouble.attempts, &trouble.reason);
                    let why = format!("failed in {attempts} runs, will be tried again later: {reason}");
                    let item = self.item(uid, why);
                    self.entry.skipped.push(item);
                }
                None => self.note_failure(uid, "the server lists it but does not send it".to_owned()).await?,
            }
        }
        for stand_in in skipped.iter().filter(|&uid| number_behind(uid).is_some()) {
            self.note_failure(stand_in, cut.to_owned()).await?;
        }
        Ok(())
    }

    /// Where a server counts exactly, a message of another length may have lost a dot (P11).
    fn note_counts(&mut self) {
        let Counts { exact, other } = std::mem::take(&mut self.maildrop.counts);
        if other.is_empty() {
            return;
        }
        if exact < RIGHT_FOR_ONE_WRONG * other.len() as u64 {
            self.entry.notices.push(format!(
                "the server's counts of octets are not exact ({} of {}), so they prove nothing",
                other.len(),
                exact + other.len() as u64
            ));
            return;
        }
        for &(uid, told, came) in other.iter().take(MOST_NAMED) {
            let name =
                self.names.get(&uid).map_or_else(|| format!("UID {uid}"), |uidl| format!("UIDL {uidl}"));
            self.entry.notices.push(format!(
                "{name}: the server counts {told} octets and sent {came}, while its other counts are exact: it may \
                 have altered the message on its way (a dot at the beginning of a line)"
            ));
        }
        if other.len() > MOST_NAMED {
            self.entry.notices.push(format!("and {} more of another length", other.len() - MOST_NAMED));
        }
    }
}

/// What stands in for the UID of a message without a name, within a session: the highest UIDs, which
/// no maildrop comes to.
fn stand_in(number: Number) -> Uid {
    Uid::new(u32::MAX - number.get()).unwrap_or(Uid::MAX)
}

/// The message number behind a stand-in; `None` for a UID.
fn number_behind(uid: Uid) -> Option<u32> {
    const FIRST: u32 = 1 << 31;
    (uid.get() >= FIRST).then(|| u32::MAX - uid.get())
}
