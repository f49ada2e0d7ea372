//! What a server makes of mailbox names that are asked for: spellings, and names that it refuses.
//!
//! Names are here as the store has them: modified UTF-7 with `/` between the levels.

use message::mailbox::encode_modified_utf7;

use crate::store::{DELIMITER, name_text};

/// How a server spells a name, whatever was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spelling {
    /// In small letters.
    LowerCase,
    /// Without blanks at the end of a level.
    TrailingBlankCut,
    /// With another character in place of one.
    Instead(char, char),
}

impl Spelling {
    /// The name so spelled; INBOX is always INBOX.
    pub(crate) fn spell(&self, name: &[u8]) -> Vec<u8> {
        if name.eq_ignore_ascii_case(b"INBOX") {
            return name.to_vec();
        }
        let text = name_text(name);
        let spelled = match self {
            Self::LowerCase => text.to_lowercase(),
            Self::TrailingBlankCut => text.split('/').map(str::trim_end).collect::<Vec<_>>().join("/"),
            Self::Instead(from, to) => text.replace(*from, &to.to_string()),
        };
        encode_modified_utf7(&spelled)
    }
}

/// Which names can be made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Naming {
    pub(crate) spelling: Option<Spelling>,
    pub(crate) any_case: bool,
    pub(crate) refused: String,
    /// In octets, of a level.
    pub(crate) longest: Option<usize>,
    /// A mailbox is a file: it holds messages or other mailboxes.
    pub(crate) files: bool,
}

impl Naming {
    /// Why a mailbox of this name cannot be made.
    pub(crate) fn refuses(&self, name: &[u8]) -> Option<&'static str> {
        let text = name_text(name);
        if text.contains(|character| self.refused.contains(character)) {
            return Some("this name has a character that is not allowed");
        }
        let longest = self.longest.unwrap_or(usize::MAX);
        let too_long = name.split(|&byte| byte == DELIMITER).any(|level| level.len() > longest);
        too_long.then_some("this name is too long")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_the_server_likes() {
        assert_eq!(Spelling::LowerCase.spell(b"Sent/&AMQ-"), b"sent/&AOQ-");
        assert_eq!(Spelling::LowerCase.spell(b"INBOX"), b"INBOX");
        assert_eq!(Spelling::TrailingBlankCut.spell(b"a /b  "), b"a/b");
        assert_eq!(Spelling::Instead('.', '_').spell(b"v1.0"), b"v1_0");
    }

    #[test]
    fn names_are_refused_by_character_and_by_length() {
        let naming = Naming { refused: "*ö".into(), longest: Some(4), ..Naming::default() };
        assert!(naming.refuses(b"a*").is_some() && naming.refuses(b"&APY-").is_some());
        assert!(naming.refuses(b"abcd/efgh").is_none() && naming.refuses(b"abcd/efghi").is_some());
    }
}
