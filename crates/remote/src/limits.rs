//! Every bound that protects this crate against a server, in one table.
//!
//! A server may be broken, hostile, or not a mail server at all. Whatever it sends is held against
//! these bounds before memory is taken for it; what passes them ends the connection with an error
//! that names the bound. The defaults suit a backup of any mailbox that we know of; tests make them
//! small to try each one.

use std::time::Duration;

use crate::net::throttle::Throttle;

/// Bounds of one connection. `Limits::default()` is right outside tests.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Resolving, TCP and TLS together; over all addresses of the host.
    pub connect: Duration,
    /// From the open connection to the greeting. Long: some servers look up the client's name first.
    pub greeting: Duration,
    /// Without one octet while an answer is due, or while the server takes nothing of what is sent. Long: opening a large mailbox, or waking one from
    /// slow storage, takes minutes on some servers, and few send "still here".
    pub progress: Duration,
    /// While nothing but news is waited for: the server is asked for a word so often (RFC 2177 says 29
    /// minutes at most). Shorter, because routers forget silent connections, many after ten minutes, and
    /// so long a connection may be dead without our knowing.
    pub idle: Duration,
    /// How fast octets may come. By default as fast as they do.
    pub throttle: Throttle,
    /// For the farewell. Short: nothing depends on it.
    pub logout: Duration,
    /// A single response must come at least this fast on average once `progress` has passed; a
    /// server that sends an octet a minute would else hold a run for ever. What is sent has to be taken
    /// as fast. Octets a second.
    pub slowest: u32,
    /// An answer to messages that were sent may come later than `progress` by the time that they take
    /// at this pace, for they may still lie in buffers on their way. Octets a second.
    pub slow_line: u32,
    /// The most octets that may lie in such buffers: what systems grow theirs to.
    pub buffered: u64,
    /// Octets in a response that are not in literals. ESEARCH and VANISHED put a whole mailbox's
    /// UIDs in one line: 4 MiB hold half a million scattered ones.
    pub line: usize,
    /// Octets of the first line that a server sends. Longer is not a greeting.
    pub greeting_line: usize,
    /// Octets in one literal, and in all literals of one response. Larger messages are asked for
    /// in slices, so a larger literal was not asked for.
    pub literal: u64,
    /// Literals in one response; we never ask for more than one body in a FETCH.
    pub literals: usize,
    /// Untagged responses while a command is answered, and lines of a listing of POP3. Bounds time, not memory, for each is used
    /// up as it comes: a mailbox of five million messages may answer one command with as many.
    pub responses: u64,
    /// Octets of answers between two completions, without the bodies that were asked for.
    pub answer: u64,
    /// Bodies that nobody asked for (or that name no UID) before the server is given up.
    pub unasked: u64,
    /// Mailboxes in a listing.
    pub mailboxes: usize,
    /// Attributes of one mailbox; more are left out. The RFCs know some twenty in all, and each costs
    /// us many times what it costs a server that lists thousands.
    pub attributes: usize,
    /// Flags of one message; more are left out. Mailboxes with hundreds of keywords exist.
    pub flags: usize,
    /// Flag changes that one EXAMINE with QRESYNC may bring; more, and all are listed afresh.
    pub changes: usize,
    /// Commands under way at once. Four hide the round trip; servers refuse many more.
    pub commands_in_flight: usize,
    /// Length of a set of UIDs in a command line. RFC 7162 §4 asks for lines of 8,192 at most; old
    /// servers take 1,000 (RFC 2683 §3.2.1.5).
    pub set_text: usize,
    /// Messages whose bodies one command asks for: what one refusal can take with it.
    pub bodies_per_command: u64,
    /// Messages whose flags, dates, sizes one command asks for.
    pub rows_per_command: u64,
    /// Single messages refused in a row, before the server is believed to refuse the command.
    pub refusals_in_a_row: u32,
    /// POP3: words that CAPA may list. Some twenty are known.
    pub capabilities: usize,
    /// POP3: commands under way at once, where the server takes several. All of them fit into the
    /// smallest buffers that systems have, so that writing them never waits for the server to read. 1: as if the server
    /// did not offer it.
    pub pipelined: usize,
    /// POP3: told octets of the messages that are asked for at once: enough to hide the round trip on a
    /// fast line, and what a torn connection can cost.
    pub octets_under_way: u64,
    /// POP3: octets of a message that are gathered before it is handed on in slices; no longer message
    /// is ever in memory as a whole.
    pub whole: usize,
    /// POP3: octets of such a slice.
    pub slice: usize,
    /// POP3: octets of one message, where an endless one is given up. Providers take 50 MB or 150 MB.
    pub message: u64,
    /// POP3: octets of a header that is asked for by itself. Servers of incoming mail refuse longer
    /// ones long before.
    pub header: usize,
    /// POP3: told octets on their way that are read and dropped when nobody wants them any more; for
    /// more, a new connection is cheaper.
    pub drained: u64,
    /// Compress to loopback addresses too, where it only costs time. For tests.
    pub compress_loopback: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(60),
            greeting: Duration::from_secs(60),
            progress: Duration::from_secs(180),
            idle: Duration::from_secs(9 * 60),
            throttle: Throttle::default(),
            logout: Duration::from_secs(5),
            slowest: 64,
            slow_line: 16 << 10,
            buffered: 8 << 20,
            line: 4 << 20,
            greeting_line: 8 << 10,
            literal: 24 << 20,
            literals: 64,
            responses: 20_000_000,
            answer: 1 << 30,
            unasked: 10_000,
            mailboxes: 200_000,
            attributes: 64,
            flags: 1_000,
            changes: 1_000_000,
            commands_in_flight: 4,
            set_text: 1_000,
            bodies_per_command: 500,
            rows_per_command: 5_000,
            refusals_in_a_row: 32,
            capabilities: 500,
            pipelined: 100,
            octets_under_way: 4 << 20,
            whole: 16 << 20,
            slice: 4 << 20,
            message: 1 << 30,
            header: 1 << 20,
            drained: 256 << 10,
            compress_loopback: false,
        }
    }
}
