//! A small IMAP server over a mailbox in memory, with faults on script.
