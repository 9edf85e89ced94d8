//! Image references: `[registry/]path[:tag][@digest]`.

use sahab_contract::{Error, Result};

use crate::error::CODE;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub repository: String,
    /// Tag or `algorithm:digest`.
    pub tag: String,
    digest: bool,
}

impl Reference {
    /// Accepts only text that is safe in a request path.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = || Error::invalid(CODE, format!("invalid reference format: {text:?}"));
        let plain = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:".contains(&b))
                && part.split('/').all(|segment| !segment.is_empty() && segment != "." && segment != "..")
        };
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let slash = name.rfind('/').map_or(0, |at| at + 1);
        let (repository, tag) = match name[slash..].find(':') {
            Some(colon) => (&name[..slash + colon], Some(&name[slash + colon + 1..])),
            None => (name, None),
        };
        let whole = digest.or(tag).unwrap_or("latest");
        if text.len() > 512 || !plain(repository) || !plain(whole) || whole.contains('/') {
            return Err(refuse());
        }
        if tag.is_some_and(|tag| tag.is_empty() || tag.contains(':')) {
            return Err(refuse());
        }
        Ok(Reference { repository: repository.into(), tag: whole.into(), digest: digest.is_some() })
    }

    /// As the engine names it.
    pub fn full(&self) -> String {
        let separator = if self.digest { '@' } else { ':' };
        format!("{}{separator}{}", self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> Result<String> {
        Reference::parse(text).map(|reference| reference.full())
    }

    #[test]
    fn names_split_where_the_tag_is() {
        assert_eq!(full("mysql:5.7").unwrap(), "mysql:5.7");
        assert_eq!(full("wordpress").unwrap(), "wordpress:latest");
        assert_eq!(full("localhost:5000/a/b").unwrap(), "localhost:5000/a/b:latest");
        let reference = Reference::parse("r.example:5000/x:1").unwrap();
        assert_eq!((reference.repository.as_str(), reference.tag.as_str()), ("r.example:5000/x", "1"));
        assert_eq!(full("x@sha256:abcd").unwrap(), "x@sha256:abcd");
        assert_eq!(full("x:1@sha256:abcd").unwrap(), "x@sha256:abcd");
    }

    #[test]
    fn no_name_escapes_its_path() {
        for bad in ["", "../containers/x", "a/../../b", "a//b", "/a", "a?force=1", "a#b", "a b", "a\nb", "a:", "ü"] {
            assert!(full(bad).is_err(), "{bad:?}");
        }
    }
}
