//! Which folders of an account are wanted: include and exclude globs on the names that people see.
//!
//! `*` crosses the hierarchy delimiter, so `Lists*` takes `Lists` and everything below it. A folder
//! is wanted when some include glob matches and no exclude glob does. Matching is linear in the
//! length of the name, whatever the glob (globset makes one automaton of them all).

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Include and exclude globs, ready to be asked.
#[derive(Clone, Debug)]
pub struct FolderFilter {
    include: GlobSet,
    exclude: GlobSet,
}

/// A glob that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("folder glob {glob:?} is not valid: {why}")]
pub struct InvalidGlob {
    glob: String,
    why: String,
}

impl FolderFilter {
    /// No include globs at all mean every folder.
    ///
    /// # Errors
    /// The first glob that is not valid.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, InvalidGlob> {
        let everything = ["*".to_owned()];
        let include = if include.is_empty() { &everything[..] } else { include };
        Ok(Self { include: glob_set(include)?, exclude: glob_set(exclude)? })
    }

    /// Whether the folder of this name (decoded, as people see it) is wanted.
    #[must_use]
    pub fn wants(&self, folder: &str) -> bool {
        self.include.is_match(folder) && !self.exclude.is_match(folder)
    }
}

fn glob_set(globs: &[String]) -> Result<GlobSet, InvalidGlob> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let built = GlobBuilder::new(glob).literal_separator(false).backslash_escape(true).build();
        set.add(built.map_err(|error| InvalidGlob { glob: glob.clone(), why: error.kind().to_string() })?);
    }
    set.build().map_err(|error| InvalidGlob { glob: globs.join(", "), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> FolderFilter {
        let owned = |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>();
        FolderFilter::new(&owned(include), &owned(exclude)).expect("valid globs")
    }

    #[test]
    fn a_star_crosses_the_delimiter_and_exclusion_wins() {
        let lists = filter(&["Lists*"], &["Lists/old*"]);
        for (folder, wanted) in
            [("Lists", true), ("Lists/a/b", true), ("Lists/old/a", false), ("INBOX", false)]
        {
            assert_eq!(lists.wants(folder), wanted, "{folder}");
        }
        assert!(filter(&[], &[]).wants("家族/写真"));
    }

    #[test]
    fn a_broken_glob_is_named() {
        let error = FolderFilter::new(&["a[".to_owned()], &[]).expect_err("an open class");
        assert!(error.to_string().contains("a["), "{error}");
    }
}
