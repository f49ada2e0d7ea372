//! How far the care for the archive has come: which packs were re-read, how long ago, and what was found.

use std::io::Write;

use archive::ArchiveId;
use serde::Serialize;

use crate::config::Config;
use crate::memory::Memory;
use crate::output::amount::{count, rfc3339, span};

#[derive(Serialize)]
pub(super) struct CareStatus {
    last_look: Option<String>,
    /// Within which time all packs are to be re-read; none: never.
    full_every_seconds: Option<u64>,
    packs_read: usize,
    /// Never since the daemon looks after them.
    packs_unread: usize,
    /// When they were read last.
    packs_damaged: usize,
    oldest_reading: Option<String>,
    oldest_reading_age_seconds: Option<i64>,
}

/// How far the care for the archive is, where anybody cares.
pub(super) fn care(config: &Config, archive: ArchiveId, now: i64) -> Option<CareStatus> {
    let path = &config.archive.path;
    let care = Memory::open(path).and_then(|memory| memory.care(path, archive)).unwrap_or_default();
    let last_look = care.last_look()?;
    let readings = care.readings();
    Some(CareStatus {
        last_look: rfc3339(last_look),
        full_every_seconds: config
            .care
            .plan
            .as_ref()
            .and_then(|plan| plan.all_within)
            .map(|span| span.as_secs()),
        packs_read: readings.read,
        packs_unread: readings.unread,
        packs_damaged: readings.damaged,
        oldest_reading: readings.oldest.and_then(rfc3339),
        oldest_reading_age_seconds: readings.oldest.map(|at| now.saturating_sub(at)),
    })
}

/// How long ago each byte of the packs was read.
pub(super) fn write(out: &mut impl Write, care: &CareStatus) -> std::io::Result<()> {
    let (read, all) = (care.packs_read as u64, (care.packs_read + care.packs_unread) as u64);
    let age = care.oldest_reading_age_seconds.map(|age| age.max(0).unsigned_abs());
    let ago = age.map(|age| format!("; the longest ago {}", span(age))).unwrap_or_default();
    match (care.full_every_seconds, age) {
        _ if all == 0 => {}
        (None, None) => {}
        (Some(within), None) => {
            writeln!(out, "none of {} packs re-read yet; all will be within {}", count(all), span(within))?;
        }
        _ if read < all => writeln!(out, "{} of {} packs re-read so far{ago}", count(read), count(all))?,
        (Some(within), Some(age)) if age <= within => {
            writeln!(out, "all {} packs re-read within {}{ago}", count(all), span(within))?;
        }
        (Some(within), Some(_)) => {
            writeln!(out, "all {} packs re-read{ago}, and {} are wanted", count(all), span(within))?;
        }
        (None, Some(_)) => writeln!(out, "all {} packs re-read{ago}", count(all))?,
    }
    if care.packs_damaged > 0 {
        let damaged = count(care.packs_damaged as u64);
        writeln!(
            out,
            "{damaged} packs are DAMAGED: `restante verify` names what is hit, `restante repair` records what is \
             lost, and the next run fetches it again"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    #[test]
    fn how_long_ago_all_packs_were_read_is_said_and_what_is_damaged_or_late() {
        let line = |within: Option<u64>, (read, unread, damaged), age: Option<i64>| {
            let care = CareStatus {
                last_look: None,
                full_every_seconds: within.map(|days| days * 86_400),
                packs_read: read,
                packs_unread: unread,
                packs_damaged: damaged,
                oldest_reading: None,
                oldest_reading_age_seconds: age.map(|days| days * 86_400),
            };
            let mut out = Vec::new();
            write(&mut out, &care).unwrap();
            String::from_utf8(out).unwrap()
        };
        for (within, packs, age, told) in [
            (
                Some(30),
                (12, 0, 0),
                Some(12),
                "all 12 packs re-read within 30 days; the longest ago 12 days\n",
            ),
            (
                Some(30),
                (12, 0, 0),
                Some(40),
                "all 12 packs re-read; the longest ago 40 days, and 30 days are wanted\n",
            ),
            (None, (12, 0, 0), Some(40), "all 12 packs re-read; the longest ago 40 days\n"),
            (Some(30), (3, 9, 0), Some(2), "3 of 12 packs re-read so far; the longest ago 2 days\n"),
            (Some(30), (0, 9, 0), None, "none of 9 packs re-read yet; all will be within 30 days\n"),
            (None, (0, 9, 0), None, ""),
            (Some(30), (0, 0, 0), None, ""),
        ] {
            assert_eq!(line(within, packs, age), told);
        }
        assert!(line(Some(30), (12, 0, 2), Some(1)).contains("2 packs are DAMAGED"));
    }
}
