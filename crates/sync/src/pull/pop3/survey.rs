//! What the server says of the maildrop: names and octets of all messages, completed where a listing was
//! short (P8), and whether that tells everything.

use std::collections::HashMap;
use std::time::Duration;

use message::Uidl;
use remote::pop3::{Expire, Number, Session, Stat};

use super::super::RunError;
use super::listing::{Listed, Pairing, uids_of};
use super::open::Held;

/// The messages of the listing with their UIDLs, one by one where the listing was short (P8).
pub(super) async fn with_names(
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
pub(super) async fn with_octets(
    session: &mut Session,
    listed: &mut [Listed<Number>],
) -> Result<(), RunError> {
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
pub(super) fn is_all_known(pairing: &Pairing<Number>, held: &Held, stat: Stat) -> bool {
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
pub(super) fn expires(expire: Option<Expire>, every: Option<Duration>) -> Option<String> {
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
