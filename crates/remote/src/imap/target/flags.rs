//! Flags on their way to a server: which can be sent, which it keeps, and setting them (RFC 9051
//! §2.3.2, §6.4.6).
//!
//! An archive holds flags as some server once sent them. What is no atom cannot be sent to another:
//! it would end the command, or begin another one. `\Recent` is nobody's to set.

use message::{Flags, UidSet};

use super::Target;
use crate::error::Error;
use crate::imap::command::Command;
use crate::imap::rows::cut;

/// The flags that a mailbox keeps (PERMANENTFLAGS, RFC 9051 §7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermanentFlags {
    /// As the server spells them, without `\*`.
    pub flags: Vec<String>,
    /// New keywords can be made (`\*`).
    pub any_keyword: bool,
}

impl PermanentFlags {
    pub(super) fn new(mut flags: Vec<String>) -> Self {
        let named = flags.len();
        flags.retain(|flag| flag != "\\*");
        Self { any_keyword: flags.len() < named, flags }
    }

    /// Whether this flag is kept, as far as the server says.
    #[must_use]
    pub fn keeps(&self, flag: &str) -> bool {
        let is_keyword = !flag.starts_with('\\');
        (is_keyword && self.any_keyword) || self.flags.iter().any(|kept| kept.eq_ignore_ascii_case(flag))
    }
}

/// What of these flags goes over the wire, and which ones cannot be written there: they are no atoms.
/// [`Target::append`] and [`Target::store_flags`] leave the latter out without a word.
#[must_use]
pub fn sendable_flags(flags: &Flags) -> (Flags, Vec<String>) {
    let (sent, left_out): (Vec<&str>, Vec<&str>) = flags.iter().partition(|flag| is_flag(flag));
    (sent.into_iter().collect(), left_out.into_iter().map(str::to_owned).collect())
}

/// An atom, or one behind a backslash; not `\Recent`.
fn is_flag(flag: &str) -> bool {
    let atom = flag.strip_prefix('\\').unwrap_or(flag);
    let is_atom = !atom.is_empty() && atom.bytes().all(is_atom_octet);
    is_atom && !flag.eq_ignore_ascii_case("\\Recent")
}

/// ATOM-CHAR of RFC 9051 §9.
fn is_atom_octet(octet: u8) -> bool {
    matches!(octet, b'!'..=b'~') && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

impl Target {
    /// Gives these messages of the selected mailbox these flags, and no others.
    ///
    /// # Errors
    /// `Refused` when the server refuses it for any of them; for others it may be done by then.
    pub async fn store_flags(&mut self, uids: &UidSet, flags: &Flags) -> Result<(), Error> {
        let (flags, _) = sendable_flags(flags);
        let limits = &self.session.limits;
        for set in cut(uids, limits.set_text, limits.rows_per_command) {
            let command = Command::new("UID STORE").uids(&set).text(&format!(" FLAGS.SILENT ({flags})"));
            self.session.run(command, &mut |_| {}).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r04_a_mailbox_keeps_what_it_says_it_keeps() {
        let named = ["\\Seen", "$Forwarded"].map(str::to_owned).to_vec();
        let few = PermanentFlags::new(named.clone());
        assert!(few.keeps("\\SEEN") && few.keeps("$forwarded"));
        assert!(!few.keeps("\\Deleted") && !few.keeps("Work"));
        let any = PermanentFlags::new([named, vec!["\\*".to_owned()]].concat());
        assert!(any.keeps("Work") && !any.keeps("\\Deleted"));
    }

    #[test]
    fn r04_what_is_no_flag_on_the_wire_is_not_sent() {
        let odd = [
            "\\", "a b", "a)", "(", "x{3}", "50%", "\\*", "*", "q\"", "a\\b", "[x]", "é", "a\r\nb", "\u{7f}",
        ];
        let good = ["\\Seen", "$NotJunk", "[x", "a}b", "\\Important", "NonJunk"];
        let (sent, left_out) = sendable_flags(&odd.iter().chain(&good).collect());
        assert_eq!(sent, good.iter().collect());
        assert_eq!(left_out.len(), odd.len(), "{left_out:?}");
    }
}
