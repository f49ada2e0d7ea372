//! How the levels of a folder's name are written on a server that is not their own.
//!
//! A level is changed only where it has to be: the delimiter of the target cannot stand inside a
//! level, nor can control characters, wildcards, nothing at all, or blanks at its edges. Each such
//! place gets a `_`, so that the change is seen, and a [`Reason`], so that it is told. A name that is
//! too long is cut and ends in a hash of the whole. Two names that become one are the business of
//! `names`.
//!
//! Once a server has refused a name, [`careful`] writes it with letters, digits, blanks, `-` and `_`
//! only, and shorter.

use std::collections::BTreeSet;

use message::NameEncoding;
use message::mailbox::encode_modified_utf7;
use unicode_normalization::UnicodeNormalization;

/// Stands in the place of what cannot stand there.
const STAND_IN: char = '_';

/// Joins levels where the target has none.
pub(super) const JOINT: char = '-';

/// What servers take for one level: what file systems take for one name, 255 octets, less what servers
/// put behind it (Dovecot makes an mbox file with a name of 255 octets, and then cannot lock it).
const LONGEST_LEVEL: usize = 240;

/// Cyrus takes 490 octets, Dovecot 4,096; more than this is no name that a person has given.
pub(super) const LONGEST_NAME: usize = 1_000;

/// After a refusal, which may have been for the length: Maildir++ has a whole name in one file name
/// of 255 octets, Gmail takes 225.
pub(super) const LONGEST_CAREFUL: usize = 180;

/// Why a name could not stay as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// Its bytes are no text in the encoding of its server.
    Unreadable,
    /// It has the character that divides levels on the target.
    Divider,
    Control,
    Wildcard,
    /// A level without a name.
    Empty,
    /// Blanks at the edges, or nothing but dots.
    Edges,
    /// A folder that is called like the inbox and is not it.
    Inbox,
    Long,
    /// The target has no levels, or none below this one.
    Flat,
}

impl Reason {
    /// The reason in words, to follow "because".
    pub(super) fn text(self, delimiter: Option<char>) -> String {
        match self {
            Self::Unreadable => "the name is not text in the encoding of the server it comes from".to_owned(),
            Self::Divider => match delimiter {
                Some(delimiter) => format!("`{delimiter}` divides the levels of names on the target"),
                None => "a character of it divides levels on the target".to_owned(),
            },
            Self::Control => "names cannot hold control characters".to_owned(),
            Self::Wildcard => "`%` and `*` are wildcards".to_owned(),
            Self::Empty => "a level of it has no name".to_owned(),
            Self::Edges => "a level cannot begin or end with a blank, or be dots only".to_owned(),
            Self::Inbox => "only the inbox can have this name".to_owned(),
            Self::Long => "it is too long".to_owned(),
            Self::Flat => "the target has no levels there".to_owned(),
        }
    }
}

/// A level as the target can hold it.
pub(super) fn level(text: &str, delimiter: Option<char>, reasons: &mut BTreeSet<Reason>) -> String {
    if text.is_empty() {
        reasons.insert(Reason::Empty);
        return STAND_IN.to_string();
    }
    let only_dots = text.chars().all(|character| character == '.') && text.len() <= 2;
    let leading = text.len() - text.trim_start().len();
    let trailing = text.trim_end().len();
    let mut level = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let reason = match character {
            '\u{fffd}' => Some(Reason::Unreadable),
            _ if Some(character) == delimiter => Some(Reason::Divider),
            _ if character.is_control() => Some(Reason::Control),
            '%' | '*' => Some(Reason::Wildcard),
            _ if at < leading || at >= trailing || only_dots => Some(Reason::Edges),
            _ => None,
        };
        reasons.extend(reason);
        level.push(if reason.is_some() { STAND_IN } else { character });
    }
    level
}

/// The first level of a folder that is not the inbox, whatever it is called.
pub(super) fn first_level(text: &str, delimiter: Option<char>, reasons: &mut BTreeSet<Reason>) -> String {
    let mut level = level(text, delimiter, reasons);
    if level.eq_ignore_ascii_case("INBOX") {
        reasons.insert(Reason::Inbox);
        level.push(STAND_IN);
    }
    level
}

/// A level with nothing in it that any server is known to refuse.
pub(super) fn careful(text: &str) -> String {
    let kept = |character: char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_');
    let level: String =
        text.chars().map(|character| if kept(character) { character } else { STAND_IN }).collect();
    match level.trim() {
        "" => STAND_IN.to_string(),
        trimmed => trimmed.to_owned(),
    }
}

/// A level in ASCII.
pub(super) fn ascii(text: &str) -> String {
    careful(&text.nfkd().map(|c| if c.is_ascii() { c } else { STAND_IN }).collect::<String>())
}

/// Text as the session writes names.
pub(super) fn encoded(text: &str, encoding: NameEncoding) -> Vec<u8> {
    match encoding {
        NameEncoding::ModifiedUtf7 => encode_modified_utf7(text),
        NameEncoding::Utf8 => text.as_bytes().to_vec(),
    }
}

/// A level that is written with at most `most` octets: if it has to be cut, a hash of what it stands
/// for tells it from others that begin alike.
pub(super) fn shortened(level: String, encoding: NameEncoding, most: usize, stands_for: &[String]) -> String {
    if encoded(&level, encoding).len() <= most {
        return level;
    }
    hashed(&level, encoding, most, stands_for)
}

/// As many characters of a level as there is room for, and a hash of what it stands for.
pub(super) fn hashed(level: &str, encoding: NameEncoding, most: usize, stands_for: &[String]) -> String {
    let mut hasher = blake3::Hasher::new();
    for level in stands_for {
        hasher.update(&(level.len() as u64).to_le_bytes());
        hasher.update(level.as_bytes());
    }
    let suffix = format!("~{}", &hasher.finalize().to_hex()[..8]);
    let room = most.saturating_sub(suffix.len());
    // No character takes less than one octet, so that the loop is short.
    let mut kept: String = level.chars().take(room).collect();
    while encoded(&kept, encoding).len() > room {
        kept.pop();
    }
    format!("{}{suffix}", kept.trim_end())
}

/// A level cut to what servers take for one.
pub(super) fn fitting(level: String, encoding: NameEncoding, reasons: &mut BTreeSet<Reason>) -> String {
    let whole = level.clone();
    let short = shortened(level, encoding, LONGEST_LEVEL, std::slice::from_ref(&whole));
    if short != whole {
        reasons.insert(Reason::Long);
    }
    short
}

/// What a server that ignores case and Unicode normalisation would compare.
pub(super) fn folded(name: &str) -> String {
    name.nfkd().flat_map(char::to_lowercase).nfkd().collect()
}

/// The letters and digits of a name, whatever a server has made of the rest.
pub(super) fn skeleton(name: &str) -> String {
    folded(name).chars().filter(|character| character.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UTF7: NameEncoding = NameEncoding::ModifiedUtf7;

    fn written(text: &str, delimiter: char) -> (String, Vec<Reason>) {
        let mut reasons = BTreeSet::new();
        let level = level(text, Some(delimiter), &mut reasons);
        (level, reasons.into_iter().collect())
    }

    #[test]
    fn r01_a_level_is_changed_only_where_it_cannot_stay() {
        for (text, level, reasons) in [
            ("Entwürfe (2024)", "Entwürfe (2024)", &[][..]),
            ("a/b", "a/b", &[]),
            ("R&D", "R&D", &[]),
            ("v1.2", "v1_2", &[Reason::Divider]),
            ("100%", "100_", &[Reason::Wildcard]),
            ("* new *", "_ new _", &[Reason::Wildcard]),
            ("a\tb\u{85}\0", "a_b__", &[Reason::Control]),
            ("", "_", &[Reason::Empty]),
            (" a ", "_a_", &[Reason::Edges]),
            ("\u{3000}a", "_a", &[Reason::Edges]),
            ("Entw\u{fffd}rfe", "Entw_rfe", &[Reason::Unreadable]),
        ] {
            assert_eq!(written(text, '.'), (level.to_owned(), reasons.to_vec()), "{text:?}");
        }
        assert_eq!(written("..", '/').0, "__");
        assert_eq!(written("...", '/').0, "...");
    }

    #[test]
    fn r01_only_the_inbox_is_called_inbox() {
        let mut reasons = BTreeSet::new();
        assert_eq!(first_level("Inbox", Some('.'), &mut reasons), "Inbox_");
        assert_eq!(reasons.into_iter().collect::<Vec<_>>(), [Reason::Inbox]);
    }

    #[test]
    fn r03_what_is_too_long_is_cut_and_stays_distinct() {
        let mut reasons = BTreeSet::new();
        let one = fitting("ü".repeat(400), UTF7, &mut reasons);
        let two = fitting(format!("{}x", "ü".repeat(400)), UTF7, &mut reasons);
        assert_ne!(one, two);
        assert!(encoded(&one, UTF7).len() <= LONGEST_LEVEL && one.contains('~'), "{one}");
        assert!(reasons.contains(&Reason::Long));
        assert_eq!(fitting("x".repeat(240), UTF7, &mut BTreeSet::new()), "x".repeat(240));
    }

    proptest! {
        #[test]
        fn r03_whatever_the_name_a_level_is_safe(text in "\\PC{0,30}|[./%* \\x00-\\x1f\u{fffd}a]{0,6}|[^a]{0,300}", delimiter in prop::sample::select(vec!['.', '/', '\\', '|'])) {
            let level = fitting(level(&text, Some(delimiter), &mut BTreeSet::new()), UTF7, &mut BTreeSet::new());
            for level in [level.clone(), careful(&level), ascii(&level)] {
                prop_assert!(!level.is_empty());
                prop_assert!(!level.contains([delimiter, '%', '*']) && !level.contains(char::is_control));
                prop_assert_eq!(level.trim(), level.as_str());
                prop_assert!(level != "." && level != "..");
            }
            prop_assert!(encoded(&level, UTF7).len() <= LONGEST_LEVEL);
            prop_assert!(ascii(&level).is_ascii());
        }
    }
}
