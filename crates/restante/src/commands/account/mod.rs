//! `account`: the accounts of the configuration.
//!
//! * `add`: the story of adding one, from what is given or asked to the files that are written.
//! * `servers`: where the mailbox may be; `trial`: which of these servers lets us in.
//! * `secret`: how the password is come by. `person`: who is asked.
//! * `entry`, `names`: the words that go into the configuration. `file`, `owner`: how they get there.

mod add;
mod entry;
mod file;
mod names;
mod owner;
mod person;
mod report;
mod secret;
mod servers;
mod trial;

use super::Context;
use crate::cli::Account;
use crate::exit::{Exit, Failure};

pub(super) fn run(context: &Context, what: &Account) -> Result<Exit, Failure> {
    match what {
        Account::Add(what) => add::run(context, what),
    }
}
