//! Where each folder of an export lies, decided for all folders before the first is written.
//!
//! Names that only differ in case or in Unicode normalisation are one name to some file systems. The
//! first of them, by the order of the bytes of the original names, keeps its name; the others get
//! `%~2`, `%~3` and so on. So the paths depend on the set of folders and on nothing else.
//!
//! Paths stay short enough for other programs to open: where a folder is nested so deeply that its
//! path would have more than [`MAX_PATH`] bytes, its own name with a hash of all levels stands at the
//! top instead. `folders.jsonl` has the full name.

use std::collections::{BTreeMap, HashMap};

use message::MailboxName;

use crate::names::{self, Dots};

/// Longest path of a folder below the target. Linux takes 4096 bytes with what stands before it.
const MAX_PATH: usize = 2048;

/// Longest name of a Maildir++ folder, which has all levels in one name.
const MAX_FLAT_NAME: usize = 240;

/// The path of each folder, as encoded names from the target downwards.
pub(crate) struct Layout {
    paths: HashMap<Vec<String>, Vec<String>>,
}

/// The levels of all folders as a tree; each node is one level of some folder's name.
#[derive(Default)]
struct Node {
    /// As the file system has it, unique among its siblings.
    name: String,
    /// By original name; places in the list of nodes.
    children: BTreeMap<String, usize>,
}

impl Layout {
    /// A directory a level.
    pub(crate) fn nested(folders: &[Vec<String>]) -> Self {
        Self::new(
            folders,
            |component| names::encode(component, Dots::AtTheEdges),
            |components, path| {
                let length: usize = path.iter().map(|name| name.len() + 1).sum();
                if length <= MAX_PATH {
                    return path;
                }
                let own = path.last().expect("a path that long has names");
                vec![names::shorten(own, names::MAX_NAME, components)]
            },
        )
    }

    /// Maildir++: one directory a folder, `.` before each level, names in modified UTF-7; `INBOX` is
    /// the target itself.
    pub(crate) fn flat(folders: &[Vec<String>]) -> Self {
        let encode = |component: &str| {
            let safe = names::encode(component, Dots::Everywhere);
            let raw = MailboxName::from_text(&safe, None).raw().to_vec();
            String::from_utf8(raw).expect("modified UTF-7 is ASCII")
        };
        Self::new(folders, encode, |components, path| {
            if components == ["INBOX"] {
                return Vec::new();
            }
            let name = format!(".{}", path.join("."));
            if name.len() <= MAX_FLAT_NAME {
                return vec![name];
            }
            vec![names::shorten(&name, MAX_FLAT_NAME, components)]
        })
    }

    fn new(
        folders: &[Vec<String>],
        encode: impl Fn(&str) -> String,
        place: impl Fn(&[String], Vec<String>) -> Vec<String>,
    ) -> Self {
        let mut nodes = vec![Node::default()];
        for folder in folders {
            let mut at = 0;
            for component in folder {
                let next = nodes.len();
                at = *nodes[at].children.entry(component.clone()).or_insert(next);
                if at == next {
                    nodes.push(Node::default());
                }
            }
        }
        for parent in 0..nodes.len() {
            let mut taken: HashMap<String, u32> = HashMap::new();
            let children: Vec<(String, usize)> =
                nodes[parent].children.iter().map(|(raw, &child)| (encode(raw), child)).collect();
            for (name, child) in children {
                let number = taken.entry(names::folded(&name)).and_modify(|number| *number += 1).or_insert(1);
                nodes[child].name = if *number == 1 { name } else { format!("{name}%~{number}") };
            }
        }
        let path_of = |folder: &Vec<String>| {
            let mut at = 0;
            let mut path = Vec::with_capacity(folder.len());
            for component in folder {
                at = nodes[at].children[component];
                path.push(nodes[at].name.clone());
            }
            (folder.clone(), place(folder, path))
        };
        Self { paths: folders.iter().map(path_of).collect() }
    }

    /// Where a folder lies; `None` for a folder that the layout was not made for.
    pub(crate) fn path(&self, folder: &[String]) -> Option<&[String]> {
        self.paths.get(folder).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(names: &[&str]) -> Vec<Vec<String>> {
        names.iter().map(|name| name.split('/').map(str::to_owned).collect()).collect()
    }

    /// By the order of the original names.
    fn paths(layout: &Layout) -> Vec<String> {
        let sorted: BTreeMap<_, _> = layout.paths.iter().collect();
        sorted.values().map(|path| path.join("/")).collect()
    }

    #[test]
    fn m12_names_equal_but_for_case_are_told_apart_in_the_same_way_in_every_order() {
        let mut names = folders(&["sent", "Sent/a", "SENT", "SENT/A", "SENT/a", "caf\u{e9}", "cafe\u{301}"]);
        for _ in 0..names.len() {
            names.rotate_left(1);
            let expected =
                ["SENT", "SENT/A", "SENT/a%~2", "Sent%~2/a", "cafe\u{301}", "caf\u{e9}%~2", "sent%~3"];
            assert_eq!(paths(&Layout::nested(&names)), expected);
        }
    }

    #[test]
    fn a_maildir_has_all_levels_in_one_name() {
        let names = folders(&["INBOX", "INBOX/Sent", "Entwürfe/v1.2", "R&D", "Inbox", "", "../x"]);
        let expected = [".%", ".%2E%2E.x", ".Entw&APw-rfe.v1%2E2", "", ".INBOX.Sent", ".Inbox%~2", ".R&-D"];
        assert_eq!(paths(&Layout::flat(&names)), expected);
    }

    #[test]
    fn m11_a_folder_nested_too_deeply_stands_at_the_top() {
        let deep: Vec<String> = (0..5000).map(|level| format!("level {level}")).collect();
        let other: Vec<String> = (1..5000).map(|level| format!("level {level}")).collect();
        for layout in [Layout::nested, Layout::flat] {
            let layout = layout(&[deep.clone(), other.clone()]);
            let (a, b) = (layout.path(&deep).unwrap(), layout.path(&other).unwrap());
            assert_eq!((a.len(), b.len()), (1, 1));
            assert!(a != b && a[0].len() <= 240);
        }
    }
}
