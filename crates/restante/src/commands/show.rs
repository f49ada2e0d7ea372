//! `show`: the exact bytes of one message on standard output.
//!
//! Bytes that are not what was archived are never given out, not even the first of them: the message
//! is proven before one byte is written. A mail is not text for a terminal, so it is not written to
//! one.

use std::io::{self, IsTerminal, Write};

use archive::View;
use message::MessageKey;

use super::{Context, read_archive};
use crate::exit::{Exit, Failure};
use crate::output::{json, stdout};

/// Shorter prefixes would soon mean another message.
const MIN_PREFIX: usize = 8;

/// Larger messages are read twice, once to prove them, in place of being kept in memory.
const MAX_IN_MEMORY: u64 = 64 << 20;

pub(super) fn run(context: &Context, id: &str) -> Result<Exit, Failure> {
    let prefix = prefix(id)?;
    if !context.global.json && io::stdout().is_terminal() {
        return Err(Failure::words(
            Exit::Usage,
            "a message is not written to a terminal, which would obey what is in it",
        )
        .help("redirect it: restante show … > message.eml"));
    }
    let archive = read_archive(&context.reading_config()?)?;
    let view = archive.view();
    let key = find(&view, &prefix)?;
    if !view.holds_message(&key)? && view.read(&key, &mut |_| Ok(())).is_err() {
        return Err(Failure::words(Exit::Damaged, format!("message {key} is lost: damage has taken it"))
            .help("the next run fetches it again, if the server still has it; `restante status` says more"));
    }
    if context.global.json {
        describe(&view, key)?;
    } else {
        write(&view, key)?;
    }
    Ok(Exit::Done)
}

fn prefix(id: &str) -> Result<String, Failure> {
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hex || !(MIN_PREFIX..=64).contains(&id.len()) {
        return Err(Failure::words(
            Exit::Usage,
            format!("{id:?} is not the id of a message: {MIN_PREFIX} to 64 hex digits, as `list` shows them"),
        ));
    }
    Ok(id.to_ascii_lowercase())
}

fn find(view: &View<'_>, prefix: &str) -> Result<MessageKey, Failure> {
    match view.find(prefix)?[..] {
        [key] => Ok(key),
        [] => Err(Failure::words(Exit::Failed, format!("the archive holds no message {prefix}"))),
        ref several => {
            let ids = several.iter().map(|key| format!("\n  {key}")).collect::<String>();
            Err(Failure::words(Exit::Usage, format!("more than one message begins with {prefix}:{ids}")))
        }
    }
}

fn write(view: &View<'_>, key: MessageKey) -> Result<(), Failure> {
    let mut out = stdout();
    let size = view.message(&key)?.map_or(0, |message| message.size);
    if size <= MAX_IN_MEMORY {
        out.write_all(&view.read_to_vec(&key)?)?;
    } else {
        view.read(&key, &mut |_| Ok(()))?;
        view.read(&key, &mut |piece| out.write_all(piece)).map_err(not_written)?;
    }
    out.flush()?;
    Ok(())
}

/// Tells a reader who went away from an archive that cannot be read.
fn not_written(error: archive::Error) -> Failure {
    match error {
        archive::Error::Output(error) => error.into(),
        error => error.into(),
    }
}

fn describe(view: &View<'_>, key: MessageKey) -> Result<(), Failure> {
    let message = view.message(&key)?.ok_or(archive::Error::UnknownMessage(key))?;
    json::write(
        &mut stdout(),
        &serde_json::json!({
            "id": key.to_string(),
            "size": message.size,
            "subject": message.fields.subject,
            "from": message.fields.from,
            "date": message.fields.date.and_then(crate::output::amount::rfc3339),
            "message_id": message.fields.message_id,
        }),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_eight_to_sixty_four_hex_digits() {
        assert_eq!(prefix("0123ABCD").ok().as_deref(), Some("0123abcd"));
        for wrong in ["", "0123abc", "0123abcg", "../../etc", &"a".repeat(65)] {
            assert_eq!(prefix(wrong).err().map(|failure| failure.exit), Some(Exit::Usage), "{wrong}");
        }
    }
}
