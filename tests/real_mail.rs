//! Real and malicious mail: every file of a corpus goes onto a server and comes out as the server
//! gives it. Runs where `RESTANTE_CORPUS` names a folder of mail.

use message::Flags;
use restante_tests::{USER, World, corpus, date};

#[test]
fn every_file_of_the_corpus_comes_out_as_the_server_gives_it() {
    let Some(corpus) = corpus() else { return };
    let Some(mut world) = World::new() else { return };
    for (number, bytes) in (0..).zip(&corpus) {
        world.dovecot.deliver(USER, "INBOX", &Flags::parse("\\Seen"), &date(number), bytes);
    }
    assert_eq!(world.run_now()["totals"]["archived"], corpus.len());
    world.assert_archive_equals_server();
    world.run(0, &["verify"]);
}
