//! What kinds of Dovecot there are to choose from.

use crate::certificates::Identity;

/// What kind of Dovecot; see [`Dovecot::start`](super::Dovecot::start).
#[derive(Debug, Clone)]
pub struct Options {
    pub(super) separator: char,
    pub(super) prefix: String,
    pub(super) identity: Option<Identity>,
    pub(super) mailboxes: Vec<(String, String)>,
    pub(super) mbox: bool,
    pub(super) quota_bytes: Option<u64>,
    pub(super) uidl_format: Option<String>,
    pub(super) pop3_lock: bool,
    pub(super) extra: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            separator: '/',
            prefix: String::new(),
            identity: None,
            mailboxes: Vec::new(),
            mbox: false,
            quota_bytes: None,
            uidl_format: None,
            pop3_lock: false,
            extra: Vec::new(),
        }
    }
}

impl Options {
    /// The hierarchy delimiter that clients see; `/` otherwise.
    #[must_use]
    pub fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// The prefix of the personal namespace, such as `INBOX.`; none otherwise.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// The certificate shown; a good one of its own otherwise.
    #[must_use]
    pub fn identity(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    /// A folder that every user has from the start, with a special use such as `\Sent`; its name is
    /// ASCII.
    #[must_use]
    pub fn special_folder(mut self, name: &str, special_use: &str) -> Self {
        self.mailboxes.push((name.to_owned(), special_use.to_owned()));
        self
    }

    /// The special folders as a server in a German office calls them.
    #[must_use]
    pub fn german_special_folders(self) -> Self {
        self.special_folder("Gesendet", "\\Sent")
            .special_folder("Papierkorb", "\\Trash")
            .special_folder("Entwurf", "\\Drafts")
            .special_folder("Spamverdacht", "\\Junk")
            .special_folder("Ablage", "\\Archive")
    }

    /// Mail in mbox files: what holds messages has no folders below it. Nothing can be delivered
    /// behind the server's back then.
    #[must_use]
    pub fn mbox(mut self) -> Self {
        self.mbox = true;
        self
    }

    /// What each user may store, in octets; as much as there is room for otherwise. See
    /// [`Dovecot::set_quota`](super::Dovecot::set_quota).
    #[must_use]
    pub fn quota(mut self, bytes: u64) -> Self {
        self.quota_bytes = Some(bytes);
        self
    }

    /// What a POP3 unique-id is made of, as Dovecot writes it: `%08Xu%08Xv` otherwise, UID and
    /// UIDVALIDITY. See [`Dovecot::set_uidl_format`](super::Dovecot::set_uidl_format).
    #[must_use]
    pub fn uidl_format(mut self, format: &str) -> Self {
        self.uidl_format = Some(format.to_owned());
        self
    }

    /// Only one POP3 session of a user at a time: a second one is refused.
    #[must_use]
    pub fn pop3_lock_session(mut self) -> Self {
        self.pop3_lock = true;
        self
    }

    /// Keywords longer than this are refused; Dovecot's own limit is 50.
    #[must_use]
    pub fn longest_keyword(self, octets: u32) -> Self {
        self.extra(&format!("mail_max_keyword_length = {octets}"))
    }

    /// Lines for the configuration, after all others.
    #[must_use]
    pub fn extra(mut self, lines: &str) -> Self {
        self.extra.push(lines.to_owned());
        self
    }
}
