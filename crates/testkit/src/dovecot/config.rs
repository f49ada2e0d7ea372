//! The configuration of a private Dovecot 2.3.

use std::path::Path;

use super::{Options, Owner, PASSWORD, Ports};

pub(super) fn text(
    folder: &Path,
    ports: Ports,
    speaks_pop3: bool,
    owner: Owner,
    options: &Options,
) -> String {
    let dir = folder.display();
    let Owner { uid, gid, .. } = owner;
    let Options { separator, prefix, extra, .. } = options;
    let extra = extra.join("\n");
    let location = if options.mbox { "mbox:%h/mbox:INBOX=%h/inbox" } else { "maildir:%h/Maildir" };
    let mailboxes: String = options.mailboxes.iter().map(|(name, use_)| special_folder(name, use_)).collect();
    let [imap, imaps] = [ports.imap, ports.imaps].map(|address| address.port());
    let protocols = if speaks_pop3 { "imap pop3" } else { "imap" };
    let pop3 = if speaks_pop3 { pop3(folder, ports, options) } else { String::new() };
    let quota = options.quota_bytes.map_or_else(String::new, quota);
    let unprivileged = if owner.is_root { String::new() } else { for_ordinary_user(uid, gid, speaks_pop3) };
    format!(
        r#"
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
protocols = {protocols}
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = {location}
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
mail_fsync = never
mail_max_userip_connections = 200
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
{mailboxes}}}
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
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
  process_min_avail = 1
  service_count = 0
}}
service imap {{
  process_limit = 256
}}
{pop3}
{unprivileged}
{quota}
{extra}
"#
    )
}

fn special_folder(name: &str, special_use: &str) -> String {
    format!("  mailbox \"{name}\" {{\n    special_use = {special_use}\n    auto = subscribe\n  }}\n")
}

/// The INBOX over POP3. What clients send after their login is written down.
fn pop3(folder: &Path, ports: Ports, options: &Options) -> String {
    let dir = folder.display();
    let [pop3, pop3s] = [ports.pop3, ports.pop3s].map(|address| address.port());
    let format = options.uidl_format.as_deref().unwrap_or("%08Xu%08Xv");
    let lock = if options.pop3_lock { "yes" } else { "no" };
    format!(
        r"
protocol pop3 {{
  pop3_uidl_format = {format}
  pop3_lock_session = {lock}
  rawlog_dir = {dir}/sessions
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
  service_count = 0
}}
"
    )
}

/// Counted by the index, so that it is exact at once; told to clients.
fn quota(bytes: u64) -> String {
    format!(
        r"
mail_plugins = quota
protocol imap {{
  mail_plugins = quota imap_quota
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:bytes={bytes}
  quota_grace = 0
}}
"
    )
}

/// Who is not root can neither change user nor chroot, so no service may ask for it.
fn for_ordinary_user(uid: u32, gid: u32, speaks_pop3: bool) -> String {
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let name = |table: &str, number: u32| {
        let line = table.lines().find(|line| line.split(':').nth(2) == Some(&number.to_string()));
        line.and_then(|line| line.split(':').next()).map_or(number.to_string(), str::to_owned)
    };
    let (user, group) = (name(&accounts, uid), name(&groups, gid));
    let pop3_login = if speaks_pop3 { "service pop3-login {\n  chroot =\n}\n" } else { "" };
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
{pop3_login}"
    )
}
