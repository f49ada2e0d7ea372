//! Mail as files: EML, mbox, Maildir.
