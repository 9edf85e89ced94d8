//! Parser of the check language (oslo_policy/_parser.py): `not` binds tighter than `and`, `and` tighter than `or`.

use winnow::{
    Result,
    ascii::{Caseless, multispace0},
    combinator::{alt, delimited, eof, peek, preceded, repeat, separated, terminated},
    prelude::*,
    token::{one_of, take_till, take_while},
};

use crate::check::{Check, Left, Piece};

/// Longest accepted check and deepest accepted parentheses: the parser recurses once per level.
const MAX_LENGTH: usize = 16_384;
const MAX_NESTING: usize = 32;

/// Parses a whole check; the error is a text for the operator.
pub fn check(text: &str) -> std::result::Result<Check, String> {
    if text.trim().is_empty() {
        return Ok(Check::True);
    }
    if text.len() > MAX_LENGTH {
        return Err(format!("longer than {MAX_LENGTH} bytes"));
    }
    let mut level = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'(' => level += 1,
            b')' => level = level.saturating_sub(1),
            _ => {}
        }
        if level > MAX_NESTING {
            return Err(format!("more than {MAX_NESTING} parentheses deep"));
        }
    }
    delimited(multispace0, or_check, eof)
        .parse(text)
        .map_err(|error| format!("cannot be understood from character {} on: {text}", error.offset() + 1))
}

fn or_check(input: &mut &str) -> Result<Check> {
    separated(1.., and_check, keyword("or")).map(|checks| one_or(checks, Check::Or)).parse_next(input)
}

fn and_check(input: &mut &str) -> Result<Check> {
    separated(1.., not_check, keyword("and")).map(|checks| one_or(checks, Check::And)).parse_next(input)
}

fn one_or(mut checks: Vec<Check>, join: fn(Vec<Check>) -> Check) -> Check {
    if checks.len() == 1 { checks.remove(0) } else { join(checks) }
}

fn not_check(input: &mut &str) -> Result<Check> {
    // Counted, not nested: a thousand `not` cost no stack.
    let nots: Vec<()> = repeat(0.., keyword("not")).parse_next(input)?;
    let check = primary.parse_next(input)?;
    Ok(if nots.len() % 2 == 1 { Check::Not(Box::new(check)) } else { check })
}

fn primary(input: &mut &str) -> Result<Check> {
    terminated(
        alt((
            delimited(('(', multispace0), or_check, ')'),
            terminated(alt(('@'.value(Check::True), '!'.value(Check::False))), end_of_word),
            comparison,
        )),
        multispace0,
    )
    .parse_next(input)
}

fn keyword<'a>(word: &'static str) -> impl Parser<&'a str, (), winnow::error::ContextError> {
    (Caseless(word), end_of_word, multispace0).void()
}

fn end_of_word(input: &mut &str) -> Result<()> {
    peek(alt((eof.void(), one_of([' ', '\t', '\n', '\r', '(', ')']).void()))).parse_next(input)
}

/// `kind:match`
fn comparison(input: &mut &str) -> Result<Check> {
    let left = terminated(left, ':').parse_next(input)?;
    let right: Vec<Piece> = repeat(1.., piece).parse_next(input)?;
    match left {
        Left::Credential(kind) => match (kind.as_str(), right) {
            ("rule", right) => match right.as_slice() {
                [Piece::Text(name)] => Ok(Check::Rule(name.clone())),
                _ => Err(winnow::error::ContextError::new()),
            },
            ("role", right) => Ok(Check::Role(right)),
            // Upstream asks a web server; a cloud in one process has no use for a call out per request.
            ("http" | "https", _) => Err(winnow::error::ContextError::new()),
            (_, right) => Ok(Check::Equal(Left::Credential(kind), right)),
        },
        literal => Ok(Check::Equal(literal, right)),
    }
}

fn left(input: &mut &str) -> Result<Left> {
    alt((
        quoted.map(|text: &str| Left::Literal(text.to_owned())),
        take_while(1.., |c: char| c.is_alphanumeric() || "_.-".contains(c)).map(|word: &str| match word {
            "True" | "False" | "None" => Left::Literal(word.to_owned()),
            _ if word.parse::<f64>().is_ok() => Left::Literal(word.to_owned()),
            _ => Left::Credential(word.to_owned()),
        }),
    ))
    .parse_next(input)
}

fn quoted<'a>(input: &mut &'a str) -> Result<&'a str> {
    alt((delimited('\'', take_till(0.., '\''), '\''), delimited('"', take_till(0.., '"'), '"'))).parse_next(input)
}

fn piece(input: &mut &str) -> Result<Piece> {
    alt((
        delimited("%(", take_while(1.., |c: char| c != ')' && !c.is_whitespace()), ")s")
            .map(|name: &str| Piece::Target(name.to_owned())),
        quoted.map(|text: &str| Piece::Text(text.to_owned())),
        preceded(winnow::combinator::not("%("), take_while(1.., |c: char| !c.is_whitespace() && !"()%'\"".contains(c)))
            .map(|text: &str| Piece::Text(text.to_owned())),
    ))
    .parse_next(input)
}
