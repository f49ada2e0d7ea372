//! Whose the files are that an account is written to.
//!
//! The configuration keeps its owner and mode. A password file must belong to whoever reads it, for
//! restante refuses one that others can read: where root adds an account for the service, that is the
//! service's user, and not root.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The user as whom the units run.
pub(super) const SERVICE: &str = "restante";

/// No user database of a machine with files is larger.
const MAX_PASSWD_BYTES: u64 = 4 << 20;

/// A user and a group, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// What is known when files are to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// Who we are.
    pub(super) me: Owner,
    /// Whose the configuration is, where there is one.
    pub(super) configuration: Option<Owner>,
    /// The service's user, where there is one.
    pub(super) service: Option<Owner>,
    /// The configuration is the system's, which the units read.
    pub(super) is_system: bool,
}

/// Owners and mode of what is written; `None`: ours, as files are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Plan {
    /// Of a configuration that is made anew; one that is there keeps what it has.
    pub(super) new_configuration: Option<(Owner, u32)>,
    pub(super) password: Option<Owner>,
    /// The password is the service's: commands are best run as its user.
    pub(super) for_service: bool,
}

/// Decides it.
pub(super) fn plan(known: Known) -> Plan {
    if known.me.user != 0 {
        return Plan::default();
    }
    let service = known.service.filter(|service| {
        known.is_system || known.configuration.is_some_and(|owner| owner.group == service.group)
    });
    let new_configuration = match (known.configuration, service) {
        // As the packages install it: root's to change, the service's to read.
        (None, Some(service)) => Some((Owner { user: 0, group: service.group }, 0o640)),
        _ => None,
    };
    let password = match (known.configuration, service) {
        (Some(owner), _) if owner.user != 0 => Some(owner),
        (_, service) => service,
    };
    Plan { new_configuration, password, for_service: password.is_some() && password == known.service }
}

/// The service's user in the system's user database.
pub(super) fn service() -> Option<Owner> {
    read(Path::new("/etc/passwd")).ok().and_then(|users| find(&users, SERVICE))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_PASSWD_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// A user in the lines of passwd(5).
fn find(users: &str, name: &str) -> Option<Owner> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let (user, group) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Owner { user, group })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Owner = Owner { user: 0, group: 0 };
    const ANNA: Owner = Owner { user: 1000, group: 1000 };
    const SERVICE_USER: Owner = Owner { user: 990, group: 985 };
    const PACKAGED: Owner = Owner { user: 0, group: 985 };

    fn known(me: Owner, configuration: Option<Owner>, is_system: bool) -> Known {
        Known { me, configuration, service: Some(SERVICE_USER), is_system }
    }

    #[test]
    fn s03_a_password_that_root_adds_for_the_service_is_the_service_s_alone() {
        let packaged = plan(known(ROOT, Some(PACKAGED), true));
        assert_eq!(packaged.password, Some(SERVICE_USER));
        assert_eq!(packaged.new_configuration, None);
        assert!(packaged.for_service);
        let fresh = plan(known(ROOT, None, true));
        assert_eq!(fresh.new_configuration, Some((PACKAGED, 0o640)));
        assert_eq!(fresh.password, Some(SERVICE_USER));
        let elsewhere = plan(known(ROOT, Some(PACKAGED), false));
        assert_eq!(elsewhere.password, Some(SERVICE_USER), "the group tells whose it is");
    }

    #[test]
    fn what_is_a_person_s_stays_that_person_s() {
        assert_eq!(plan(known(ANNA, Some(ANNA), false)), Plan::default());
        assert_eq!(plan(known(ANNA, None, false)), Plan::default());
        assert_eq!(plan(known(ROOT, Some(ROOT), false)), Plan::default());
        assert_eq!(plan(known(ROOT, None, false)), Plan::default());
        let of_anna = plan(known(ROOT, Some(ANNA), false));
        assert_eq!((of_anna.password, of_anna.for_service), (Some(ANNA), false));
        let alone = Known { service: None, ..known(ROOT, Some(ROOT), true) };
        assert_eq!(plan(alone), Plan::default());
    }

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\nrestante2:x:5:5::/:/bin/sh\nbad\nrestante:x:990:985::/v:/n\n";
        assert_eq!(find(users, "restante"), Some(SERVICE_USER));
        assert_eq!(find(users, "rest"), None);
        assert_eq!(find("restante:x:many:985::/:/\n", "restante"), None);
    }
}
