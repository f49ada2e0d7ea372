//! A password that the configuration does not know (yet): from a file, from a program, or asked for.
//!
//! Files and programs are treated as those of the configuration: a file that others can read is
//! refused, a program gets no shell, no terminal and a small environment. `--password-command` is one
//! string and is divided into words here; quotes group, and nothing else that a shell knows has a
//! meaning, so what stands in it cannot become another command.

use std::io::{self, IsTerminal};
use std::path::Path;

use secrecy::SecretString;

use super::prompt;
use crate::config::{PasswordSource, password};
use crate::exit::{Exit, Failure};
use crate::output::screen::Screen;

/// The source that the command line names, if it names one.
///
/// # Errors
/// When the password command is none.
pub(super) fn named(file: Option<&Path>, command: Option<&str>) -> Result<Option<PasswordSource>, Failure> {
    let Some(command) = command else { return Ok(file.map(|path| PasswordSource::File(path.to_owned()))) };
    match words(command) {
        Some(argv) if argv.first().is_some_and(|program| !program.is_empty()) => {
            Ok(Some(PasswordSource::Command(argv)))
        }
        Some(_) => Err(Failure::words(Exit::Usage, "--password-command names no program")),
        None => Err(Failure::words(Exit::Usage, "--password-command: a quote is not closed")
            .help("it is divided at blanks; '…', \"…\" and \\ group, and no shell reads it")),
    }
}

/// Asks the person at the terminal; `whose` is a user, or a user on a host.
///
/// # Errors
/// When nobody is there to be asked, or no password is given.
pub(super) fn asked(screen: &Screen, whose: &str) -> Result<SecretString, Failure> {
    let terminal = io::stdin();
    if !terminal.is_terminal() {
        return Err(Failure::words(Exit::Usage, format!("there is no password for {whose}")).help(
            "give --password-file FILE or --password-command COMMAND; or run it on a terminal, to be asked",
        ));
    }
    let question = message::escape::escape(&format!("Password of {whose}: ")).into_owned();
    let typed = prompt::ask(&terminal, &mut |text| screen.print(text), &question)
        .map_err(|error| Failure::words(Exit::Failed, format!("cannot ask for the password: {error}")))?;
    let Some(typed) = typed else { return Err(Failure::words(Exit::Failed, "interrupted")) };
    password(&typed, "the password that was typed").map_err(|error| Failure::new(Exit::Usage, error))
}

/// A command's words: divided at blanks; `'…'` takes everything as it is, in `"…"` and outside of
/// quotes a backslash takes the next character as it is. `None` where a quote is not closed.
fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = command.chars();
    while let Some(letter) = letters.next() {
        if letter.is_ascii_whitespace() {
            words.extend(word.take());
            continue;
        }
        // An empty pair of quotes is a word as well.
        let word = word.get_or_insert_default();
        match letter {
            '\'' | '"' => loop {
                match letters.next()? {
                    end if end == letter => break,
                    '\\' if letter == '"' => word.push(letters.next()?),
                    inside => word.push(inside),
                }
            },
            '\\' => word.push(letters.next()?),
            plain => word.push(plain),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_divided_at_blanks_and_quotes_group() {
        let table: [(&str, &[&str]); 9] = [
            ("pass mail/work", &["pass", "mail/work"]),
            ("  pass\tmail/work \n", &["pass", "mail/work"]),
            ("cat 'my secret' \"the \\\"other\\\"\"", &["cat", "my secret", "the \"other\""]),
            (r"cat my\ secret a\\b", &["cat", "my secret", r"a\b"]),
            (r"x 'a\b'", &["x", r"a\b"]),
            ("x '' a\"b c\"d", &["x", "", "ab cd"]),
            ("x # $HOME `id` $(id) a|b ; *", &["x", "#", "$HOME", "`id`", "$(id)", "a|b", ";", "*"]),
            ("größe 'ä b'", &["größe", "ä b"]),
            ("", &[]),
        ];
        for (command, expected) in table {
            assert_eq!(words(command).unwrap_or_default(), expected, "{command}");
        }
        for open in ["a 'b", "a \"b", "a \"b\\", "a\\"] {
            assert_eq!(words(open), None, "{open}");
        }
    }

    #[test]
    fn a_command_that_names_no_program_is_a_usage_error() {
        for command in ["", "   ", "''", "'' x", "pass 'x"] {
            let failure = named(None, Some(command)).map(drop).map_err(|failure| failure.exit);
            assert_eq!(failure, Err(Exit::Usage), "{command:?}");
        }
        assert!(
            matches!(named(None, Some("pass x")), Ok(Some(PasswordSource::Command(argv))) if argv == ["pass", "x"])
        );
        assert!(matches!(named(Some(Path::new("f")), None), Ok(Some(PasswordSource::File(_)))));
        assert!(matches!(named(None, None), Ok(None)));
    }
}
