//! Numbers that an IMAP server gives to messages (RFC 9051 §2.3.1, RFC 7162).

use std::fmt;
use std::num::NonZeroU32;

/// A message's UID in a mailbox. It means nothing without the mailbox's [`UidValidity`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(NonZeroU32);

/// The generation of a mailbox's UIDs: when it changes, every UID known before is void
/// (RFC 9051 §2.3.1.1). A server that sends 0 or none has no validity at all, so this is never 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UidValidity(NonZeroU32);

macro_rules! nonzero_number {
    ($name:ident) => {
        impl $name {
            /// `None` for 0, which no server may send.
            #[must_use]
            pub const fn new(number: u32) -> Option<Self> {
                match NonZeroU32::new(number) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// The number as it goes over the wire.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

nonzero_number!(Uid);
nonzero_number!(UidValidity);

impl Uid {
    /// The first UID a mailbox can have.
    pub const MIN: Self = Self(NonZeroU32::MIN);
    /// The last UID a mailbox can have.
    pub const MAX: Self = Self(NonZeroU32::MAX);
}

/// A modification sequence (RFC 7162 §3.1): grows with each change to a mailbox's flags.
/// 0 is kept out by whoever reads it from a server, where it means "not supported".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModSeq(pub u64);
