//! GETQUOTA and GETQUOTAROOT (RFC 9208): one root for all of a user's mail, without a name.

use crate::arguments::Arguments;

use super::{Done, Session, Stop};

impl Session {
    pub(super) fn get_quota(&mut self, arguments: &mut Arguments) -> Done {
        self.needs("QUOTA")?;
        let user = self.user()?;
        arguments.space()?;
        let root = arguments.string()?;
        arguments.end()?;
        match self.quota_line(&user)? {
            Some(line) if root.is_empty() => self.say(&line),
            _ => return Err(Stop::No("[NONEXISTENT] no such quota root".to_owned())),
        }
        Ok("GETQUOTA done".to_owned())
    }

    pub(super) fn get_quota_root(&mut self, arguments: &mut Arguments) -> Done {
        self.needs("QUOTA")?;
        let user = self.user()?;
        arguments.space()?;
        let wire = arguments.string()?;
        arguments.end()?;
        let name = self.mailbox_name(&wire)?;
        self.shared.store.look(|state| state.mailbox(&user, &name).map(drop))?;
        let quota = self.quota_line(&user)?;
        let out = &mut self.wire.out;
        out.extend_from_slice(b"* QUOTAROOT ");
        crate::names::write_string(out, &wire, self.utf8);
        out.extend_from_slice(if quota.is_some() { b" \"\"\r\n" } else { b"\r\n" });
        if let Some(line) = quota {
            self.say(&line);
        }
        Ok("GETQUOTAROOT done".to_owned())
    }

    /// STORAGE counts units of 1024 octets (RFC 9208 §5.1).
    fn quota_line(&self, user: &str) -> Result<Option<String>, Stop> {
        let (used, quota) = self.shared.store.look(|state| -> Result<_, Stop> {
            let user = state.user(user)?;
            Ok((user.octets(), user.quota))
        })?;
        Ok(quota.map(|quota| format!("* QUOTA \"\" (STORAGE {} {})", used.div_ceil(1024), quota / 1024)))
    }
}
