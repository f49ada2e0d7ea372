//! What is borne from DNS, from web servers, and from whoever typed an address.

use std::time::Duration;

/// A domain name has no more (RFC 1035 §2.3.4, without the root's octet).
pub(crate) const HOST_BYTES: usize = 253;

/// An address has no more (RFC 5321 §4.5.3.1.3, without the angle brackets); nor has a user name.
pub(crate) const ADDRESS_BYTES: usize = 254;

/// SRV and MX records of one name. More would be tried by nobody.
pub(crate) const RECORDS: usize = 16;

/// One question to DNS, with its repetition.
pub(crate) const DNS_TIME: Duration = Duration::from_secs(3);

/// One file from the web, from looking up the name to the last octet.
pub(crate) const WEB_TIME: Duration = Duration::from_secs(10);

/// Redirects on the way to one file, each to HTTPS.
pub(crate) const REDIRECTS: u32 = 3;

/// An autoconfig file; the largest of the database has some 10 KiB.
pub(crate) const FILE_BYTES: u64 = 256 << 10;

/// Elements within elements; an autoconfig file has five.
pub(crate) const DEPTH: usize = 32;

/// Servers of one autoconfig file; more are passed over.
pub(crate) const SERVERS: usize = 16;

/// The text of one element: a host, a user name.
pub(crate) const TEXT_BYTES: usize = 1024;
