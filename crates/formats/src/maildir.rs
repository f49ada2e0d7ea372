//! Maildir++, as Dovecot and Courier keep it.
//!
//! `INBOX` is the target itself, every other folder a directory `.Level.Level` in it, in modified
//! UTF-7; a dot inside a level is written `%2E`. All messages are in `cur`, with their exact bytes:
//! `<received>.U<uid>K<key>.restante,S=<size>:2,<flags>`.
//!
//! Flags are the usual letters: D draft, F flagged, R answered, S seen, T deleted. The first 26
//! keywords of a folder are `a` to `z`, named in its `dovecot-keywords`; all flags, those without a
//! letter too, are in its `index.jsonl`, which Maildir programs do not look at.

use std::collections::HashMap;
use std::io::Write;

use message::Flags;

use crate::index::{Index, Place};
use crate::output::{Output, short_key, write_message};
use crate::tree::{Folder, cannot_write};
use crate::{Error, ExportMessage, Exporter, Summary};

/// In the order of their letters, as file names must have them.
const SYSTEM_LETTERS: [(&str, char); 5] =
    [("\\Draft", 'D'), ("\\Flagged", 'F'), ("\\Answered", 'R'), ("\\Seen", 'S'), ("\\Deleted", 'T')];

const KEYWORDS_FILE: &str = "dovecot-keywords";

pub(crate) struct Maildir {
    output: Output,
    open: Option<Open>,
    /// Of each folder, in the order of their letters.
    keywords: HashMap<Vec<String>, Vec<String>>,
}

struct Open {
    components: Vec<String>,
    folder: Folder,
    messages: Folder,
    index: Index,
}

impl Maildir {
    pub(crate) fn begin(output: Output) -> Result<Self, Error> {
        // Without these the target is no Maildir, even if INBOX is not exported.
        make_maildir(output.tree.root())?;
        Ok(Self { output, open: None, keywords: HashMap::new() })
    }

    fn close_folder(&mut self) -> Result<(), Error> {
        self.open.take().map_or(Ok(()), |open| open.index.close())
    }
}

fn make_maildir(folder: &Folder) -> Result<(), Error> {
    ["cur", "new", "tmp"].iter().try_for_each(|name| folder.make(name))
}

impl Exporter for Maildir {
    fn folder(&mut self, components: &[String]) -> Result<(), Error> {
        self.close_folder()?;
        let shown = |path: &[String]| path.first().map_or(".", String::as_str).to_owned();
        let place = self.output.begin_folder(components, shown)?;
        let folder = self.output.tree.folder(&place.path)?;
        if place.first && !place.path.is_empty() {
            make_maildir(&folder)?;
            // Says to delivery programs that this is a folder of the Maildir above it.
            folder.create("maildirfolder")?;
        }
        let messages = folder.open("cur")?;
        let index = Index::open(&folder, "index.jsonl", place.first)?;
        self.open = Some(Open { components: components.to_vec(), folder, messages, index });
        Ok(())
    }

    fn message(&mut self, message: &ExportMessage<'_>, bytes: &[u8]) -> Result<(), Error> {
        let open = self.open.as_mut().ok_or(Error::NoFolder)?;
        let keywords = self.keywords.entry(open.components.clone()).or_default();
        let letters = letters(&open.folder, keywords, message.flags)?;
        let name = |number| {
            let received = message.internal_date.unix().unwrap_or(0).max(0);
            let again = if number == 1 { String::new() } else { format!("N{number}") };
            let unique = format!("{received}.U{}K{}{again}.restante", message.uid, short_key(message));
            format!("{unique},S={}:2,{letters}", bytes.len())
        };
        let file = write_message(&open.messages, name, message.internal_date, bytes)?;
        open.index.message(Place::File { file: &file }, message, bytes.len())?;
        self.output.count(bytes.len());
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Summary, Error> {
        self.close_folder()?;
        self.output.finish()
    }
}

/// The letters of these flags; a keyword that the folder has not had gets the next letter.
fn letters(folder: &Folder, keywords: &mut Vec<String>, flags: &Flags) -> Result<String, Error> {
    let system = SYSTEM_LETTERS.iter().filter(|(flag, _)| flags.contains(flag));
    let mut letters: Vec<char> = system.map(|&(_, letter)| letter).collect();
    for flag in flags.iter().filter(|flag| is_keyword(flag)) {
        let known = keywords.iter().position(|keyword| keyword.eq_ignore_ascii_case(flag));
        let place = match known {
            None if keywords.len() < 26 => {
                add_keyword(folder, keywords.len(), flag)?;
                keywords.push(flag.to_owned());
                keywords.len() - 1
            }
            None => continue,
            Some(place) => place,
        };
        letters.extend(('a'..='z').nth(place));
    }
    letters.sort_unstable();
    Ok(letters.into_iter().collect())
}

/// Whether a flag can have a line of its own in `dovecot-keywords`.
fn is_keyword(flag: &str) -> bool {
    !flag.starts_with('\\')
        && !flag.contains(|character: char| character.is_control() || character.is_whitespace())
}

fn add_keyword(folder: &Folder, number: usize, keyword: &str) -> Result<(), Error> {
    let mut file = if number == 0 { folder.create(KEYWORDS_FILE)? } else { folder.append(KEYWORDS_FILE)? };
    writeln!(file, "{number} {keyword}").map_err(cannot_write(folder, KEYWORDS_FILE))
}
