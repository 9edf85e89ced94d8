//! `allowed_pattern`: Python's regular expressions, bounded.

use fancy_regex::{Regex, RegexBuilder};

/// Longest pattern that is compiled.
const MAX_PATTERN_BYTES: usize = 4096;
/// Steps a match may take before the value counts as not matching.
const MAX_BACKTRACKS: usize = 100_000;

/// Compiled size up to which a pattern counts as small. Unicode classes with a count (`\w{1,64}`) are beyond it.
const SMALL_BYTES: usize = 256 * 1024;
/// The largest compiled size.
const MAX_COMPILED_BYTES: usize = 4 * 1024 * 1024;

/// What the patterns of one template may cost to compile: 200 small ones, or 10 large ones. A large one takes a tenth of
/// a second.
pub(crate) struct PatternBudget(usize);

impl Default for PatternBudget {
    fn default() -> Self {
        PatternBudget(200)
    }
}

impl PatternBudget {
    const LARGE: usize = 20;

    /// Checks a pattern and takes its cost.
    ///
    /// # Errors
    /// Why it is no pattern, or that there are too many.
    pub(super) fn check(&mut self, pattern: &str) -> Result<(), String> {
        let is_small = pattern.len() <= MAX_PATTERN_BYTES && build(pattern, SMALL_BYTES).is_ok();
        let cost = if is_small { 1 } else { Self::LARGE };
        self.0 =
            self.0.checked_sub(cost).ok_or("The template's AllowedPattern constraints are too many or too large")?;
        if is_small { Ok(()) } else { compile(pattern).map(|_| ()) }
    }
}

/// A pattern anchored at the start, as `re.match` is. Look-around is allowed, so the steps are bounded.
///
/// # Errors
/// Why it is no pattern.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("AllowedPattern is longer than {MAX_PATTERN_BYTES} characters"));
    }
    build(pattern, MAX_COMPILED_BYTES)
        // Python repeats look-arounds, this engine does not.
        .or_else(|cause| build(&unrepeat_lookarounds(pattern), MAX_COMPILED_BYTES).map_err(|_| cause))
        .map_err(|cause| format!("AllowedPattern \"{pattern}\" is not a valid regular expression: {cause}"))
}

fn build(pattern: &str, size: usize) -> Result<Regex, String> {
    RegexBuilder::new(&format!("\\A(?:{pattern})"))
        .backtrack_limit(MAX_BACKTRACKS)
        .delegate_size_limit(size)
        .build()
        .map_err(|cause| cause.to_string())
}

/// A look-around takes no text, so repeating it says nothing new: with `*` or `?` it may be left out, with `+` it stands
/// once.
fn unrepeat_lookarounds(pattern: &str) -> String {
    let mut out = String::new();
    // Where the open groups begin in `out`; none for groups that take text.
    let mut groups: Vec<Option<usize>> = Vec::new();
    let mut characters = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(c) = characters.next() {
        let start = out.len();
        out.push(c);
        match c {
            '\\' => out.extend(characters.next()),
            '[' if !in_class => {
                in_class = true;
                // A bracket right at the start belongs to the class.
                out.extend(characters.next_if_eq(&'^'));
                out.extend(characters.next_if_eq(&']'));
            }
            ']' => in_class = false,
            '(' if !in_class => {
                let rest: String = characters.clone().take(3).collect();
                let is_lookaround = ["?=", "?!", "?<=", "?<!"].iter().any(|kind| rest.starts_with(kind));
                groups.push(is_lookaround.then_some(start));
            }
            ')' if !in_class => {
                if let Some(Some(start)) = groups.pop()
                    && let Some('*' | '?') = characters.next_if(|next| matches!(next, '*' | '?' | '+'))
                {
                    out.truncate(start);
                }
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_patterns_are_understood() {
        for (pattern, text, matches) in [
            ("[a-z]+", "abc", true),
            ("(?!x)[a-z]+", "xbc", false),
            ("[A-Za-z0-9]+(?=[\\.\\-][a-zA-Z0-9])*\\.[a-zA-z09]+", "abc.com", true),
            ("a(?=b)+b", "ab", true),
            ("a(?=[)]b)?b", "ab", true),
            ("(?P<year>\\d{4})-(?P=year)", "2018-2018", true),
            ("(?i)ABC", "abc", true),
        ] {
            assert_eq!(compile(pattern).unwrap().is_match(text).unwrap(), matches, "{pattern}");
        }
        assert!(compile("(").is_err());
        assert!(compile("*").is_err());
        assert!(compile(&"a".repeat(5000)).is_err());
    }

    #[test]
    fn the_patterns_of_a_template_are_limited() {
        let mut budget = PatternBudget::default();
        for _ in 0..180 {
            budget.check("[a-z]{1,63}").unwrap();
        }
        budget.check("\\w{1,64}").unwrap();
        assert!(budget.check("[a-z]").unwrap_err().contains("too many"));
        assert!(PatternBudget::default().check("(").unwrap_err().contains("not a valid"));
    }

    #[test]
    fn catastrophic_patterns_end_by_the_step_limit() {
        assert!(compile("(?=(a+))(a+)+\\1b").unwrap().is_match(&"a".repeat(200)).is_err());
        assert!(compile("((a{1000}){1000}){1000}").is_err());
    }
}
