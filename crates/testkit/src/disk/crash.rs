//! What a power cut leaves of a disk.
//!
//! All that was synced, and of the rest what the seed decides, in one of the manners of real file
//! systems: nothing of it, all of it, a random part in sectors of 512 or 4096 bytes (so that writes
//! are torn, lost between others that were kept, and thereby reordered), files that have grown
//! without the bytes that made them grow, names kept in order as a journal does or at random.

use server::sample::Random;

use super::image::{Change, Content, FileContent, FolderContent, Image, NameChange, ROOT, apply, apply_name};

/// How the disk loses what was not synced.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// Out of 100 sectors that were not synced.
    kept: usize,
    sector: u64,
    /// A file has its new length although the bytes are lost.
    grows: bool,
    /// Names are kept up to a moment, not at random.
    journal: bool,
}

/// Leaves in `image` what the seed's power cut leaves.
pub(super) fn power_cut(image: &mut Image, seed: u64) {
    let mut random = Random::new(seed);
    let manner = Manner {
        kept: *random.one_of(&[0, 0, 20, 50, 80, 100]),
        sector: *random.one_of(&[512, 4096]),
        grows: random.percent(30),
        journal: random.percent(60),
    };
    for node in image.nodes.values_mut() {
        node.opened = 0;
        match &mut node.content {
            Content::File(file) => cut_file(file, manner, &mut random),
            Content::Folder(folder) => cut_folder(folder, manner, &mut random),
        }
    }
    drop_what_has_no_name(image);
}

fn cut_file(file: &mut FileContent, manner: Manner, random: &mut Random) {
    let mut left = std::mem::take(&mut file.durable);
    for change in file.pending.drain(..) {
        match change {
            Change::Resize(_) if random.percent(manner.kept) => apply(&mut left, &change),
            Change::Resize(_) => {}
            Change::Write { offset, bytes } => write_in_part(&mut left, offset, &bytes, manner, random),
        }
    }
    if manner.grows && left.len() < file.live.len() {
        left.resize(file.live.len(), 0);
    }
    file.live.clone_from(&left);
    file.durable = left;
}

fn write_in_part(left: &mut Vec<u8>, offset: u64, bytes: &[u8], manner: Manner, random: &mut Random) {
    let mut start = 0;
    while start < bytes.len() {
        let at = offset + start as u64;
        let to_border = manner.sector - at % manner.sector;
        let end = usize::try_from(to_border).map_or(bytes.len(), |length| bytes.len().min(start + length));
        if random.percent(manner.kept) {
            apply(left, &Change::Write { offset: at, bytes: bytes[start..end].to_vec() });
        }
        start = end;
    }
}

fn cut_folder(folder: &mut FolderContent, manner: Manner, random: &mut Random) {
    let mut left = std::mem::take(&mut folder.durable);
    let pending: Vec<NameChange> = folder.pending.drain(..).collect();
    let upto = random.below(pending.len() + 1);
    for (position, change) in pending.iter().enumerate() {
        let kept = match (manner.journal, manner.kept) {
            (_, 0) => false,
            (_, 100) => true,
            (true, _) => position < upto,
            (false, kept) => random.percent(kept),
        };
        if kept {
            apply_name(&mut left, change);
        }
    }
    folder.live.clone_from(&left);
    folder.durable = left;
}

/// After the cut a file without a name is gone. Names of what is gone were never on the medium.
fn drop_what_has_no_name(image: &mut Image) {
    let mut reached = vec![(ROOT, ROOT, std::ffi::OsString::new())];
    let mut position = 0;
    while let Some((number, _, _)) = reached.get(position).cloned() {
        position += 1;
        let names = image.folder(number).map(|folder| folder.live.clone()).unwrap_or_default();
        reached.extend(names.into_iter().map(|(name, node)| (node, number, name)));
    }
    for node in image.nodes.values_mut() {
        node.named = false;
    }
    for (number, parent, name) in reached {
        if let Some(node) = image.nodes.get_mut(&number) {
            (node.parent, node.name, node.named) = (parent, name, true);
        }
    }
    image.nodes.retain(|_, node| node.named);
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::super::image::Node;
    use super::*;

    fn with_file(synced: &[u8]) -> (Image, u64) {
        let mut image = Image::new(1 << 30);
        let content = Content::File(FileContent::default());
        let name = OsStr::new("file").to_owned();
        let node = Node { content, parent: ROOT, name, mode: 0o600, uid: 0, gid: 0, named: true, opened: 0 };
        let number = image.add(ROOT, OsStr::new("file"), node);
        assert_eq!(image.write(number, 0, synced), Some(synced.len()));
        image.sync_file(number);
        image.sync_folder(ROOT);
        (image, number)
    }

    #[test]
    fn what_was_synced_stays_whatever_the_seed() {
        let (mut image, number) = with_file(&[7; 10_000]);
        image.write(number, 10_000, &[8; 10_000]);
        let mut kept = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut image = image.clone();
            power_cut(&mut image, seed);
            let left = &image.file(number).expect("the file is there").live;
            assert!(left[..10_000] == [7; 10_000], "seed {seed}");
            assert!(left[10_000..].iter().all(|&byte| byte == 8 || byte == 0), "seed {seed}");
            kept.insert((left.len(), left[10_000..].iter().filter(|&&byte| byte == 8).count()));
        }
        assert!(kept.len() > 20, "cuts differ: {kept:?}");
        assert!(kept.contains(&(10_000, 0)) && kept.contains(&(20_000, 10_000)), "{kept:?}");
    }

    #[test]
    fn a_name_counts_only_when_its_folder_was_synced() {
        let (mut image, number) = with_file(b"x");
        image.rename((ROOT, OsStr::new("file")), (ROOT, OsStr::new("new")));
        image.sync_file(number);
        let names = |seed| {
            let mut image = image.clone();
            power_cut(&mut image, seed);
            assert_eq!(image.nodes.len(), 2, "it has one name or the other");
            image.lookup(ROOT, OsStr::new("new")).is_some()
        };
        assert!((0..50).any(&names) && !(0..50).all(&names));
        image.sync_folder(ROOT);
        assert!((0..50).all(|seed| {
            let mut image = image.clone();
            power_cut(&mut image, seed);
            image.lookup(ROOT, OsStr::new("new")).is_some()
        }));
    }

    #[test]
    fn a_failed_sync_loses_what_it_should_have_written_and_the_next_one_does_not_tell() {
        let (mut image, number) = with_file(b"old");
        image.write(number, 0, b"new");
        image.forget_changes(number);
        assert_eq!(image.file(number).map(|file| &*file.live), Some(&b"new"[..]));
        image.sync_file(number);
        power_cut(&mut image, 1);
        assert_eq!(image.file(number).map(|file| &*file.live), Some(&b"old"[..]));
    }
}
