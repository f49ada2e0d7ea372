//! `ack`: a person has looked at the suspicious runs of an account. They stay in the history; `status`
//! shows them no more. What happens later raises an alarm of its own.

use super::alarm::alarms;
use super::place::{open_writer, remember};
use super::{Context, known_account, read_archive};
use crate::exit::{Exit, Failure};
use crate::memory::Memory;
use crate::output::{json, stdout};

pub(super) fn run(context: &Context, name: &str) -> Result<Exit, Failure> {
    let config = context.config()?;
    let path = &config.archive.path;
    // Read first: no archive is created, and none is written to, where there is nothing to put away.
    let archive = read_archive(&config)?;
    let account = known_account(&archive.view(), name)?;
    let standing = alarms(&archive.view(), &account, None)?;
    let newest = archive.view().alarms(account.id)?.first().map(|run| run.id);
    drop(archive);
    if let Some(newest) = newest {
        let memory = Memory::open(path)?;
        let mut writer = open_writer(path, &memory)?;
        writer.acknowledge(account.id, newest)?;
        writer.commit()?;
        remember(path, &memory, &writer)?;
    }
    if context.global.json {
        let document = serde_json::json!({ "account": account.name, "acknowledged": standing });
        json::write(&mut stdout(), &document)?;
    } else {
        context.say(&match standing.len() {
            0 => format!("{}: there is nothing to acknowledge", account.name),
            1 => format!("{}: 1 suspicious run is acknowledged", account.name),
            many => format!("{}: {many} suspicious runs are acknowledged", account.name),
        });
    }
    Ok(Exit::Done)
}
