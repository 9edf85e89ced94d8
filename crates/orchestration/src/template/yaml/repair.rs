//! Saying to a YAML 1.2 parser what upstream's YAML 1.1 loader accepts.
//!
//! YAML 1.2 wants the continuation lines of quoted scalars and flow collections indented deeper than their parent block,
//! and is strict about tabs; PyYAML does not care, and templates rely on it (a closing brace below its key). Leading blanks
//! mean nothing in such lines, so they can be moved to the right without changing any value.

use saphyr_parser::Marker;

use super::MAX_TEXT_BYTES;

/// Each repair means reading the text again: what may be read again altogether, in bytes. A template of 20 KB may be
/// repaired in hundreds of places, one of the largest size in a dozen.
pub(super) const BUDGET: usize = 8 * 1024 * 1024;

/// A change that keeps the meaning. Markers count characters.
#[derive(Clone, Copy, Debug)]
pub(super) enum Repair {
    /// The quoted scalar that starts here goes on too far left.
    IndentQuoted(Marker),
    /// The flow collection that starts here goes on too far left.
    IndentFlow(Marker),
    /// There are tabs before this place, after a colon.
    ReplaceTab(Marker),
}

/// How many brackets before an error are tried as the start of the collection it is in.
const MAX_CANDIDATES: usize = 16;

/// The repair of the bracketed collection around `at`: the outermost of the open collections the parser has told of, or,
/// as the scanner runs ahead of the parser, the nearest bracket before `at` that is closed after it.
pub(super) fn open_flow(text: &str, mut known: impl Iterator<Item = Marker>, at: Marker) -> Option<Repair> {
    if let Some(start) =
        known.find(|start| byte_at(text, *start).is_some_and(|start| text[start..].starts_with(['{', '['])))
    {
        return Some(Repair::IndentFlow(start));
    }
    let fault = byte_at(text, at)?;
    let candidates = text[..fault].rmatch_indices(['{', '[']).take(MAX_CANDIDATES);
    let start = candidates.map(|(start, _)| start).find(|start| end_of_flow(text, *start) > fault)?;
    let line = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let (index, column) = (text[..start].chars().count(), text[line..start].chars().count());
    Some(Repair::IndentFlow(Marker::new(index, 0, column)))
}

fn byte_at(text: &str, at: Marker) -> Option<usize> {
    text.char_indices().nth(at.index()).map(|(start, _)| start)
}

impl Repair {
    /// The changed text; none if there is nothing to change or it would grow too large.
    pub(super) fn apply(self, text: &str) -> Option<String> {
        let repaired = match self {
            Repair::IndentQuoted(at) => {
                let start = byte_at(text, at)?;
                indent_lines(text, start, end_of_quoted(text, start)?, at.col() + 1)?
            }
            Repair::IndentFlow(at) => {
                let start = byte_at(text, at)?;
                indent_lines(text, start, end_of_flow(text, start), at.col() + 1)?
            }
            Repair::ReplaceTab(at) => {
                let end = byte_at(text, at)?;
                let kept = text[..end].trim_end_matches([' ', '\t']);
                format!("{kept}{}{}", " ".repeat(end - kept.len()), &text[end..])
            }
        };
        (repaired != text).then_some(repaired)
    }
}

/// Gives every line that begins between `start` and `end` at least `indent` leading blanks.
fn indent_lines(text: &str, start: usize, end: usize, indent: usize) -> Option<String> {
    let mut out = text[..start].to_owned();
    for (number, line) in text[start..end].split_inclusive('\n').enumerate() {
        let content = line.trim_start_matches(' ');
        if number > 0 && !content.trim_end().is_empty() {
            let blanks = line.len() - content.len();
            out.extend(std::iter::repeat_n(' ', indent.saturating_sub(blanks)));
        }
        out.push_str(line);
        if out.len() > 2 * MAX_TEXT_BYTES {
            return None;
        }
    }
    out.push_str(&text[end..]);
    Some(out)
}

/// The place after the closing quote.
fn end_of_quoted(text: &str, start: usize) -> Option<usize> {
    let quote = text[start..].chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut rest = text[start + 1..].char_indices().peekable();
    while let Some((offset, c)) = rest.next() {
        if c == '\\' && quote == '"' {
            rest.next();
        } else if c == quote && rest.next_if(|(_, next)| quote == '\'' && *next == quote).is_none() {
            return Some(start + 1 + offset + 1);
        }
    }
    Some(text.len())
}

/// The place after the closing bracket. Quotes count where a scalar may start, comments after a blank.
fn end_of_flow(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut may_start) = (start, 0usize, true);
    while at < bytes.len() {
        match bytes[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' | b'\'' if may_start => {
                at = end_of_quoted(text, at).unwrap_or(bytes.len());
                may_start = false;
                continue;
            }
            b'#' if at > 0 && bytes[at - 1].is_ascii_whitespace() => {
                at = text[at..].find('\n').map_or(bytes.len(), |offset| at + offset);
                continue;
            }
            _ => {}
        }
        if !bytes[at].is_ascii_whitespace() {
            may_start = matches!(bytes[at], b'{' | b'[' | b',' | b':' | b'?');
        }
        at += 1;
    }
    bytes.len()
}
