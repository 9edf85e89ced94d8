//! Shell-style name patterns (`fnmatch`): `*`, `?`, `[abc]`, `[!abc]`, `[a-z]`.

/// Whether the whole name matches. Time is at most the product of both lengths.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut position) = (0, 0);
    // Where to resume when a star has to take one character more.
    let mut retry: Option<(usize, usize)> = None;
    while position < name.len() {
        if pattern.get(at) == Some(&'*') {
            retry = Some((at + 1, position));
            at += 1;
            continue;
        }
        if let Some(next) = one(&pattern, at, name[position]) {
            at = next;
            position += 1;
            continue;
        }
        match retry {
            Some((after_star, taken)) => {
                at = after_star;
                position = taken + 1;
                retry = Some((after_star, taken + 1));
            }
            None => return false,
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Matches one character; gives the place after what matched it.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => match class(pattern, at, c) {
            Some((true, next)) => Some(next),
            Some((false, _)) => None,
            // No closing bracket: a plain character.
            None => (c == '[').then_some(at + 1),
        },
        literal => (*literal == c).then_some(at + 1),
    }
}

/// Whether `c` is in the class that starts at `at`, and where the class ends.
fn class(pattern: &[char], at: usize, c: char) -> Option<(bool, usize)> {
    let mut start = at + 1;
    let negated = pattern.get(start) == Some(&'!');
    if negated {
        start += 1;
    }
    // A closing bracket right at the start belongs to the class.
    let end = (start + 1..pattern.len()).find(|index| pattern[*index] == ']')?;
    let members = &pattern[start..end];
    let mut found = false;
    let mut index = 0;
    while index < members.len() {
        if index + 2 < members.len() && members[index + 1] == '-' {
            found |= (members[index]..=members[index + 2]).contains(&c);
            index += 3;
        } else {
            found |= members[index] == c;
            index += 1;
        }
    }
    Some((found != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_match_as_fnmatch_matches_them() {
        for (pattern, name, expected) in [
            ("web", "web", true),
            ("web", "web1", false),
            ("*", "", true),
            ("w*b", "wxxb", true),
            ("w*b", "wxxc", false),
            ("*_suffix", "a_suffix", true),
            ("prefix_*", "prefix_", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[ab]1", "b1", true),
            ("[!ab]1", "b1", false),
            ("[a-c]1", "c1", true),
            ("[]]", "]", true),
            ("[x", "[x", true),
            ("a*b*c", "abbbcbc", true),
            ("WEB", "web", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(200), &"a".repeat(150)));
    }
}
