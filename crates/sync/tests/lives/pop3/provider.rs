//! The servers of these lives: what they can do, and what becomes there of mail that was fetched.

use restante_sync::{Pop3Listing, Pop3Options, Protocol};
use server::Store;
use server::pop3::{Behaviour, Host, Uidls};
use tokio::io::DuplexStream;

use crate::dice::Dice;
use crate::world::Hosting;

/// What a server can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) uidl: bool,
    top: bool,
    pub(super) pipelining: bool,
    keeps_locks: bool,
    pub(super) shows: Shows,
}

/// What becomes of mail that was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    All,
    /// It is shown no more; so many are shown at a time.
    NotFetched(usize),
    /// It is deleted.
    Deletes,
}

/// A server, and what is known of it beforehand.
#[derive(Clone)]
pub(super) struct Provider {
    pub(super) host: Host,
    listing: Pop3Listing,
}

impl Hosting for Provider {
    async fn serve(&self, stream: DuplexStream) {
        self.host.serve(stream).await;
    }

    fn protocol(&self) -> Protocol {
        Protocol::Pop3(Pop3Options { listing: self.listing, ..Pop3Options::default() })
    }
}

impl Kind {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let shows = match dice.below(10) {
            0 => Shows::NotFetched(2 + dice.below(20)),
            1 => Shows::Deletes,
            _ => Shows::All,
        };
        Self {
            // Who shows only what was not fetched, and has no names, tells nobody anything.
            uidl: !dice.permille(150) || matches!(shows, Shows::NotFetched(_)),
            shows,
            top: !dice.permille(150),
            pipelining: !dice.permille(400),
            keeps_locks: dice.permille(200),
        }
    }

    pub(super) fn provider(self, store: &Store, uidls: &Uidls) -> Provider {
        let listing = match self.shows {
            Shows::NotFetched(_) => Pop3Listing::New,
            Shows::All | Shows::Deletes => Pop3Listing::All,
        };
        Provider { host: Host::new(store.clone(), self.behaviour(uidls)), listing }
    }

    fn behaviour(self, uidls: &Uidls) -> Behaviour {
        let all = match self.shows {
            Shows::All => Behaviour::modern(),
            Shows::NotFetched(at_a_time) => Behaviour::gmail(at_a_time),
            Shows::Deletes => Behaviour::modern().deleting_what_is_fetched(),
        };
        let all = all.with_uidls(uidls.clone());
        let offered = [(self.uidl, "UIDL"), (self.top, "TOP"), (self.pipelining, "PIPELINING")];
        let behaviour = offered.iter().filter(|(has, _)| !has).fold(all, |all, (_, what)| all.without(what));
        if self.keeps_locks { behaviour.keeping_locks_for(2) } else { behaviour }
    }
}
