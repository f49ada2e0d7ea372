//! The worked example of docs/archive-format.md, written again and compared.

use std::fmt::Write as _;

use super::*;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/archive-format.md");

fn example_pack() -> Vec<u8> {
    let world = World::new();
    let mut writer = world.writer();
    let account = writer.account("a", "imap").unwrap();
    let run = writer.begin_run(account, 1_795_000_000_000).unwrap();
    let inbox = MailboxSeen { attributes: Vec::new(), ..seen("INBOX") };
    let mailbox = writer.mailbox(account, &inbox).unwrap();
    let epoch = writer.epoch(mailbox, UidValidity::new(7)).unwrap();
    let message = put(&mut writer, b"Subject: hi\r\n\r\nHello\r\n").unwrap();
    let internal_date = InternalDate::parse("01-Jan-2026 00:00:00 +0000");
    let placement = NewPlacement { message, internal_date, flags: flags("\\Seen"), proof: Proof::Bytes };
    writer.place(epoch, uid(5), placement).unwrap();
    writer.mark(epoch, &Mark { uid_next: Some(uid(6)), highest_modseq: None, messages: 1 }).unwrap();
    writer.end_run(run, "ok", 1_795_000_000_000, "{}").unwrap();
    writer.commit().unwrap();
    drop(writer);
    let packs = world.packs();
    assert_eq!(packs, [Path::new("/archive/packs/00000001-1313131313131313.pack")]);
    world.disk.read(&packs[0])
}

fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let plain: String = line
            .iter()
            .map(|&byte| if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' })
            .collect();
        writeln!(text, "{:04x}  {:47}  {plain}", number * 16, hex.join(" ")).unwrap();
    }
    text
}

#[test]
fn the_worked_example_of_the_format_document_is_what_is_written() {
    let document = std::fs::read_to_string(DOCUMENT).unwrap();
    let (_, rest) = document.split_once("<!-- example: begin -->\n```text\n").unwrap();
    let (shown, _) = rest.split_once("```\n<!-- example: end -->").unwrap();
    let written = dump(&example_pack());
    assert!(shown == written, "docs/archive-format.md should show:\n{written}");
}
