//! The words of the sample mail, written for it. People and places are made up.

use super::random::Random;

/// Name as it is shown, address.
pub(super) const PEOPLE: [(&str, &str); 12] = [
    ("Mara Lindqvist", "mara@post.example"),
    ("Tom Abernathy", "tom.abernathy@works.example"),
    ("Jürgen Großmann", "juergen@werkstatt.example"),
    ("佐藤 花", "hana@kazoku.example"),
    ("Amélie Dubois", "amelie@atelier.example"),
    ("Priya Raman", "priya@raman.example"),
    ("Oleh Kovalenko", "oleh@mill.example"),
    ("The Harbour Library", "loans@library.example"),
    ("Brightwell Timber", "orders@timber.example"),
    ("Nils Aaberg", "nils@fjord.example"),
    ("Zoë van Dijk", "zoe@bakery.example"),
    ("Village Choir", "choir@village.example"),
];

/// The owner of the mailbox.
pub(super) const OWNER: (&str, &str) = ("Alice Example", "alice@post.example");

const SUBJECTS: [&str; 16] = [
    "The shed roof again",
    "Saturday's rehearsal",
    "Invoice for the oak boards",
    "Your loans are due",
    "Photos from the lake",
    "Minutes of the spring meeting",
    "Grüße aus der Werkstatt",
    "夏休みの予定",
    "Une recette pour dimanche",
    "Spare key",
    "Numbers for the third quarter",
    "Can you lend me the long ladder?",
    "Seeds, soil and a question",
    "Train times on Friday",
    "Rückfrage zum Angebot 4711",
    "A small favour",
];

const OPENINGS: [&str; 8] =
    ["Hello", "Hi", "Dear Alice", "Good morning", "Hallo", "Hej", "Bonjour", "Hello again"];

const SENTENCES: [&str; 28] = [
    "The wind took three more tiles off the shed last night, and the tarpaulin will not last the week.",
    "I measured the gap twice and got two numbers, so please bring your own tape.",
    "If the rain holds off we could start on Saturday after breakfast.",
    "The oak boards are stacked behind the mill, the longer ones at the bottom.",
    "Attached is the list as it stands; the prices on the second page are still a guess.",
    "Nobody has found the spare key, but the blue tin is empty and that is a clue.",
    "We sang the second half first and it went much better that way.",
    "Your two books about lighthouses are due on the ninth.",
    "The lake was so still that the photographs look upside down either way.",
    "Could you check the figures for August? They add up to more than there was.",
    "I have left a bag of seed potatoes on your doorstep, under the bench.",
    "The early train stops everywhere, the later one hardly at all.",
    "Please do not water the fern, whatever it looks like.",
    "My sister will bring the bread, so there is nothing left to worry about.",
    "The bell in the hall rings by itself when the heating comes on.",
    "It would be good to settle this before the frost.",
    "I am back on Thursday and can be reached in the evening.",
    "The choir needs one more tenor and a better lamp.",
    "Der neue Hobel läuft ruhig, aber die Späne fliegen bis zur Tür.",
    "Wir müssten die Maße noch einmal prüfen, die Länge stimmt nicht.",
    "Les pommes sont mûres et le four est réparé depuis hier.",
    "来週の土曜日に電車でそちらへ行きます。",
    "お土産は何がいいですか。",
    "The ladder is yours for as long as the gutters leak.",
    "I counted forty-one swallows on the wire, and then they were gone.",
    "There is a draught under the workshop door that could sail a boat.",
    "The quarter ends with a little more than it began, for once.",
    "Tell Oleh that the millstone is insured but the cat is not.",
];

const CLOSINGS: [&str; 7] =
    ["See you soon,", "Best wishes,", "Thanks,", "Until Saturday,", "Viele Grüße", "Bises,", "またね"];

/// A subject of a new thread.
pub(super) fn subject(random: &mut Random) -> String {
    (*random.one_of(&SUBJECTS)).to_owned()
}

/// A letter without its signature: lines without line ends. `plain` keeps to ASCII.
pub(super) fn letter(random: &mut Random, paragraphs: usize, plain: bool) -> Vec<String> {
    let mut pick = |choices: &[&'static str]| loop {
        let choice = *random.one_of(choices);
        if !plain || choice.is_ascii() {
            return (choice, random.below(4));
        }
    };
    let mut lines = vec![format!("{},", pick(&OPENINGS).0), String::new()];
    for _ in 0..paragraphs {
        let mut text = String::new();
        let (first, more) = pick(&SENTENCES);
        text.push_str(first);
        for _ in 0..=more {
            text.push(' ');
            text.push_str(pick(&SENTENCES).0);
        }
        lines.extend(fold(&text));
        lines.push(String::new());
    }
    lines.push(pick(&CLOSINGS).0.to_owned());
    lines
}

/// Breaks a text at blanks, into lines of some 72 characters.
pub(super) fn fold(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < 72 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
