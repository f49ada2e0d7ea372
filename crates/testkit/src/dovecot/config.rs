//! The configuration of a private Dovecot 2.3.

use std::path::Path;

use super::{Options, Owner, PASSWORD};

pub(super) fn text(folder: &Path, plain: u16, encrypted: u16, owner: Owner, options: &Options) -> String {
    let dir = folder.display();
    let Owner { uid, gid, .. } = owner;
    let Options { separator, prefix, extra, .. } = options;
    let extra = extra.join("\n");
    let unprivileged = if owner.is_root { String::new() } else { for_ordinary_user(uid, gid) };
    format!(
        r#"
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:%h/Maildir
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
mail_fsync = never
mail_max_userip_connections = 200
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
}}
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={dir}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {encrypted}
    ssl = yes
  }}
  process_min_avail = 1
  service_count = 0
}}
service imap {{
  process_limit = 256
}}
{unprivileged}
{extra}
"#
    )
}

/// Who is not root can neither change user nor chroot, so no service may ask for it.
fn for_ordinary_user(uid: u32, gid: u32) -> String {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let name = |table: &str, number: u32| {
        let line = table.lines().find(|line| line.split(':').nth(2) == Some(&number.to_string()));
        line.and_then(|line| line.split(':').next()).map_or(number.to_string(), str::to_owned)
    };
    let (user, group) = (name(&accounts, uid), name(&groups, gid));
    format!(
        r"
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
service stats {{
  chroot =
}}
"
    )
}
