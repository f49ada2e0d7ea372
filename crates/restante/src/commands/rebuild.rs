//! `rebuild`: the catalogue made again from the packs alone.

use super::Context;
use crate::exit::{Exit, Failure};
use crate::output::amount::count;
use crate::output::{json, stdout};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let report = archive::rebuild(&config.archive.path)?;
    if context.global.json {
        json::write(
            &mut stdout(),
            &serde_json::json!({
                "packs": report.packs, "commits": report.commits, "records": report.records,
                "messages": report.messages, "blobs": report.blobs,
            }),
        )?;
    } else {
        context.say(&format!(
            "catalogue made again from {} packs: {} messages, {} blobs, {} journal records",
            count(report.packs),
            count(report.messages),
            count(report.blobs),
            count(report.records)
        ));
    }
    Ok(Exit::Done)
}
