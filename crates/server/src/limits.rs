//! All bounds against what a client may send, in one place.

/// One command without its literals: room for a set of some 100,000 scattered UIDs.
pub(crate) const COMMAND_TEXT: usize = 1 << 20;

/// The same before login, where nothing longer than a name and a password is to be said.
pub(crate) const COMMAND_TEXT_BEFORE_LOGIN: usize = 16 << 10;

/// A literal that is not a message: mailbox names, user names, passwords.
pub(crate) const SMALL_LITERAL: u64 = 64 << 10;

/// A message given by APPEND; more than any mail provider takes.
pub(crate) const MESSAGE: u64 = 256 << 20;

/// All literals of one command together, for APPEND of many messages.
pub(crate) const COMMAND_LITERALS: u64 = 512 << 20;

/// A literal up to this length gets its memory when it is announced; a longer one as it comes, so
/// that announcing costs nothing.
pub(crate) const READ_IN_PLACE: usize = 4 << 20;

/// Literals in one command.
pub(crate) const LITERALS: usize = 4096;

/// A tag; programs use some ten octets.
pub(crate) const TAG: usize = 100;

/// What is said while a session idles: DONE, and nothing else.
pub(crate) const IDLE_LINE: usize = 100;

/// Octets that one read may add to the buffer, also where they come out of a deflated stream.
pub(crate) const READ: usize = 64 << 10;

/// Octets of an answer that are gathered before they are sent.
pub(crate) const WRITE: usize = 128 << 10;

/// A pattern of LIST: matching costs its length times the length of each name.
pub(crate) const PATTERN: usize = 2048;

/// A mailbox name; RFC 9051 sets no limit, file systems have less.
pub(crate) const NAME: usize = 8 << 10;

/// Keywords on one message.
pub(crate) const FLAGS: usize = 500;

/// Lines that the log of commands keeps; later ones are counted only.
pub(crate) const LOG_LINES: usize = 100_000;

/// Octets that a line of the log keeps.
pub(crate) const LOG_LINE: usize = 1000;
