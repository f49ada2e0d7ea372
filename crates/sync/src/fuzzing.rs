//! What must hold for any globs: the law of this crate's fuzz target.

use crate::FolderFilter;

/// Globs, longest of all: a configuration may hold more, but not a fuzzer's patience.
const MOST_GLOBS: usize = 20;

/// Include globs, an empty line, exclude globs, an empty line, a folder's name: a filter that can be
/// made can be asked, about names of any length; exclusion wins; a name without wildcards matches
/// itself.
pub fn globs(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(3, "\n\n");
    let mut lines = || -> Vec<String> {
        parts.next().unwrap_or_default().lines().take(MOST_GLOBS).map(str::to_owned).collect()
    };
    let (include, exclude) = (lines(), lines());
    let name = parts.next().unwrap_or_default();
    let Ok(filter) = FolderFilter::new(&include, &exclude) else { return };
    let wanted = filter.wants(name);
    let _ = filter.wants(&name.repeat(100));
    if let Ok(only_excluded) = FolderFilter::new(&exclude, &[])
        && !exclude.is_empty()
        && only_excluded.wants(name)
    {
        assert!(!wanted, "{name:?} is excluded");
    }
    let plain = !name.contains(['*', '?', '[', ']', '{', '}', ',', '\\', '!']);
    if plain && FolderFilter::new(&[name.to_owned()], &[]).is_ok_and(|filter| !filter.wants(name)) {
        panic!("{name:?} does not match itself");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s13_any_glob_that_is_taken_can_be_asked() {
        seeds::replay("globs", globs);
        seeds::mutate("globs", globs, 600);
    }

    #[test]
    fn s13_no_glob_explodes() {
        let evil = ["*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b".to_owned(), "{a,aa}".repeat(12), "[!a]*".repeat(40)];
        let filter = FolderFilter::new(&evil, &[]).expect("valid globs");
        assert!(!filter.wants(&"a".repeat(100_000)));
    }
}
