//! `init`: create the archive on purpose, or accept the one that is there.

use archive::{Writer, WriterOptions};

use super::Context;
use super::place::{look, remember};
use crate::exit::{Exit, Failure};
use crate::memory::{Found, Memory, Verdict, judge};
use crate::output::{json, stdout};

pub(super) fn run(context: &Context, accept: bool) -> Result<Exit, Failure> {
    let config = context.config()?;
    let path = &config.archive.path;
    let memory = Memory::open(path)?;
    let found = look(path)?;
    let created = match judge(memory.recall(path)?.as_ref(), &found) {
        Verdict::Create => true,
        Verdict::Use => false,
        Verdict::Absent(_) | Verdict::ReadOnly(_) if accept => !matches!(found, Found::Archive(..)),
        Verdict::Absent(why) | Verdict::ReadOnly(why) => {
            let message = format!("the archive in {} is not taken: {why}", path.display());
            return Err(Failure::words(Exit::Failed, message)
                .help("if this is as it should be, say so: restante init --accept"));
        }
    };
    if created {
        archive::init(path)?;
    }
    let writer = Writer::open(path, WriterOptions::default())?;
    remember(path, &memory, &writer)?;
    let id = writer.id().to_string();
    if context.global.json {
        json::write(
            &mut stdout(),
            &serde_json::json!({ "archive": path.display().to_string(), "id": id, "created": created }),
        )?;
    } else {
        let done = if created { "created" } else { "accepted" };
        context.say(&format!("archive {id} in {} {done}", path.display()));
    }
    Ok(Exit::Done)
}
