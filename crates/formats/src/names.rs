//! One level of a folder's name as the name of a file, safe on every usual file system.
//!
//! Names stay readable: only what cannot stand in a file name, or would mean something there, is
//! written as `%` and two hex digits for each byte of its UTF-8:
//!
//! * `%` itself, control characters, invisible and direction-changing marks, and `/ \ : * ? " < > |`;
//! * a dot or blank at the beginning or the end, so that `.`, `..` and hidden files cannot arise;
//! * the last dot of a name that ends like the files of an export (`.eml`, `.mbox`, `.jsonl`);
//! * the first letter of a name that Windows keeps for a device (`CON`, `aux.txt`).
//!
//! An empty name is a single `%`. All this can be undone. Two things cannot, and both are marked by a
//! `%` that no two hex digits follow: a name longer than [`MAX_NAME`] bytes is cut and ends in `%=`
//! and a hash of the whole, and of names that differ in case or Unicode normalisation only, all but
//! the first end in `%~` and a number ([`crate::layout`]). `folders.jsonl` has the full names.

use std::borrow::Cow;
use std::fmt::Write;

use message::escape::escape;
use unicode_normalization::UnicodeNormalization;

/// Longest encoded name in bytes. File systems take 255; this leaves room for a number and a suffix.
pub(crate) const MAX_NAME: usize = 200;

/// How a file of an export ends, lest a folder be taken for one.
const OWN_SUFFIXES: [&str; 3] = [".eml", ".mbox", ".jsonl"];

/// Where dots are encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dots {
    /// Where they would hide a file, name a directory, or be dropped.
    AtTheEdges,
    /// Everywhere: they separate levels.
    Everywhere,
}

/// The name of one level, encoded, at most [`MAX_NAME`] bytes.
pub(crate) fn encode(component: &str, dots: Dots) -> String {
    if component.is_empty() {
        return "%".to_owned();
    }
    let own_suffix = OWN_SUFFIXES.iter().find(|suffix| ends_with_ignoring_case(component, suffix));
    let suffix_dot = own_suffix.map(|suffix| component.len() - suffix.len());
    let device = is_device(component);
    let mut name = String::with_capacity(component.len());
    for (at, character) in component.char_indices() {
        let edge = at == 0 || at + character.len_utf8() == component.len();
        let unsafe_here = match character {
            '%' | '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => true,
            '.' => edge || dots == Dots::Everywhere || suffix_dot == Some(at),
            ' ' => edge,
            _ => (at == 0 && device) || is_escaped(character),
        };
        if unsafe_here {
            push_encoded(&mut name, character);
        } else {
            name.push(character);
        }
    }
    if name.len() > MAX_NAME { shorten(&name, MAX_NAME, &[component]) } else { name }
}

/// Cuts an encoded name so that with a hash of what it stands for it has at most `most` bytes.
pub(crate) fn shorten<S: AsRef<str>>(name: &str, most: usize, stands_for: &[S]) -> String {
    let mut hasher = blake3::Hasher::new();
    for component in stands_for {
        hasher.update(&(component.as_ref().len() as u64).to_le_bytes());
        hasher.update(component.as_ref().as_bytes());
    }
    let suffix = format!("%={}", &hasher.finalize().to_hex()[..16]);
    let mut kept = &name[..name.floor_char_boundary(most.saturating_sub(suffix.len()))];
    // No half of an encoded byte or of a shifted sequence of modified UTF-7 stays behind.
    if let Some(percent) = kept.rfind('%').filter(|&at| kept.len() - at < 3) {
        kept = &kept[..percent];
    }
    if let Some(shift) = kept.rfind('&').filter(|&at| !kept[at..].contains('-')) {
        kept = &kept[..shift];
    }
    format!("{kept}{suffix}")
}

/// What a file system that ignores case and Unicode normalisation would compare. It may take names
/// for equal that such a system tells apart, which costs a number at the end of a name.
pub(crate) fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let ignored = |character: &char| !matches!(character, '\u{fe00}'..='\u{fe0f}');
    let upper = name.nfkd().filter(ignored).collect::<String>().to_uppercase();
    upper.nfkd().collect::<String>().to_lowercase().nfkd().collect()
}

fn ends_with_ignoring_case(text: &str, suffix: &str) -> bool {
    let from = text.len().checked_sub(suffix.len());
    from.and_then(|from| text.get(from..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

/// Names that Windows gives to devices, whatever extension follows.
fn is_device(component: &str) -> bool {
    let stem = component.split('.').next().unwrap_or_default().trim_end_matches(' ').to_uppercase();
    let numbered = ["COM", "LPT"].iter().find_map(|port| stem.strip_prefix(port));
    let port = numbered.is_some_and(|number| {
        let mut digits = number.chars();
        let digit = digits.next().is_some_and(|digit| matches!(digit, '0'..='9' | '¹' | '²' | '³'));
        digit && digits.next().is_none()
    });
    port || ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"].contains(&stem.as_str())
}

/// Whether text with this character would be shown escaped.
fn is_escaped(character: char) -> bool {
    matches!(escape(character.encode_utf8(&mut [0; 4])), Cow::Owned(_))
}

fn push_encoded(name: &mut String, character: char) {
    for byte in character.encode_utf8(&mut [0; 4]).bytes() {
        write!(name, "%{byte:02X}").expect("a String takes whatever is written to it");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Undoes [`encode`] for names that were not shortened.
    fn decode(name: &str) -> Option<String> {
        if name == "%" {
            return Some(String::new());
        }
        let mut bytes = Vec::new();
        let mut rest = name.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte == b'%' {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).ok()
    }

    #[test]
    fn m11_only_what_is_dangerous_is_encoded() {
        for (component, name) in [
            ("INBOX", "INBOX"),
            ("Entwürfe 2024 (alt)", "Entwürfe 2024 (alt)"),
            ("日本語", "日本語"),
            ("", "%"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("...", "%2E.%2E"),
            ("../../etc/passwd", "%2E./../etc/passwd".replace('/', "%2F").as_str()),
            (".hidden", "%2Ehidden"),
            ("v1.2", "v1.2"),
            ("trailing. ", "trailing.%20"),
            (" ", "%20"),
            ("100%", "100%25"),
            ("a:b\\c*?\"<>|", "a%3Ab%5Cc%2A%3F%22%3C%3E%7C"),
            ("con", "%63on"),
            ("AUX.txt", "%41UX.txt"),
            ("Com1 .x", "%43om1 .x"),
            ("COM¹", "%43OM¹"),
            ("CONTACTS", "CONTACTS"),
            ("COM10", "COM10"),
            ("x.EML", "x%2EEML"),
            ("folders.jsonl", "folders%2Ejsonl"),
            ("a\0\n\u{202e}", "a%00%0A%E2%80%AE"),
        ] {
            assert_eq!(encode(component, Dots::AtTheEdges), name, "{component:?}");
            assert_eq!(decode(name).as_deref(), Some(component));
        }
        assert_eq!(encode("v1.2", Dots::Everywhere), "v1%2E2");
    }

    #[test]
    fn long_names_are_cut_and_stay_distinct() {
        let (a, b) = ("ü".repeat(300), format!("{}x", "ü".repeat(299)));
        let (cut_a, cut_b) = (encode(&a, Dots::AtTheEdges), encode(&b, Dots::AtTheEdges));
        assert!(cut_a.len() <= MAX_NAME && cut_a.contains("%="));
        assert_ne!(cut_a, cut_b);
        let dots = encode(&"/".repeat(300), Dots::Everywhere);
        assert_eq!(dots.split("%=").next().unwrap().len() % 3, 0, "{dots}");
    }

    #[test]
    fn names_that_a_forgiving_file_system_confuses_fold_to_one() {
        for (a, b) in [("Sent", "SENT"), ("é", "e\u{301}"), ("ÀB", "a\u{300}b"), ("ß", "SS"), ("ﬁ", "FI")]
        {
            assert_eq!(folded(a), folded(b));
        }
        assert_ne!(folded("a"), folded("ä"));
    }

    proptest! {
        #[test]
        fn every_name_is_safe_and_can_be_read_back(component in "\\PC{0,40}|[./\\\\ %:~A-Za-z\\x00-\\x1f]{0,8}|(con|nul|aux|lpt1)[. a-z]{0,3}|[^a]{0,20}", everywhere: bool) {
            let name = encode(&component, if everywhere { Dots::Everywhere } else { Dots::AtTheEdges });
            prop_assert!((1..=MAX_NAME).contains(&name.len()));
            prop_assert!(!name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|', '\0']));
            prop_assert!(!name.contains(char::is_control));
            prop_assert!(!name.starts_with(['.', ' ']) && !name.ends_with(['.', ' ']));
            prop_assert!(!is_device(&name));
            prop_assert!(!everywhere || !name.contains('.'));
            if !name.contains("%=") {
                prop_assert_eq!(decode(&name), Some(component));
            }
        }
    }
}
