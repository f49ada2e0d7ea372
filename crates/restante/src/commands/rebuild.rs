//! `rebuild`: the catalogue made again from the packs alone.

use super::Context;
use super::verify::{damage_to_json, say_damage};
use crate::exit::{Exit, Failure};
use crate::output::amount::count;
use crate::output::{json, stdout};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let report = archive::rebuild(&config.archive.path)?;
    let last_commit = report.last_commit.number;
    if context.global.json {
        let damage: Vec<_> = report.damage.iter().map(damage_to_json).collect();
        json::write(
            &mut stdout(),
            &serde_json::json!({
                "packs": report.packs, "commits": report.commits, "last_commit": last_commit, "damage": damage,
            }),
        )?;
    } else {
        let (packs, commits) = (count(report.packs), count(report.commits));
        context.say(&format!(
            "catalogue made again from {packs} packs: {commits} commits, the last is {last_commit}"
        ));
    }
    say_damage(context, &report.damage);
    Ok(if report.damage.is_empty() { Exit::Done } else { Exit::Damaged })
}
