//! For tests only: a Dovecot on loopback, and a seeded mailbox generator.
