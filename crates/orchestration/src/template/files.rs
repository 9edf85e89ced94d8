//! The files a request brings along, and finding one of them.

use std::collections::BTreeMap;

/// The contents of the request's `files`, by path or URL as the client wrote it.
pub type Files = BTreeMap<String, String>;

/// A file by the name a template uses for it: its exact key, else without a leading `./`, else the only key that ends with
/// it, else the only key with the same last path element.
///
/// The native client rewrites names in templates and keys alike; other clients do so in one place only, or not at all.
pub fn find_file<'f>(files: &'f Files, name: &str) -> Option<&'f String> {
    if let Some(text) = files.get(name) {
        return Some(text);
    }
    let name = name.trim_start_matches("./");
    if let Some(text) = files.get(name) {
        return Some(text);
    }
    let base = name.rsplit('/').next().filter(|base| !base.is_empty())?;
    only(files, name).or_else(|| only(files, base))
}

/// The only file whose path ends with these path elements.
fn only<'f>(files: &'f Files, ending: &str) -> Option<&'f String> {
    let mut found = files
        .iter()
        .filter(|(path, _)| *path == ending || path.strip_suffix(ending).is_some_and(|rest| rest.ends_with('/')));
    match (found.next(), found.next()) {
        (Some((_, text)), None) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_leniently_as_they_are_unambiguous() {
        let keys = ["file:///h/a/x.yaml", "file:///h/b/x.yaml", "y.sh", "http://h/d/z.txt"];
        let files: Files = keys.into_iter().map(|key| (key.to_owned(), key.to_owned())).collect();
        let find = |name: &str| find_file(&files, name).map(String::as_str);
        assert_eq!(find("y.sh"), Some("y.sh"));
        assert_eq!(find("./y.sh"), Some("y.sh"));
        assert_eq!(find("scripts/y.sh"), Some("y.sh"));
        assert_eq!(find("a/x.yaml"), Some("file:///h/a/x.yaml"));
        assert_eq!(find("../d/z.txt"), Some("http://h/d/z.txt"));
        assert_eq!(find("x.yaml"), None);
        assert_eq!(find("no.yaml"), None);
        assert_eq!(find("d/"), None);
        assert_eq!(find(""), None);
    }
}
