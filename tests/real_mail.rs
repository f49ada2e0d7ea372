//! Real and malicious mail: every file of a corpus goes onto a server and comes out as the server
//! gives it. Runs where `RESTANTE_CORPUS` names a folder of mail.

use std::fs;
use std::path::PathBuf;

use message::Flags;
use restante_tests::{USER, World, date};

#[test]
fn every_file_of_the_corpus_comes_out_as_the_server_gives_it() {
    let Some(corpus) = std::env::var_os("RESTANTE_CORPUS") else { return };
    let Some(mut world) = World::new() else { return };
    let mut folders = vec![PathBuf::from(corpus)];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the corpus can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                let bytes = fs::read(&path).expect("a file of the corpus");
                world.dovecot.deliver(USER, "INBOX", &Flags::parse("\\Seen"), &date(files), &bytes);
            }
        }
    }
    assert_eq!(world.run_now()["totals"]["archived"], files);
    world.assert_archive_equals_server();
    world.run(0, &["verify"]);
}
