//! Completions for bash, zsh and fish, under the names by which each shell looks for them.

use clap_complete::{Shell, generate};

use super::Files;

pub(super) fn scripts(mut command: clap::Command) -> Files {
    [(Shell::Bash, "restante.bash"), (Shell::Zsh, "_restante"), (Shell::Fish, "restante.fish")]
        .into_iter()
        .map(|(shell, name)| {
            let mut script = Vec::new();
            generate(shell, &mut command, "restante", &mut script);
            (name.to_owned(), script)
        })
        .collect()
}
