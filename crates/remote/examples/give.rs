//! How fast can mail be added? Appends every file of a folder to INBOX and waits for the answers.
//!
//! The password comes from standard input, so that it stands in no process list:
//!
//! ```text
//! echo secret | cargo run --release -p restante-remote --example give -- \
//!     HOST PORT USER DIR [MEBIBYTES [IN_FLIGHT]] [starttls|implicit] [wait] [CA.pem]
//! ```
//!
//! It is also the shortest story of a restore: connect, append in batches, hear what became of them.

use std::path::{Path, PathBuf};
use std::time::Instant;

use message::{Flags, InternalDate, MailboxName};
use restante_remote::imap::{AppendStyle, Appended, Outgoing, Target};
use restante_remote::{Credentials, Endpoint, Internet, Limits, Security};

#[expect(clippy::print_stdout, reason = "this is a program")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, user, dir, rest @ ..] = arguments.as_slice() else {
        return Err(
            "usage: give HOST PORT USER DIR [MEBIBYTES [IN_FLIGHT]] [starttls|implicit] [wait] [CA.pem]"
                .into(),
        );
    };
    let has = |word: &str| rest.iter().any(|argument| argument == word);
    let mut numbers = rest.iter().filter_map(|argument| argument.parse::<usize>().ok());
    let batch_octets = numbers.next().unwrap_or(4) << 20;
    let mut limits = Limits::default();
    limits.commands_in_flight = numbers.next().unwrap_or(limits.commands_in_flight);
    let security = match (has("implicit"), has("starttls")) {
        (true, _) => Security::Implicit,
        (_, true) => Security::StartTls,
        _ => Security::Plain,
    };
    let ca = rest.iter().find(|argument| argument.ends_with(".pem"));
    let endpoint = Endpoint {
        host: host.clone(),
        port: port.parse()?,
        security,
        extra_authorities: ca.map(std::fs::read).transpose()?.unwrap_or_default(),
        extra_authorities_from: ca.cloned().unwrap_or_default(),
    };
    let password = std::io::read_to_string(std::io::stdin())?;
    let password = password.trim_end_matches('\n').to_owned().into();
    let credentials = Credentials { user: user.clone(), password };
    let style = AppendStyle { synchronising: has("wait") };

    let files = files(Path::new(dir))?;
    let mut target = Target::connect(&Internet, &endpoint, &credentials, &limits).await?;
    let inbox = MailboxName::from_text("INBOX", None);
    let start = Instant::now();
    let (mut batch, mut octets, mut total, mut refused) = (Vec::new(), 0, 0, 0);
    for (number, file) in files.iter().enumerate() {
        let bytes = std::fs::read(file)?;
        octets += bytes.len();
        total += bytes.len();
        batch.push(Outgoing {
            flags: Flags::parse("\\Seen"),
            date: Some(InternalDate::from_unix(1_704_103_200, 0)),
            bytes: bytes.into(),
        });
        let full = octets >= batch_octets || batch.len() == target.most_per_append();
        if full || number + 1 == files.len() {
            target.append(&inbox, &batch, style).await?;
            batch.clear();
            octets = 0;
        }
    }
    while target.appends_in_flight() > 0 {
        if let (_, Appended::Refused { refusal, .. }) = target.appended().await? {
            refused += 1;
            println!("refused: {refusal}");
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let traffic = target.session().traffic();
    target.logout().await;
    println!(
        "{seconds:.2} s {} messages, {total} octets of mail; {} octets sent, {refused} appends refused",
        files.len(),
        traffic.sent
    );
    Ok(())
}

/// Every file below a folder, in the order of names.
fn files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { files.extend(self::files(&path)?) } else { files.push(path) }
    }
    files.sort();
    Ok(files)
}
