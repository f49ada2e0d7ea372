//! What servers do to messages, and what no server does.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const LETTER: &str = "Received: from a by b; Mon, 1 Jan 2024 10:00:00 +0100\r\n\
From: =?utf-8?Q?J=C3=BCrgen?= <j@example.org>\r\n\
To: k@example.org\r\n\
Subject: a long subject\r\n that is folded\r\n\
Message-ID: <1@example.org>\r\n\
MIME-Version: 1.0\r\n\
Content-Type: multipart/mixed; boundary=\"b1\"\r\n\
\r\n\
This is a message in MIME format.\r\n\
--b1\r\n\
Content-Type: multipart/alternative; boundary=b2\r\n\
\r\n\
--b2\r\n\
Content-Type: text/plain; charset=iso-8859-1\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\
\r\n\
Gr=FC=DFe =\r\n\
and more\r\n\
From here on\r\n\
--b2\r\n\
Content-Type: text/html\r\n\
\r\n\
<p>hello\r\n\
--b2--\r\n\
--b1\r\n\
Content-Type: application/pdf; name=a.pdf\r\n\
Content-Transfer-Encoding: base64\r\n\
Content-ID: <c@d>\r\n\
\r\n\
AAECAwQFBgcICQoL\r\n\
DA0O\r\n\
--b1\r\n\
Content-Type: message/rfc822\r\n\
\r\n\
From: x@example.org\r\n\
Subject: inner\r\n\
\r\n\
inner body\r\n\
--b1--\r\n";

fn told(ours: impl AsRef<[u8]>, theirs: impl AsRef<[u8]>) -> String {
    likeness(ours.as_ref(), theirs.as_ref()).to_string()
}

#[test]
fn r11_what_servers_do_to_a_message_is_told_by_name() {
    let letter = |from: &str, to: &str| {
        assert!(LETTER.contains(from), "{from}");
        LETTER.replace(from, to)
    };
    for (ours, theirs, changes) in [
        (LETTER.to_owned(), LETTER.to_owned(), "nothing"),
        (LETTER.to_owned(), letter("To: k", "X-Server: 1\r\nTo: k"), "header fields added (X-Server)"),
        (
            LETTER.to_owned(),
            letter("To: k@example.org\r\n", "").replace("MIME-V", "To: k@example.org\r\nMIME-V"),
            "header fields in another order",
        ),
        (
            LETTER.to_owned(),
            letter("subject\r\n that", "subject that"),
            "header fields folded or spelled otherwise",
        ),
        (
            LETTER.to_owned(),
            letter("=?utf-8?Q?J=C3=BCrgen?=", "=?iso-8859-1?Q?J=FCrgen?="),
            "header fields encoded otherwise",
        ),
        (
            letter("=?utf-8?Q?J=C3=BCrgen?=", "Jürgen"),
            letter("=?utf-8?Q?J=C3=BCrgen?=", "JXXrgen"),
            "octets over 127 in header fields replaced",
        ),
        (LETTER.replace("\r\n", "\n"), LETTER.to_owned(), "line ends made CRLF"),
        (LETTER.to_owned(), LETTER.replace("\r\n", "\n"), "other line ends"),
        (LETTER.trim_end().to_owned(), LETTER.to_owned(), "a line end added at the end"),
        (LETTER.to_owned(), LETTER.trim_end().to_owned(), "the line end at the end left out"),
        (letter("inner body", "inner body \t"), LETTER.to_owned(), "blanks at the end of lines cut"),
        (letter("inner body", "in\0ner\0 body"), LETTER.to_owned(), "NUL bytes left out"),
        (letter("inner body", "inner\0body"), LETTER.to_owned(), "NUL bytes replaced"),
        (
            format!("From j@example.org Mon Jan  1 10:00:00 2024\r\n{LETTER}"),
            LETTER.to_owned(),
            "the `From ` line of a mailbox file left out",
        ),
        (
            LETTER.to_owned(),
            letter("\r\nFrom here", "\r\n>From here"),
            "lines that begin with `From ` quoted",
        ),
        (
            LETTER.to_owned(),
            letter(
                "base64\r\nContent-ID: <c@d>\r\n\r\nAAECAwQFBgcICQoL\r\nDA0O",
                "base64\r\nContent-ID: <c@d>\r\n\r\nAAEC\r\nAwQFBgcICQoLDA0O",
            ),
            "parts encoded otherwise for transfer",
        ),
        (
            LETTER.to_owned(),
            letter(
                "iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable",
                "utf-8\r\nContent-Transfer-Encoding: 8bit",
            )
            .replace("Gr=FC=DFe =\r\nand", "Grüße and"),
            "parts encoded otherwise for transfer, the MIME structure written anew around the same parts",
        ),
        (
            LETTER.to_owned(),
            letter("b1", "new").replace("This is a message in MIME format.\r\n", ""),
            "the MIME structure written anew around the same parts",
        ),
        (
            LETTER.replace("\r\n", "\n").replace("inner body", "inner\0 body "),
            letter("To: k", "X-B: 1\r\nX-A: 2\r\nTo: k").replace("subject\r\n that", "subject that"),
            "header fields added (X-A, X-B), header fields folded or spelled otherwise, line ends made CRLF, \
             blanks at the end of lines cut, NUL bytes left out",
        ),
    ] {
        assert_eq!(told(ours, theirs), changes);
    }
}

#[test]
fn r11_a_plain_text_may_be_encoded_for_transfer() {
    let ours = "Subject: a\r\n\r\ngrün\r\n";
    let theirs = "Subject: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
                  Content-Transfer-Encoding: quoted-printable\r\n\r\ngr=C3=BCn\r\n";
    let changes =
        "parts encoded otherwise for transfer, the MIME structure written anew around the same parts";
    assert_eq!(told(ours, theirs), changes);
    assert_eq!(likeness(ours.as_bytes(), theirs.replace("=BC", "=BD").as_bytes()), Likeness::Different);
}

#[test]
fn r11_two_copies_that_came_on_two_ways_are_two_messages() {
    let direct = LETTER;
    let sent = LETTER.replace("Received: from a by b; Mon, 1 Jan 2024 10:00:00 +0100\r\n", "");
    let list = format!(
        "Received: from list by b; Mon, 1 Jan 2024 10:00:07 +0100\r\nList-Id: <l.example.org>\r\n{direct}"
    );
    let copies = [direct, &sent, &list];
    for ours in copies {
        for theirs in copies.into_iter().filter(|theirs| *theirs != ours) {
            assert_eq!(likeness(ours.as_bytes(), theirs.as_bytes()), Likeness::Different);
        }
    }
}

#[test]
fn r11_what_is_missing_in_theirs_makes_another_message() {
    for (from, to) in [
        ("inner body", "inner bod"),
        ("AAECAwQFBgcICQoL\r\n", ""),
        ("DA0O", "DA0P"),
        ("a.pdf", "b.pdf"),
        ("<c@d>", "<c@e>"),
        ("<p>hello", "<p>hullo"),
        ("Gr=FC=DFe", "Gr=FC=FFe"),
        ("Subject: inner", "Subject: other"),
        ("text/html", "text/plain"),
        ("--b1\r\nContent-Type: message/rfc822", "Content-Type: message/rfc822"),
    ] {
        assert!(LETTER.contains(from), "{from}");
        let theirs = LETTER.replace(from, to);
        assert_eq!(likeness(LETTER.as_bytes(), theirs.as_bytes()), Likeness::Different, "{from}");
    }
    // Bytes that no character set explains are not taken for others of the kind.
    let text = |charset: &str, byte: u8| {
        let header = format!("Content-Type: text/plain; charset={charset}\r\n\r\n");
        [header.as_bytes(), &[byte][..], b"\r\n"].concat()
    };
    assert_eq!(likeness(&text("us-ascii", 0xe9), &text("utf-8", 0xe8)), Likeness::Different);
    // Text behind the end of base64 is ours, too.
    let signed = "Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n== signature ==\r\n";
    let theirs = "Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n";
    assert_eq!(likeness(signed.as_bytes(), theirs.as_bytes()), Likeness::Different);
}

#[test]
fn r11_names_of_fields_cannot_forge_a_report() {
    let added: String = (0..9).map(|number| format!("X-{number}{}: 1\r\n", "y".repeat(100))).collect();
    let shown = told(LETTER, format!("X\u{202e}: 1\r\n{added}{LETTER}"));
    assert_eq!(shown, "everything", "a line that is no field is nothing that servers add");
    let shown = told(LETTER, format!("{added}{LETTER}"));
    assert!(shown.ends_with(" and 4 more)") && shown.len() < 400, "{shown}");
}

#[test]
fn r11_large_and_deep_messages_cost_no_more_than_their_size() {
    let boundaries =
        |line: &str| format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", line.repeat(200_000));
    let (ours, theirs) = (boundaries("--b\r\n"), boundaries("--b \r\n"));
    assert_ne!(likeness(theirs.as_bytes(), ours.as_bytes()), Likeness::Exact);
    let nested = |mark: &str| {
        let mut message = format!("{}\r\n", mark.repeat(1_000));
        for level in 0..40 {
            let kind = format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n");
            message = format!("{kind}--b{level}\r\n{message}\r\n--b{level}--\r\n");
        }
        message
    };
    assert_eq!(likeness(nested("a").as_bytes(), nested("b").as_bytes()), Likeness::Different);
    let fields = |end: &str| format!("{}\r\n", format!("X: y{end}").repeat(100_000));
    assert_eq!(told(fields("\n"), fields("\r\n")), "line ends made CRLF");
}

/// Real mail below the folder that `RESTANTE_CORPUS` names; none without it.
fn real_mail() -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut folders: Vec<std::path::PathBuf> =
        std::env::var_os("RESTANTE_CORPUS").map(Into::into).into_iter().collect();
    let mut mail = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                mail.push((path, bytes));
            }
        }
    }
    mail.sort();
    mail
}

#[test]
fn r11_real_mail_is_known_again_when_it_is_treated_and_never_taken_for_other_mail() {
    let mut mail = real_mail();
    for (path, ours) in &mail {
        let mut theirs: Vec<u8> = b"X-Added: by the server\r\n".to_vec();
        for line in text::Lines(ours) {
            theirs.extend_from_slice(line.text);
            theirs.extend_from_slice(b"\r\n");
        }
        // Where the first line is none of a header, the field changes what it is.
        if ours.first().is_some_and(u8::is_ascii_graphic) {
            let found = likeness(ours, &theirs);
            assert!(matches!(found, Likeness::ButFor(_)), "{}: {found}", path.display());
        }
    }
    let is_one_letter = |path: &std::path::Path| path.extension().is_some_and(|end| end == "eml");
    mail.retain(|(path, _)| is_one_letter(path));
    for two in mail.windows(2) {
        let (ours, theirs) = (&two[0], &two[1]);
        let found = likeness(&ours.1, &theirs.1);
        let names = (ours.0.display(), theirs.0.display());
        // Collections have one letter in several spellings.
        let fields = |mail: &[u8]| message::fields::Fields::parse(mail);
        let is_one_letter = fields(&ours.1) == fields(&theirs.1);
        let is_found_one = matches!(found, Likeness::ButFor(_));
        assert!(is_one_letter || !is_found_one, "{} and {}: {found}", names.0, names.1);
    }
}

/// Things that servers do, as they do them.
type Treatment = fn(&str) -> String;

const TREATMENTS: [(&str, Treatment); 7] = [
    ("header fields added", |mail| format!("X-Added: by the server\r\n{mail}")),
    ("line ends", |mail| mail.replace("\r\n", "\n")),
    ("blanks", |mail| {
        mail.lines().map(|line| format!("{}\r\n", line.trim_end_matches([' ', '\t']))).collect()
    }),
    ("folded", |mail| mail.replace("\r\n that", " that").replace("\n that", " that")),
    ("NUL", |mail| mail.replace('\0', "")),
    ("anew", |mail| mail.replace("\n--b1", "\n--other").replace("\"b1\"", "other")),
    ("left out", |mail| mail.trim_end().to_owned()),
];

/// A letter with some text that all of these change.
fn arbitrary_letter() -> impl Strategy<Value = String> {
    let line =
        prop_oneof!["[ -~]{0,60}", "\\PC{0,20}", Just("with NUL\0".to_owned()), Just("blanks  ".to_owned())];
    prop::collection::vec(line, 1..6).prop_map(|lines| {
        // A boundary within the text is another text.
        let lines: Vec<String> = lines.into_iter().map(|line| format!("x{line}y\0z ")).collect();
        LETTER.replace("inner body", &lines.join("\r\n"))
    })
}

proptest! {
    #[test]
    fn r11_whatever_servers_do_together_is_recognised(
        letter in arbitrary_letter(),
        treatments in prop::collection::vec(select(TREATMENTS.to_vec()), 1..4),
    ) {
        let mut theirs = letter.clone();
        for (_, treat) in &treatments {
            theirs = treat(&theirs);
        }
        let likeness = likeness(letter.as_bytes(), theirs.as_bytes());
        prop_assert!(matches!(likeness, Likeness::ButFor(_) | Likeness::Exact), "{theirs}");
        for (name, treat) in &treatments {
            let changes = treat(&letter) != letter;
            let is_told = likeness.to_string().contains(name);
            // Line ends that another treatment has made CRLF again are not told, nor are those behind
            // the last part of a structure that is written anew.
            let may_be_silent = ["line ends", "left out"].contains(name);
            prop_assert!(!changes || is_told || may_be_silent, "{name} is not in: {likeness}");
        }
    }

    #[test]
    fn r11_a_letter_with_another_digit_in_it_is_another(
        letter in arbitrary_letter(),
        treatments in prop::collection::vec(select(TREATMENTS.to_vec()), 0..3),
        place in any::<prop::sample::Index>(),
    ) {
        // A boundary is not content, nor is the version of MIME.
        let is_content = |&at: &usize| {
            if !letter.as_bytes()[at].is_ascii_digit() {
                return false;
            }
            let before = &letter[letter.floor_char_boundary(at.saturating_sub(12))..at];
            !before.ends_with('b') && !before.contains("oundary") && !before.contains("ersion")
        };
        let letters: Vec<usize> = (0..letter.len()).filter(is_content).collect();
        let at = letters[place.index(letters.len())];
        let mut theirs = letter.clone();
        theirs.replace_range(at..=at, if &letter[at..=at] == "7" { "3" } else { "7" });
        for (_, treat) in &treatments {
            theirs = treat(&theirs);
        }
        prop_assert_eq!(likeness(letter.as_bytes(), theirs.as_bytes()), Likeness::Different, "{}", theirs);
    }

    #[test]
    fn r11_no_bytes_make_it_panic(
        ours in prop::collection::vec(any::<u8>(), 0..200),
        theirs in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        likeness(&ours, &theirs);
        let mut letter = LETTER.as_bytes().to_vec();
        let at = at.index(letter.len());
        letter.splice(at..(at + 3).min(letter.len()), junk);
        likeness(LETTER.as_bytes(), &letter);
        likeness(&letter, LETTER.as_bytes());
        prop_assert_eq!(likeness(&letter, &letter), Likeness::Exact);
    }
}
