//! Maildir++ files, written as a delivery agent would.
//!
//! A folder is a directory `.Level.Level` beside the INBOX; flags are letters behind `:2,` in the
//! file's name, keywords letters from `a` that `dovecot-keywords` explains; the received date is the
//! file's time.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use message::mailbox::encode_modified_utf7;
use message::{Flags, InternalDate};

/// Keywords that fit into file names.
const KEYWORDS: usize = 26;

/// The directory of a folder; `/` between its levels.
pub(super) fn folder_path(maildir: &Path, folder: &str) -> PathBuf {
    if folder == "INBOX" {
        return maildir.to_owned();
    }
    let raw = String::from_utf8_lossy(&encode_modified_utf7(folder)).replace('/', ".");
    maildir.join(format!(".{raw}"))
}

/// Writes a message; `number` is another each time.
pub(super) fn deliver(
    maildir: &Path,
    folder: &str,
    number: u64,
    flags: &Flags,
    date: &InternalDate,
    bytes: &[u8],
) -> io::Result<()> {
    let dir = folder_path(maildir, folder);
    if !dir.join("tmp").is_dir() {
        make_folder(maildir)?;
        make_folder(&dir)?;
        subscribe(maildir, folder)?;
    }
    let seconds = date.unix().unwrap_or(0);
    let letters = letters(&dir, flags)?;
    // Dovecot takes the order of UIDs from the names of the files.
    let name = format!("{:010}.M{number:09}.testkit,S={}:2,{letters}", 1_000_000_000 + number, bytes.len());
    let aside = dir.join("tmp").join(&name);
    let mut file = fs::File::create(&aside)?;
    file.write_all(bytes)?;
    let received = Duration::from_secs(seconds.unsigned_abs());
    let received =
        if seconds < 0 { SystemTime::UNIX_EPOCH - received } else { SystemTime::UNIX_EPOCH + received };
    file.set_modified(received)?;
    fs::rename(&aside, dir.join("cur").join(&name))
}

fn make_folder(dir: &Path) -> io::Result<()> {
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(dir.join(part))?;
    }
    Ok(())
}

fn subscribe(maildir: &Path, folder: &str) -> io::Result<()> {
    let raw = String::from_utf8_lossy(&encode_modified_utf7(folder)).replace('/', "\t");
    let path = maildir.join("subscriptions");
    let known = fs::read_to_string(&path).unwrap_or_else(|_| "V\t2\n\n".to_owned());
    fs::write(path, format!("{known}{raw}\n"))
}

fn letters(dir: &Path, flags: &Flags) -> io::Result<String> {
    let path = dir.join("dovecot-keywords");
    let table = fs::read_to_string(&path).unwrap_or_default();
    let mut keywords: Vec<String> =
        table.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect();
    let known = keywords.len();
    let mut letters = Vec::new();
    for flag in flags.iter() {
        letters.push(match flag {
            "\\Draft" => 'D',
            "\\Flagged" => 'F',
            "\\Answered" => 'R',
            "\\Seen" => 'S',
            "\\Deleted" => 'T',
            keyword => {
                let number = keywords.iter().position(|known| known == keyword).unwrap_or_else(|| {
                    keywords.push(keyword.to_owned());
                    keywords.len() - 1
                });
                let letter = u8::try_from(number).ok().filter(|_| number < KEYWORDS);
                char::from(
                    b'a' + letter.ok_or_else(|| io::Error::other("more than 26 keywords in a folder"))?,
                )
            }
        });
    }
    if keywords.len() > known {
        let table: String = (0..).zip(&keywords).map(|(n, keyword)| format!("{n} {keyword}\n")).collect();
        fs::write(path, table)?;
    }
    // Maildir wants them in the order of ASCII.
    letters.sort_unstable();
    Ok(letters.into_iter().collect())
}
