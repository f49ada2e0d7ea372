//! The person at the terminal, if there is one: who answers what the command line leaves open.

use std::io::{self, IsTerminal};

use message::escape::escape;

use crate::commands::{Context, prompt};
use crate::exit::{Exit, Failure};

/// Somebody who can be asked, or nobody.
pub(super) struct Person<'c> {
    context: &'c Context,
    is_there: bool,
    agrees: bool,
}

impl<'c> Person<'c> {
    /// Whoever sits at standard input; `agrees`: to everything, unasked.
    pub(super) fn new(context: &'c Context, agrees: bool) -> Self {
        Self { context, is_there: io::stdin().is_terminal(), agrees }
    }

    /// Whether questions are asked.
    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    /// A line of text; what stands in `usual` when the line is empty. `None`: nobody is there.
    ///
    /// # Errors
    /// When the person does not want to go on.
    pub(super) fn line(&self, question: &str, usual: Option<&str>) -> Result<Option<String>, Failure> {
        if !self.is_there {
            return Ok(None);
        }
        let question = match usual {
            None => format!("{question}: "),
            Some(usual) => format!("{question} [{usual}]: "),
        };
        let typed = self.ask(&question)?;
        let typed = typed.trim();
        Ok(match (typed, usual) {
            ("", None) => None,
            ("", Some(usual)) => Some(usual.to_owned()),
            (typed, _) => Some(typed.to_owned()),
        })
    }

    /// Whether the person agrees to something.
    ///
    /// # Errors
    /// When it matters and nobody is there who could; `instead` says what to do then.
    pub(super) fn agrees_to(&self, what: &str, instead: &str) -> Result<bool, Failure> {
        if self.agrees {
            return Ok(true);
        }
        if !self.is_there {
            return Err(Failure::words(Exit::Usage, what).help(instead));
        }
        let answer = self.ask(&format!("{what}. Go on? [y/N]: "))?;
        Ok(answer.trim().eq_ignore_ascii_case("y") || answer.trim().eq_ignore_ascii_case("yes"))
    }

    /// A last look before something is done; without a person it is what was asked for.
    ///
    /// # Errors
    /// When the person does not want to go on.
    pub(super) fn confirms(&self, question: &str) -> Result<bool, Failure> {
        if self.agrees || !self.is_there {
            return Ok(true);
        }
        let answer = self.ask(&format!("{question} [Y/n]: "))?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
    }

    fn ask(&self, question: &str) -> Result<String, Failure> {
        let screen = &self.context.screen;
        let typed = prompt::line(&io::stdin(), &mut |text| screen.print(text), &escape(question))
            .map_err(|error| Failure::words(Exit::Failed, format!("cannot ask: {error}")))?;
        typed.ok_or_else(|| Failure::words(Exit::Failed, "interrupted; nothing was written"))
    }
}
