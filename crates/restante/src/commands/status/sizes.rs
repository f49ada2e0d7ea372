//! Where the bytes of the archive go: `status --sizes`.
//!
//! Everything but the catalogue's own size and the other files is a sum that the catalogue keeps, so no
//! pack is read for it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use archive::{Breakdown, StreamSizes, View};
use serde::Serialize;

use crate::exit::Failure;
use crate::output::amount::{count, size};
use crate::output::table::{Align, Table};

#[derive(Serialize)]
pub(super) struct Sizes {
    total_bytes: u64,
    headers: Stream,
    texts: Stream,
    attachments: Stream,
    /// Names and lengths of the blobs, and the headers of their frames.
    directory_bytes: u64,
    /// The journal, commits, and the headers of the packs.
    journal_bytes: u64,
    /// What lies in pack files and does not count.
    idle_bytes: u64,
    /// Packs that a compaction has replaced, and that wait for their end.
    retired_bytes: u64,
    catalogue_bytes: u64,
    /// Every other file in the archive's folder.
    other_bytes: u64,
    /// The mail, each message counted once.
    distinct_bytes: u64,
    /// The mail that is on the servers, each message counted in every folder in which it lies.
    placed_bytes: u64,
    /// `total_bytes` in relation to these two; none where there is no mail.
    ratio_to_distinct: Option<f64>,
    ratio_to_placed: Option<f64>,
}

#[derive(Clone, Copy, Serialize)]
struct Stream {
    blocks: u64,
    plain_bytes: u64,
    stored_bytes: u64,
}

impl From<StreamSizes> for Stream {
    fn from(sizes: StreamSizes) -> Self {
        let StreamSizes { blocks, plain_bytes, stored_bytes } = sizes;
        Self { blocks, plain_bytes, stored_bytes }
    }
}

/// Adds up what is in the archive, which lies in `folder`.
pub(super) fn measure(view: &View<'_>, folder: &Path) -> Result<Sizes, Failure> {
    let (breakdown, totals, sizes) = (view.breakdown()?, view.totals(None)?, view.sizes()?);
    let all = bytes_below(folder)?;
    Ok(of(
        &breakdown,
        (totals.message_bytes, totals.live_bytes),
        (all, sizes.pack_bytes, sizes.catalogue_bytes),
    ))
}

#[expect(clippy::cast_precision_loss, reason = "a ratio needs no 53 bits")]
fn of(
    breakdown: &Breakdown,
    (distinct_bytes, placed_bytes): (u64, u64),
    (total_bytes, pack_bytes, catalogue_bytes): (u64, u64, u64),
) -> Sizes {
    let ratio = |mail: u64| (mail > 0).then(|| total_bytes as f64 / mail as f64);
    Sizes {
        total_bytes,
        headers: breakdown.headers.into(),
        texts: breakdown.texts.into(),
        attachments: breakdown.attachments.into(),
        directory_bytes: breakdown.directory_bytes,
        journal_bytes: breakdown.journal_bytes,
        idle_bytes: breakdown.idle_bytes,
        retired_bytes: breakdown.retired_bytes,
        catalogue_bytes,
        // A writer may have been at work between the two.
        other_bytes: total_bytes.saturating_sub(pack_bytes + breakdown.retired_bytes + catalogue_bytes),
        distinct_bytes,
        placed_bytes,
        ratio_to_distinct: ratio(distinct_bytes),
        ratio_to_placed: ratio(placed_bytes),
    }
}

/// Bytes of all files in a folder and below it; links are not followed.
fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => bytes += found.len(),
                // It went while the folder was being read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bytes)
}

pub(super) fn write(out: &mut impl Write, sizes: &Sizes) -> io::Result<()> {
    let mut table = Table::new(&[
        ("where the bytes go", Align::Left),
        ("blocks", Align::Right),
        ("plain", Align::Right),
        ("stored", Align::Right),
        ("share", Align::Right),
    ]);
    let share = |bytes: u64| format!("{:.1} %", percent(bytes, sizes.total_bytes));
    for (what, stream) in
        [("headers", sizes.headers), ("texts", sizes.texts), ("attachments", sizes.attachments)]
    {
        let Stream { blocks, plain_bytes, stored_bytes } = stream;
        table.row([
            what.to_owned(),
            count(blocks),
            size(plain_bytes),
            size(stored_bytes),
            share(stored_bytes),
        ]);
    }
    for (what, bytes) in [
        ("names of blobs", sizes.directory_bytes),
        ("journal", sizes.journal_bytes),
        ("idle in packs", sizes.idle_bytes),
        ("replaced packs", sizes.retired_bytes),
        ("catalogue", sizes.catalogue_bytes),
        ("other files", sizes.other_bytes),
        ("all", sizes.total_bytes),
    ] {
        table.row([what.to_owned(), String::new(), String::new(), size(bytes), share(bytes)]);
    }
    table.write(out)?;
    for (ratio, mail, what) in [
        (sizes.ratio_to_distinct, sizes.distinct_bytes, "mail, each message once"),
        (sizes.ratio_to_placed, sizes.placed_bytes, "mail on the servers, each message in all its folders"),
    ] {
        if let Some(ratio) = ratio {
            writeln!(out, "{ratio:.3} of {} of {what}", size(mail))?;
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a percentage needs no 53 bits")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    fn streams() -> Breakdown {
        Breakdown {
            headers: StreamSizes { blocks: 3, plain_bytes: 4_000, stored_bytes: 1_000 },
            texts: StreamSizes { blocks: 5, plain_bytes: 8_000, stored_bytes: 2_000 },
            attachments: StreamSizes { blocks: 1, plain_bytes: 3_000, stored_bytes: 3_000 },
            directory_bytes: 500,
            journal_bytes: 300,
            idle_bytes: 200,
            retired_bytes: 40,
        }
    }

    #[test]
    fn all_bytes_are_told_where_they_go_and_set_against_the_mail() {
        let sizes = of(&streams(), (16_000, 32_000), (8_000, 7_000, 900));
        assert_eq!((sizes.other_bytes, sizes.total_bytes), (60, 8_000));
        assert_eq!((sizes.ratio_to_distinct, sizes.ratio_to_placed), (Some(0.5), Some(0.25)));
        let mut out = Vec::new();
        write(&mut out, &sizes).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("texts") && text.contains("25.0 %") && text.contains("100.0 %"), "{text}");
        assert!(text.contains("0.500 of 15.6 KiB of mail, each message once"), "{text}");
    }

    #[test]
    fn an_archive_without_mail_has_no_ratio() {
        let sizes = of(&Breakdown::default(), (0, 0), (0, 0, 0));
        assert_eq!((sizes.ratio_to_distinct, sizes.ratio_to_placed), (None, None));
        let mut out = Vec::new();
        write(&mut out, &sizes).unwrap();
        assert!(!String::from_utf8(out).unwrap().contains("NaN"));
    }

    #[test]
    fn files_are_counted_in_all_folders_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("packs")).unwrap();
        fs::write(folder.path().join("packs/a"), [0; 100]).unwrap();
        fs::write(folder.path().join("b"), [0; 20]).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("c"), [0; 4_000]).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("link")).unwrap();
        let link = folder.path().join("link").symlink_metadata().unwrap().len();
        assert_eq!(bytes_below(folder.path()).unwrap(), 120 + link);
    }
}
