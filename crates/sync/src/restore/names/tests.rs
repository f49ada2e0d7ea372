//! Landings on servers of many kinds, and the law that they are the same when it is all done again.

use message::NameEncoding;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A server, as far as names go.
#[derive(Clone, Debug)]
struct Server {
    home: Home,
    tells_namespace: bool,
    encoding: NameEncoding,
    ignores_case: bool,
    /// Takes USE.
    gives_use: bool,
    /// Marks mailboxes of these names by itself, as Dovecot's configuration does.
    marks_by_name: bool,
    /// Refuses names with these characters.
    refuses: &'static str,
    /// Levels above a new mailbox become mailboxes too.
    makes_parents: bool,
    mailboxes: Vec<Listed>,
}

impl Server {
    fn new(prefix: &str, delimiter: char) -> Self {
        let delimiter = Some(delimiter as u8);
        let mut server = Self {
            home: Home { prefix: prefix.into(), delimiter },
            tells_namespace: true,
            encoding: NameEncoding::ModifiedUtf7,
            ignores_case: false,
            gives_use: true,
            marks_by_name: false,
            refuses: "",
            makes_parents: true,
            mailboxes: Vec::new(),
        };
        server.add("INBOX", &[]);
        server
    }

    /// With a mailbox; its name is written as people read it.
    fn with(mut self, name: &str, attributes: &[&str]) -> Self {
        self.add(name, attributes);
        self
    }

    fn add(&mut self, name: &str, attributes: &[&str]) {
        let name =
            MailboxName::new(spelling::encoded(name, self.encoding), self.encoding, self.home.delimiter);
        let mut attributes: Vec<String> = attributes.iter().map(|&attribute| attribute.to_owned()).collect();
        if self.marks_by_name && attributes.is_empty() {
            let known = [("Sent", "\\Sent"), ("Sent Items", "\\Sent"), ("Trash", "\\Trash"), ("a", "\\Junk")];
            attributes
                .extend(known.iter().find(|known| known.0 == name.text()).map(|known| known.1.to_owned()));
        }
        let special_use =
            attributes.iter().find(|attribute| Role::of_attribute(attribute).is_some()).cloned();
        let selectable = !attributes.iter().any(|attribute| attribute == "\\Noselect");
        self.mailboxes.push(Listed {
            name,
            attributes,
            special_use,
            selectable,
            subscribed: false,
            status: None,
            outside: false,
        });
    }

    fn position(&self, name: &MailboxName) -> Option<usize> {
        let key = |name: &MailboxName| match self.ignores_case {
            true => name.text().to_lowercase().into_bytes(),
            false => name.identity().into_owned(),
        };
        self.mailboxes.iter().position(|mailbox| key(&mailbox.name) == key(name))
    }

    /// CREATE; false: refused. A name that is there already is what was asked for.
    fn create(&mut self, name: &MailboxName, special_use: Option<&str>) -> bool {
        if let Some(place) = self.position(name).filter(|&place| !self.mailboxes[place].selectable) {
            self.mailboxes.remove(place);
        }
        if self.position(name).is_some() {
            return true;
        }
        let text = name.text();
        let components = name.components();
        let own_inbox =
            components.len() > 1 && components[0] != "INBOX" && components[0].eq_ignore_ascii_case("INBOX");
        if text.contains(|character| self.refuses.contains(character))
            || components.contains(&String::new())
            || own_inbox
        {
            return false;
        }
        let delimiter =
            self.home.delimiter.map(|delimiter| char::from(delimiter).to_string()).unwrap_or_default();
        for depth in 1..components.len() {
            let parent = MailboxName::from_text(&components[..depth].join(&delimiter), self.home.delimiter);
            if self.position(&parent).is_none() {
                let attributes: &[&str] = if self.makes_parents { &[] } else { &["\\Noselect"] };
                self.add(&parent.text(), attributes);
            }
        }
        let attributes: Vec<&str> = special_use.filter(|_| self.gives_use).into_iter().collect();
        self.add(&text, &attributes);
        true
    }

    fn world(&self, prefix: Option<&str>) -> TargetWorld {
        TargetWorld {
            listed: self.mailboxes.clone(),
            namespace: self.tells_namespace.then(|| self.home.clone()),
            prefix: prefix.map(str::to_owned),
        }
    }

    /// Makes all mailboxes as the engine does, at most `most`. The names that the folders got.
    fn restore(&mut self, sources: &[SourceFolder], prefix: Option<&str>, most: usize) -> Restored {
        let mut landings = Landings::plan(sources.to_vec(), &self.world(prefix));
        let before = self.mailboxes.len();
        let mut asked = 0;
        let depth = |source: &usize| sources[*source].name.components().len();
        let mut open = std::collections::VecDeque::from(landings.creation_order());
        while let Some(first) = open.front() {
            let level = depth(first);
            let mut made = Vec::new();
            while let Some(source) = open.pop_front_if(|source| depth(source) == level) {
                while let Some(landing) =
                    landings.of(source).landing().filter(|landing| !landing.exists).cloned()
                {
                    if asked >= most {
                        return Restored { landings, made: self.mailboxes.len().saturating_sub(before) };
                    }
                    if self.create(&landing.name, landing.special_use) {
                        asked += 1;
                        made.push(source);
                        break;
                    }
                    if !landings.refused(source, "Invalid mailbox name") {
                        break;
                    }
                }
            }
            for source in made {
                if landings.listed_again(source, &self.mailboxes) == Seen::Anothers {
                    open.push_front(source);
                }
            }
        }
        Restored { landings, made: self.mailboxes.len().saturating_sub(before) }
    }
}

struct Restored {
    landings: Landings,
    made: usize,
}

impl Restored {
    /// The mailbox of each folder that has one.
    fn names(&self) -> Vec<Option<String>> {
        let destinations = self.landings.destinations.iter();
        destinations.map(|destination| destination.landing().map(|landing| landing.name.text())).collect()
    }
}

/// Folders of a server that divides levels by this character; `name \Use` has a use.
fn folders(delimiter: char, names: &[&str]) -> Vec<SourceFolder> {
    let folder = |name: &&str| {
        let (name, attribute) = name.split_once(" \\").map_or((*name, None), |(name, it)| (name, Some(it)));
        SourceFolder {
            name: MailboxName::from_text(name, Some(delimiter as u8)),
            special_use: attribute.map(|it| format!("\\{it}")).filter(|it| it != "\\Noselect"),
            selectable: attribute != Some("Noselect"),
        }
    };
    names.iter().map(folder).collect()
}

/// Where the folders land, as the target spells it.
fn landed(sources: &[SourceFolder], server: &Server, prefix: Option<&str>) -> Vec<String> {
    let landings = Landings::plan(sources.to_vec(), &server.world(prefix));
    landings
        .destinations
        .iter()
        .map(|destination| match destination {
            Destination::Whole(landing) => landing.name.text(),
            Destination::Rest { landing, .. } => format!("rest: {}", landing.name.text()),
            Destination::Nothing => "nothing".to_owned(),
        })
        .collect()
}

#[test]
fn r01_names_are_translated_level_by_level_between_servers_of_all_kinds() {
    let slashes = folders('/', &["INBOX", "Work/2024", "v1.2", "a\\b"]);
    let dots = folders('.', &["INBOX", "INBOX.Work.2024", "INBOX.a/b"]);
    for (sources, server, landings) in [
        (&slashes, Server::new("", '/'), &["INBOX", "Work/2024", "v1.2", "a\\b"][..]),
        (&slashes, Server::new("INBOX.", '.'), &["INBOX", "INBOX.Work.2024", "INBOX.v1_2", "INBOX.a\\b"]),
        (&slashes, Server::new("Mail/", '/'), &["INBOX", "Mail/Work/2024", "Mail/v1.2", "Mail/a\\b"]),
        (&slashes, Server::new("", '\\'), &["INBOX", "Work\\2024", "v1.2", "a_b"]),
        (&dots, Server::new("", '/'), &["INBOX", "Work/2024", "a_b"]),
        (&dots, Server::new("", '.'), &["INBOX", "Work.2024", "a/b"]),
        (&dots, Server::new("INBOX.", '.'), &["INBOX", "INBOX.Work.2024", "INBOX.a/b"]),
    ] {
        assert_eq!(landed(sources, &server, None), landings, "{:?}", server.home);
    }
}

#[test]
fn r01_without_namespace_the_list_tells_where_folders_go() {
    let sources = folders('/', &["INBOX", "Work"]);
    let mut server = Server::new("INBOX.", '.').with("INBOX.Sent", &[]);
    server.tells_namespace = false;
    assert_eq!(landed(&sources, &server, None), ["INBOX", "INBOX.Work"]);
    let server = server.with("Elsewhere", &[]);
    assert_eq!(landed(&sources, &server, None), ["INBOX", "Work"]);
}

#[test]
fn r01_a_server_without_levels_gets_them_joined() {
    let sources = folders('/', &["INBOX", "Work", "Work/2024", "INBOX/kept"]);
    let mut server = Server::new("", '/');
    server.home.delimiter = None;
    server.mailboxes.clear();
    server.add("INBOX", &[]);
    assert_eq!(landed(&sources, &server, None), ["INBOX", "Work", "Work-2024", "INBOX-kept"]);
    let landings = Landings::plan(sources, &server.world(None));
    let notices = &landings.of(2).landing().unwrap().notices;
    assert_eq!(notices, &["named `Work-2024`: the target has no levels there"]);
}

#[test]
fn r01_folders_below_the_inbox_stay_below_it() {
    let sources = folders('/', &["INBOX", "INBOX/kept", "inbox/kept/old", "Work"]);
    let expected = ["INBOX", "INBOX/kept", "INBOX/kept/old", "Work"];
    assert_eq!(landed(&sources, &Server::new("", '/'), None), expected);
    let expected = ["INBOX", "INBOX.kept", "INBOX.kept.old", "INBOX.Work"];
    assert_eq!(landed(&sources, &Server::new("INBOX.", '.'), None), expected);
    // All of them are there, and the target has them there too: it is a server of the same kind.
    let sources = folders('/', &["INBOX", "INBOX/kept"]);
    let server = Server::new("", '/').with("INBOX/kept", &[]);
    assert_eq!(landed(&sources, &server, None), ["INBOX", "INBOX/kept"]);
}

#[test]
fn r01_what_a_level_cannot_hold_is_replaced_and_told() {
    let sources = folders('/', &["v1.2", "100%", " x", "a\u{7}", "INBOX"]);
    let landings = Landings::plan(sources, &Server::new("", '.').world(None));
    let told = |source: usize| landings.of(source).landing().unwrap().notices.clone();
    assert_eq!(told(0), ["named `v1_2`: `.` divides the levels of names on the target"]);
    assert_eq!(told(1), ["named `100_`: `%` and `*` are wildcards"]);
    assert_eq!(told(2), ["named `_x`: a level cannot begin or end with a blank, or be dots only"]);
    assert_eq!(told(3), ["named `a_`: names cannot hold control characters"]);
    assert!(told(4).is_empty());
}

#[test]
fn r01_a_name_that_is_there_is_taken_even_if_it_could_not_be_made() {
    let sources = folders('/', &["100%", " x"]);
    let server = Server::new("", '/').with("100%", &[]);
    assert_eq!(landed(&sources, &server, None), ["100%", "_x"]);
    // Also one whose bytes are not text.
    let raw = MailboxName::new(&b"Entw\xfcrfe"[..], NameEncoding::ModifiedUtf7, Some(b'/'));
    let broken = [SourceFolder { name: raw.clone(), special_use: None, selectable: true }];
    let mut server = Server::new("", '/');
    let landings = Landings::plan(broken.to_vec(), &server.world(None));
    let landing = landings.of(0).landing().unwrap();
    assert_eq!(landing.name.text(), "Entw_rfe");
    assert_eq!(
        landing.notices,
        ["named `Entw_rfe`: the name is not text in the encoding of the server it comes from"]
    );
    server.add("x", &[]);
    server.mailboxes[1].name = raw.clone();
    let landings = Landings::plan(broken.to_vec(), &server.world(None));
    assert_eq!(landings.of(0).landing().unwrap().name.raw(), raw.raw());
}

#[test]
fn r01_names_are_written_as_the_session_wants_them() {
    let sources = folders('/', &["Entwürfe/2024"]);
    let mut server = Server::new("", '/');
    let landings = Landings::plan(sources.clone(), &server.world(None));
    assert_eq!(landings.of(0).landing().unwrap().name.raw(), b"Entw&APw-rfe/2024");
    server.encoding = NameEncoding::Utf8;
    server.mailboxes.clear();
    server.add("INBOX", &[]);
    let landings = Landings::plan(sources, &server.world(None));
    assert_eq!(landings.of(0).landing().unwrap().name.raw(), "Entwürfe/2024".as_bytes());
}

#[test]
fn r01_a_prefix_takes_everything_and_gives_nothing_to_special_folders() {
    let sources = folders('/', &["INBOX", "INBOX/a", "Sent \\Sent", "All \\All"]);
    let expected = ["Old/x/INBOX", "Old/x/INBOX/a", "Old/x/Sent", "rest: Old/x/Archive"];
    let server = Server::new("", '/').with("Gesendet", &["\\Sent"]);
    assert_eq!(landed(&sources, &server, Some("Old/x/")), expected);
    let server = Server::new("INBOX.", '.').with("INBOX.Gesendet", &["\\Sent"]);
    let expected = ["INBOX.Old.INBOX", "INBOX.Old.INBOX.a", "INBOX.Old.Sent", "rest: INBOX.Old.Archive"];
    for prefix in ["Old", "INBOX.Old", "INBOX/Old"] {
        assert_eq!(landed(&sources, &server, Some(prefix)), expected, "{prefix}");
    }
    let expected = ["INBOX/Old/INBOX", "INBOX/Old/INBOX/a", "INBOX/Old/Sent", "rest: INBOX/Old/Archive"];
    assert_eq!(landed(&sources, &Server::new("", '/'), Some("INBOX/Old")), expected);
    let landings = Landings::plan(sources, &server.world(Some("Old")));
    assert!(landings.destinations.iter().all(|it| it.landing().unwrap().special_use.is_none()));
}

#[test]
fn r02_sent_mail_goes_to_the_targets_sent_whatever_it_is_called() {
    let target = |name: &str, attributes: &[&str]| Server::new("", '/').with(name, attributes);
    for (source, server, landing) in [
        ("Gesendet \\Sent", target("Sent Items", &["\\Sent"]), "Sent Items"),
        ("Gesendete Elemente", target("Sent Items", &["\\Sent"]), "Sent Items"),
        ("Gesendet \\Sent", target("Отправленные", &[]), "Отправленные"),
        ("Éléments envoyés", target("Sent", &[]), "Sent"),
        ("Gesendet \\Sent", target("Trash", &["\\Trash"]), "Gesendet"),
        ("post \\Sent", target("Sent", &[]), "Sent"),
        ("Drafts", target("Sent", &["\\Drafts"]), "Sent"),
        ("Junk-E-Mail", target("INBOX/Spam", &["\\Junk"]), "INBOX/Spam"),
    ] {
        assert_eq!(landed(&folders('/', &[source]), &server, None), [landing], "{source}");
    }
}

#[test]
fn r02_a_role_goes_to_one_folder_and_the_others_keep_their_names() {
    let sources = folders('/', &["Sent Items", "Sent", "Gesendet", "Sent/2019"]);
    let server = Server::new("", '/').with("Verzonden", &["\\Sent"]);
    assert_eq!(landed(&sources, &server, None), ["Sent Items", "Verzonden", "Gesendet", "Verzonden/2019"]);
    // A folder that asks for the name has the better claim.
    let server = Server::new("", '/').with("Sent Items", &["\\Sent"]);
    assert_eq!(landed(&sources, &server, None), ["Sent Items", "Sent", "Gesendet", "Sent/2019"]);
}

#[test]
fn r02_a_role_that_the_target_does_not_know_is_made_with_its_use() {
    let sources = folders('/', &["Gesendet \\Sent", "Papierkorb", "Work"]);
    let landings = Landings::plan(sources, &Server::new("", '/').world(None));
    let uses: Vec<_> = (0..3).map(|source| landings.of(source).landing().unwrap().special_use).collect();
    assert_eq!(uses, [Some("\\Sent"), Some("\\Trash"), None]);
}

#[test]
fn r02_what_is_told_says_where_a_special_folder_went() {
    let server = Server::new("", '/').with("Sent", &["\\Sent"]).with("Papierkorb", &[]);
    let landings =
        Landings::plan(folders('/', &["Gesendet \\Sent", "Gesendet/2019", "Trash"]), &server.world(None));
    let told = |source: usize| landings.of(source).landing().unwrap().notices.join(", ");
    assert_eq!(told(0), "goes to `Sent`, which is \\Sent on the target");
    assert_eq!(told(1), "named `Sent/2019`: it follows the folder above it");
    assert_eq!(told(2), "goes to `Papierkorb`, which by its name is \\Trash on the target");
}

#[test]
fn r02_gmails_own_level_stays_with_gmail() {
    let sources = folders(
        '/',
        &["INBOX", "[Gmail] \\Noselect", "[Gmail]/Sent Mail \\Sent", "[Gmail]/Chats", "Chats", "Work"],
    );
    let server = Server::new("INBOX.", '.').with("INBOX.Sent", &["\\Sent"]);
    let expected = ["INBOX", "nothing", "INBOX.Sent", "INBOX.Chats-2", "INBOX.Chats", "INBOX.Work"];
    assert_eq!(landed(&sources, &server, None), expected);
    let gmail = Server::new("", '/')
        .with("[Gmail]", &["\\Noselect"])
        .with("[Gmail]/Gesendet", &["\\Sent"])
        .with("[Gmail]/Chats", &[]);
    let expected = ["INBOX", "nothing", "[Gmail]/Gesendet", "[Gmail]/Chats", "Chats", "Work"];
    assert_eq!(landed(&sources, &gmail, None), expected);
}

#[test]
fn r15_what_is_called_like_gmails_views_is_a_folder_like_any_other_where_no_server_said_otherwise() {
    let names = ["INBOX", "[Gmail]/All Mail", "[Gmail]/Starred", "[Gmail]/Sent Mail", "Work"];
    let sources = folders('/', &names);
    assert_eq!(landed(&sources, &Server::new("", '/'), None), names);
    let below =
        ["INBOX", "INBOX.[Gmail].All Mail", "INBOX.[Gmail].Starred", "INBOX.[Gmail].Sent Mail", "INBOX.Work"];
    assert_eq!(landed(&sources, &Server::new("INBOX.", '.'), None), below);
}

#[test]
fn r15_nothing_is_sent_to_a_view_and_what_lies_only_in_one_goes_to_the_archive() {
    let sources = folders(
        '/',
        &[
            "INBOX",
            "[Gmail]/All Mail \\All",
            "[Gmail]/Starred \\Flagged",
            "[Gmail]/Wichtig",
            "Work",
            "Starred",
        ],
    );
    let server = Server::new("", '/').with("Everything", &["\\All"]).with("Archiv", &["\\Archive"]);
    let expected = ["INBOX", "rest: Archiv", "rest: Starred-2", "rest: Wichtig", "Work", "Starred"];
    assert_eq!(landed(&sources, &server, None), expected);
    let landings = Landings::plan(sources.clone(), &server.world(None));
    let beside = |source: usize| match landings.of(source) {
        Destination::Rest { beside, .. } => beside.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(beside(1), [0, 4, 5]);
    assert_eq!(beside(2), [0, 1, 4, 5]);
    assert_eq!(beside(3), [0, 1, 2, 4, 5]);
    // Who has an archive already keeps the two apart.
    let with_archive = folders('/', &["Archive", "[Gmail]/All Mail \\All"]);
    assert_eq!(landed(&with_archive, &server, None), ["Archiv", "rest: All Mail"]);
}

#[test]
fn r15_a_folder_that_is_called_like_a_view_of_the_target_lands_beside_it() {
    let sources = folders('/', &["Important", "Important/a"]);
    let server = Server::new("", '/').with("Important", &["\\Important"]);
    assert_eq!(landed(&sources, &server, None), ["Important-2", "Important-2/a"]);
}

#[test]
fn r03_a_refused_name_gets_a_substitute_and_what_lies_below_follows() {
    let sources = folders('/', &["Q: and A", "Q: and A/old", "Work"]);
    let mut server = Server::new("", '/');
    server.refuses = ":";
    let first = server.restore(&sources, None, usize::MAX);
    let names = ["Q_ and A", "Q_ and A/old", "Work"].map(|name| Some(name.to_owned()));
    assert_eq!(first.names(), names);
    assert_eq!(
        first.landings.of(0).landing().unwrap().notices,
        ["the server refused the name `Q: and A` (Invalid mailbox name); named `Q_ and A` instead"]
    );
    let second = server.restore(&sources, None, usize::MAX);
    assert_eq!((second.names(), second.made), (names.to_vec(), 0));
}

#[test]
fn r03_a_server_that_refuses_everything_outside_the_inbox_is_found_out() {
    let sources = folders('/', &["INBOX", "Work", "Work/2024"]);
    let mut server = Server::new("", '.');
    server.tells_namespace = false;
    let mut landings = Landings::plan(sources.clone(), &server.world(None));
    assert!(landings.refused(1, "Invalid mailbox name."));
    let names =
        |landings: &Landings| [0, 1, 2].map(|source| landings.of(source).landing().unwrap().name.text());
    assert_eq!(names(&landings), ["INBOX", "INBOX.Work", "INBOX.Work.2024"]);
    let server = server.with("INBOX.Work", &[]).with("INBOX.Work.2024", &[]);
    assert_eq!(names(&Landings::plan(sources, &server.world(None))), names(&landings));
}

#[test]
fn r03_there_is_an_end_to_what_is_tried() {
    let mut landings = Landings::plan(folders('/', &["a:b/c", "d"]), &Server::new("", '/').world(None));
    let mut tried = HashSet::new();
    while landings.refused(0, "\u{1b}[2J no") {
        assert!(tried.insert(landings.of(0).landing().unwrap().name.text()));
        assert!(landings.of(0).landing().unwrap().notices.iter().all(|notice| !notice.contains('\u{1b}')));
    }
    assert!((3..=6).contains(&tried.len()), "{tried:?}");
    assert!(tried.contains("a_b-c"), "levels are given up when a mailbox cannot hold others: {tried:?}");
    assert!(!landings.refused(0, "no"));
}

#[test]
fn r03_a_server_that_ignores_case_keeps_folders_apart() {
    let sources = folders('/', &["Work", "work", "work/a"]);
    let mut server = Server::new("", '/');
    let apart = ["Work", "work", "work/a"].map(|name| Some(name.to_owned()));
    assert_eq!(server.clone().restore(&sources, None, usize::MAX).names(), apart);
    server.ignores_case = true;
    let first = server.restore(&sources, None, usize::MAX);
    assert_eq!(first.names(), ["Work", "work-2", "work-2/a"].map(|name| Some(name.to_owned())));
    assert_eq!(server.restore(&sources, None, usize::MAX).names(), first.names());
}

#[test]
fn r03_a_name_that_the_server_spells_otherwise_is_found() {
    let server = Server::new("", '/');
    let mut landings = Landings::plan(folders('/', &["Q: A", "Gone"]), &server.world(None));
    let listed = server.with("Q_ a", &[]).with("Other", &[]).mailboxes;
    assert_eq!(landings.listed_again(0, &listed), Seen::There);
    let landing = landings.of(0).landing().unwrap();
    assert_eq!((landing.name.text().as_str(), landing.exists), ("Q_ a", true));
    assert_eq!(landing.notices, ["the server spells the name `Q_ a`"]);
    assert_eq!(landings.listed_again(1, &listed), Seen::Hidden);
}

#[test]
fn r03_a_level_of_the_target_that_is_no_mailbox_is_made_one() {
    let server = Server::new("", '/').with("Work", &["\\Noselect"]);
    let mut landings = Landings::plan(folders('/', &["Work"]), &server.world(None));
    assert!(!landings.of(0).landing().unwrap().exists);
    assert!(landings.refused(0, "exists"));
    assert_eq!(landings.of(0).landing().unwrap().name.text(), "Work-2");
}

#[test]
fn r01_thousands_of_names_that_become_one_stay_apart() {
    let names: Vec<String> = (0..16_384u32)
        .map(|number| (0..14).map(|bit| if number >> bit & 1 == 0 { '%' } else { '*' }).collect())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let landed: HashSet<String> =
        landed(&folders('/', &names), &Server::new("", '/'), None).into_iter().collect();
    assert_eq!(landed.len(), 16_384);
}

const LEVELS: [&str; 26] = [
    "INBOX",
    "Inbox",
    "Sent",
    "sent",
    "Gesendet",
    "Sent Items",
    "Trash",
    "a",
    "A",
    "b",
    "a.b",
    "a/b",
    "a-b",
    "",
    " x",
    "x%",
    "x_",
    "Archive",
    "Important",
    "[Gmail]",
    "All Mail",
    "Sent!",
    "Sent-2",
    "é",
    "e\u{301}",
    "a-2",
];

fn arbitrary_levels() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(select(&LEVELS[..]), 1..=3)
}

fn arbitrary_use() -> impl Strategy<Value = Option<&'static str>> {
    let uses = ["\\Sent", "\\Trash", "\\Junk", "\\Archive", "\\All", "\\Flagged"];
    prop::option::weighted(0.3, select(uses.to_vec()))
}

fn arbitrary_sources() -> impl Strategy<Value = Vec<SourceFolder>> {
    let folder = (arbitrary_levels(), arbitrary_use(), prop::bool::weighted(0.9));
    let delimiter = select(&[Some('/'), Some('.'), None][..]);
    (prop::collection::vec(folder, 0..10), delimiter, any::<bool>()).prop_map(
        |(folders, delimiter, below)| {
            let mut sources: Vec<SourceFolder> = Vec::new();
            for (mut levels, special_use, selectable) in folders {
                let joint = delimiter.map_or_else(|| "-".to_owned(), String::from);
                if below {
                    levels.insert(0, "INBOX");
                }
                let name = MailboxName::from_text(&levels.join(&joint), delimiter.map(|it| it as u8));
                if sources.iter().all(|source| source.name != name) {
                    sources.push(SourceFolder {
                        name,
                        special_use: special_use.map(str::to_owned),
                        selectable,
                    });
                }
            }
            sources
        },
    )
}

fn arbitrary_server() -> impl Strategy<Value = Server> {
    let homes = [("", '/'), ("", '.'), ("INBOX.", '.'), ("INBOX/", '/'), ("", '-')];
    let there = prop::collection::vec((arbitrary_levels(), arbitrary_use()), 0..5);
    let ways = (any::<[bool; 5]>(), select(&["", ":!", "!%é", "/"][..]));
    (select(homes.to_vec()), ways, there).prop_map(|((prefix, delimiter), (ways, refuses), there)| {
        let mut server = Server::new(prefix, delimiter);
        [
            server.tells_namespace,
            server.ignores_case,
            server.gives_use,
            server.marks_by_name,
            server.makes_parents,
        ] = ways;
        server.refuses = if refuses.contains(delimiter) { "" } else { refuses };
        if delimiter == '-' {
            server.home.delimiter = None;
            server.mailboxes.clear();
            server.add("INBOX", &[]);
        }
        for (levels, special_use) in there {
            let joint = server.home.delimiter.map_or_else(|| "-".to_owned(), |it| char::from(it).to_string());
            let name = format!("{prefix}{}", levels.join(&joint));
            let name = MailboxName::from_text(&name, server.home.delimiter);
            if !name.is_inbox() && server.position(&name).is_none() {
                server.create(&name, special_use);
            }
        }
        server
    })
}

proptest! {
    #[test]
    fn r01_no_two_folders_land_in_one_mailbox_and_doing_it_again_makes_nothing(
        sources in arbitrary_sources(),
        server in arbitrary_server(),
        prefix in prop::option::weighted(0.2, select(&["Old", "INBOX", "INBOX/b", "a/b"][..])),
        cut in 0usize..8,
    ) {
        let mut whole = server.clone();
        let first = whole.restore(&sources, prefix, usize::MAX);
        let mut seen = HashSet::new();
        for (source, name) in first.names().into_iter().enumerate() {
            prop_assert_eq!(name.is_some(), sources[source].selectable || sources[source].name.is_inbox());
            let Some(landing) = first.landings.of(source).landing() else { continue };
            let place = whole.position(&landing.name);
            if landing.exists {
                let place = place.expect("it was said to exist");
                prop_assert!(whole.mailboxes[place].selectable && !target::is_view(&whole.mailboxes[place]));
                prop_assert!(seen.insert(place), "{:?} is another folder's", landing.name);
            } else {
                // Every name was refused: none is as good as another.
                prop_assert!(first.landings.refusals.contains_key(&source));
            }
        }
        let again = whole.restore(&sources, prefix, usize::MAX);
        prop_assert_eq!(again.names(), first.names());
        prop_assert_eq!(again.made, 0);

        let mut killed = server;
        killed.restore(&sources, prefix, cut);
        prop_assert_eq!(killed.restore(&sources, prefix, usize::MAX).names(), first.names());
    }
}
