//! Where the folders of an account go: what the target is like, and the mailboxes that it lacks.
//!
//! Names are the business of [`names`](super::names); here the target is asked what it has, and what is
//! missing is made, on one connection and one after the other, because what a server makes of one name
//! decides about the next. In a plan nothing is made.

use std::collections::{HashMap, VecDeque};

use archive::MailboxId;
use message::MailboxName;
use message::escape::escape;
use remote::imap::{Listed, Target};

use super::Room;
use super::error::RestoreError;
use super::names::{Destination, Home, Landings, Seen, SourceFolder, TargetWorld};
use super::report::{FolderReport, TargetReport};
use super::{quiet, wanted};

/// Mailboxes without a count in the listing are asked for it one by one, up to so many.
const MOST_STATUS: usize = 200;

/// How often a mailbox is made under another name because the server took its name for another's.
const MOST_NAMES: usize = 8;

/// A folder of the archive.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: MailboxName,
    /// More than one where the folder had several lives.
    pub(super) mailboxes: Vec<MailboxId>,
    special_use: Option<String>,
    subscribed: bool,
    selectable: bool,
    is_wanted: bool,
    live: u64,
}

/// A folder and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) source: Source,
    /// On the target.
    pub(super) name: MailboxName,
    /// It is not there, and in a plan it is not made either.
    pub(super) is_planned: bool,
    created: bool,
    notices: Vec<String>,
    /// Only what lies in none of these folders is wanted.
    pub(super) beside: Option<Vec<Vec<MailboxId>>>,
    pub(super) fate: Fate,
}

/// What becomes of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes to a mailbox that is there, or is only planned.
    Found,
    /// It goes to a mailbox that was made for it.
    Made,
    /// All its messages lie in other folders, which are restored.
    LiesElsewhere,
    /// The target makes no mailbox for it.
    NotMade(String),
}

/// All of it.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) target: TargetReport,
    pub(super) places: Vec<Place>,
    /// Octets that the target's quota has room for.
    pub(super) room_left: Option<u64>,
}

impl Place {
    pub(super) fn is_restored(&self) -> bool {
        matches!(self.fate, Fate::Found | Fate::Made)
    }

    /// The report of a folder of which nothing is known yet.
    pub(super) fn report(&self) -> FolderReport {
        FolderReport {
            created: self.created || self.is_planned,
            notices: self.notices.clone(),
            ..FolderReport::new(self.source.name.text(), self.name.text())
        }
    }

    /// The report of a folder that the restore does not come to.
    pub(super) fn unreached(&self) -> FolderReport {
        let live = self.source.live;
        match &self.fate {
            Fate::Found | Fate::Made => FolderReport {
                asked: live,
                not_sent: live,
                error: Some("not reached".to_owned()),
                ..self.report()
            },
            Fate::LiesElsewhere => {
                let mut report = FolderReport::new(self.source.name.text(), String::new());
                report.notices.push("all its messages lie in other folders, which are restored".to_owned());
                report
            }
            Fate::NotMade(why) => FolderReport {
                asked: live,
                not_sent: live,
                created: false,
                error: Some(format!("the target makes no mailbox for it: {why}")),
                ..self.report()
            },
        }
    }
}

/// The folders of the account, those that are not wanted too: where folders land depends on all.
pub(super) async fn sources(room: &Room<'_>) -> Result<Vec<Source>, RestoreError> {
    let (name, when) = (room.job.account.clone(), room.job.when);
    let listed = room.reader.ask(move |view| {
        let Some(account) = view.account(&name)? else { return Ok(None) };
        view.mailboxes_as_of(account.id, when).map(Some)
    });
    let listed = listed.await?.ok_or_else(|| RestoreError::NoAccount(room.job.account.clone()))?;
    let mut sources: Vec<Source> = Vec::new();
    let mut places: HashMap<MailboxName, usize> = HashMap::new();
    for mailbox in listed {
        if let Some(&place) = places.get(&mailbox.name) {
            let source = &mut sources[place];
            source.mailboxes.push(mailbox.id);
            source.selectable |= mailbox.selectable || mailbox.live > 0;
            source.live += mailbox.live;
            continue;
        }
        places.insert(mailbox.name.clone(), sources.len());
        sources.push(Source {
            is_wanted: room.job.filter.wants(&mailbox.name.text()),
            name: mailbox.name,
            mailboxes: vec![mailbox.id],
            special_use: mailbox.special_use,
            subscribed: mailbox.subscribed,
            selectable: mailbox.selectable || mailbox.live > 0 || mailbox.gone.is_some(),
            live: mailbox.live,
        });
    }
    sources.sort_by_key(|source| !source.name.is_inbox());
    if sources.iter().any(|source| source.is_wanted && source.selectable) {
        Ok(sources)
    } else {
        Err(RestoreError::NothingWanted)
    }
}

/// Finds, and makes unless it is a plan, the mailbox of each wanted folder.
pub(super) async fn find(
    room: &Room<'_>,
    target: &mut Target,
    sources: &[Source],
) -> Result<Places, RestoreError> {
    let namespace = target.namespace().await?;
    let listed = target.session().list().await?;
    let described = describe(room, target, &listed).await?;
    room.progress.target(&described);
    let inbox = MailboxName::from_text("INBOX", None);
    let quota = target.quota(&inbox).await?;
    let room_left = quota.map(|quota| quota.limit_bytes.saturating_sub(quota.used_bytes));
    let folders = sources.iter().map(|source| SourceFolder {
        name: source.name.clone(),
        special_use: source.special_use.clone(),
        selectable: source.selectable,
    });
    let world = TargetWorld {
        namespace: namespace.map(|home| Home { prefix: home.prefix, delimiter: home.delimiter }),
        prefix: room.job.prefix.clone(),
        listed,
    };
    let mut landings = Landings::plan(folders.collect(), &world);
    if !room.job.dry_run {
        let there = (0..sources.len()).filter(|&number| sources[number].is_wanted);
        let there = there.filter_map(|number| landings.of(number).landing());
        let there: Vec<MailboxName> =
            there.filter(|landing| landing.exists).map(|landing| landing.name.clone()).collect();
        // Without mail it may be one that a restore has been killed at in its first moments; but such a
        // restore had made the folders by then, and a new account has few.
        if described.messages > 0 || there.iter().any(|name| !name.is_inbox()) {
            quiet::wait(room, target.session(), &there).await?;
        }
    }
    let mut fates = make_all(room, target, sources, &mut landings).await?;
    let subscribed: Vec<&MailboxName> =
        world.listed.iter().filter(|mailbox| mailbox.subscribed).map(|mailbox| &mailbox.name).collect();
    let mut places = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let Some(fate) = fates.remove(&number) else { continue };
        let Some(landing) = landings.of(number).landing() else { continue };
        let mut place = Place {
            source: source.clone(),
            name: landing.name.clone(),
            is_planned: room.job.dry_run && !landing.exists,
            created: fate == Fate::Made,
            notices: landing.notices.clone(),
            beside: beside(sources, landings.of(number)),
            fate,
        };
        if source.subscribed && place.is_restored() && !subscribed.contains(&&place.name) {
            subscribe(room, target, &mut place).await?;
        }
        places.push(place);
    }
    Ok(Places { target: described, places, room_left })
}

/// Counts what is there.
async fn describe(
    room: &Room<'_>,
    target: &mut Target,
    listed: &[Listed],
) -> Result<TargetReport, RestoreError> {
    let (mut mailboxes, mut messages, mut asked) = (0, 0, 0);
    for mailbox in listed.iter().filter(|mailbox| mailbox.selectable && !mailbox.outside) {
        mailboxes += 1;
        let status = match &mailbox.status {
            Some(status) => Some(status.messages),
            None if asked < MOST_STATUS => {
                asked += 1;
                match target.session().status(&mailbox.name).await {
                    Ok(status) => Some(status.messages),
                    Err(error) if error.kind() == remote::Kind::Refused => None,
                    Err(error) => return Err(error.into()),
                }
            }
            None => None,
        };
        messages += status.map_or(0, u64::from);
    }
    let job = room.job;
    Ok(TargetReport {
        host: job.endpoint.host.clone(),
        port: job.endpoint.port,
        user: job.credentials.user.clone(),
        mailboxes,
        messages,
    })
}

/// Makes the mailboxes of all wanted folders, and sees under which names they are there then. In a plan
/// nothing is made.
async fn make_all(
    room: &Room<'_>,
    target: &mut Target,
    sources: &[Source],
    landings: &mut Landings,
) -> Result<HashMap<usize, Fate>, RestoreError> {
    let mut fates = HashMap::new();
    let mut open = VecDeque::new();
    for number in landings.creation_order().into_iter().filter(|&number| sources[number].is_wanted) {
        let Some(landing) = landings.of(number).landing() else { continue };
        let rest = beside(sources, landings.of(number));
        if let Some(beside) = rest
            && !has_rest(room, &sources[number], beside).await?
        {
            fates.insert(number, Fate::LiesElsewhere);
        } else if landing.exists || room.job.dry_run {
            fates.insert(number, Fate::Found);
        } else {
            open.push_back(number);
        }
    }
    let mut names_tried: HashMap<usize, usize> = HashMap::new();
    // One level at a time: what a name above becomes decides about those below.
    while let Some(first) = open.front() {
        let depth = sources[*first].name.components().len();
        let mut made = Vec::new();
        while let Some(number) = open.pop_front_if(|number| sources[*number].name.components().len() == depth)
        {
            match make(target, landings, number).await? {
                Fate::Made => made.push(number),
                fate => drop(fates.insert(number, fate)),
            }
        }
        if made.is_empty() {
            continue;
        }
        let listed = target.session().list().await?;
        for number in made {
            let tried = names_tried.entry(number).or_default();
            *tried += 1;
            match landings.listed_again(number, &listed) {
                Seen::Hidden if !holds_messages(&listed, landings.of(number)) => {
                    // A level that was there before: CREATE said that it exists (RFC 9051 §6.3.4).
                    let why = "it is a level that holds no messages";
                    if *tried < MOST_NAMES && landings.refused(number, why) {
                        open.push_front(number);
                    } else {
                        fates.insert(number, Fate::NotMade(why.to_owned()));
                    }
                }
                Seen::There | Seen::Hidden => drop(fates.insert(number, Fate::Made)),
                Seen::Anothers if *tried < MOST_NAMES => open.push_front(number),
                Seen::Anothers => {
                    let why = "the server takes every name for that of another folder".to_owned();
                    fates.insert(number, Fate::NotMade(why));
                }
            }
        }
    }
    Ok(fates)
}

/// Makes the mailbox of one folder, under another name where the server refuses the first.
async fn make(target: &mut Target, landings: &mut Landings, number: usize) -> Result<Fate, RestoreError> {
    loop {
        let Some(landing) = landings.of(number).landing() else { return Ok(Fate::LiesElsewhere) };
        if landing.exists {
            return Ok(Fate::Found);
        }
        let (name, special_use) = (landing.name.clone(), landing.special_use);
        match target.create(&name, special_use).await {
            Ok(true) => return Ok(Fate::Made),
            Ok(false) => {
                landings.said_to_exist(number);
                return Ok(Fate::Made);
            }
            Err(remote::Error::Refused { refusal, .. }) => {
                if !landings.refused(number, &refusal.to_string()) {
                    return Ok(Fate::NotMade(refusal.to_string()));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn holds_messages(listed: &[Listed], destination: &Destination) -> bool {
    let Some(landing) = destination.landing() else { return true };
    listed.iter().find(|mailbox| mailbox.name == landing.name).is_none_or(|mailbox| mailbox.selectable)
}

/// The folders beside which only the rest of this one is wanted, as far as they are restored.
fn beside(sources: &[Source], destination: &Destination) -> Option<Vec<Vec<MailboxId>>> {
    let Destination::Rest { beside, .. } = destination else { return None };
    let restored = beside.iter().map(|&number| &sources[number]).filter(|source| source.is_wanted);
    Some(restored.map(|source| source.mailboxes.clone()).collect())
}

/// Whether anything of a folder lies in none of these.
async fn has_rest(
    room: &Room<'_>,
    source: &Source,
    beside: Vec<Vec<MailboxId>>,
) -> Result<bool, RestoreError> {
    let (mailboxes, when) = (source.mailboxes.clone(), room.job.when);
    let rest = room.reader.ask(move |view| wanted::of_folder(view, &mailboxes, when, None, Some(&beside)));
    Ok(!rest.await?.is_empty())
}

async fn subscribe(room: &Room<'_>, target: &mut Target, place: &mut Place) -> Result<(), RestoreError> {
    if room.job.dry_run {
        return Ok(());
    }
    match target.subscribe(&place.name).await {
        Ok(()) => Ok(()),
        Err(remote::Error::Refused { refusal, .. }) => {
            place
                .notices
                .push(format!("the server does not subscribe to it: {}", escape(&refusal.to_string())));
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
