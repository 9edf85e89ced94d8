//! What a plain YAML 1.1 scalar means (PyYAML's implicit resolvers and safe constructors).

use serde_json::{Number, Value};

/// The value of a plain, untagged scalar.
pub(super) fn resolve_plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        _ => integer(text).or_else(|| float(text)).unwrap_or_else(|| Value::String(text.to_owned())),
    }
}

fn sign_and_rest(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// `[-+]?` followed by binary, octal, decimal, hexadecimal or base-60 digits, `_` allowed.
pub(super) fn integer(text: &str) -> Option<Value> {
    let (negative, body) = sign_and_rest(text);
    if !body.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if body.contains(':') {
        return sexagesimal_integer(negative, body);
    }
    let (radix, digits) = if let Some(digits) = body.strip_prefix("0b") {
        (2, digits)
    } else if let Some(digits) = body.strip_prefix("0x") {
        (16, digits)
    } else if body.len() > 1 && body.starts_with('0') {
        (8, &body[1..])
    } else {
        (10, body)
    };
    if digits.is_empty() || !digits.chars().all(|c| c == '_' || c.is_digit(radix)) {
        return None;
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    if digits.is_empty() {
        // `0_` is zero; `0x_` would make upstream fail and stays text here.
        return (radix == 8).then(|| Value::from(0));
    }
    Some(whole_number(negative, &digits, radix))
}

/// Beyond 64 bits the value is rounded to a float: JSON has nothing better.
fn whole_number(negative: bool, digits: &str, radix: u32) -> Value {
    if let Ok(value) = u64::from_str_radix(digits, radix) {
        if !negative {
            return Value::from(value);
        }
        if let Ok(value) = i64::try_from(-i128::from(value)) {
            return Value::from(value);
        }
    }
    let magnitude = match radix {
        10 => digits.parse().unwrap_or(f64::INFINITY),
        _ => digits
            .chars()
            .filter_map(|c| c.to_digit(radix))
            .fold(0.0, |sum, digit| sum * f64::from(radix) + f64::from(digit)),
    };
    finite(if negative { -magnitude } else { magnitude })
}

/// `[1-9][0-9_]*(:[0-5]?[0-9])+`
fn sexagesimal_integer(negative: bool, body: &str) -> Option<Value> {
    let mut parts = body.split(':');
    let first = parts.next()?;
    if !first.starts_with(|c: char| ('1'..='9').contains(&c)) || !first.chars().all(|c| c == '_' || c.is_ascii_digit())
    {
        return None;
    }
    let mut total: i128 = first.replace('_', "").parse().ok()?;
    for part in parts {
        total = total.checked_mul(60)?.checked_add(i128::from(sixtieth(part)?))?;
    }
    i64::try_from(if negative { -total } else { total }).ok().map(Value::from)
}

/// `[0-5]?[0-9]`
fn sixtieth(part: &str) -> Option<u8> {
    let bytes = part.as_bytes();
    let valid = match bytes {
        [unit] => unit.is_ascii_digit(),
        [ten, unit] => (b'0'..=b'5').contains(ten) && unit.is_ascii_digit(),
        _ => false,
    };
    if valid { part.parse().ok() } else { None }
}

/// Decimal fractions (the exponent needs a sign), base 60 with a fraction, infinities, not-a-number.
pub(super) fn float(text: &str) -> Option<Value> {
    let (negative, body) = sign_and_rest(text);
    match body {
        ".inf" | ".Inf" | ".INF" => return Some(Value::from(if negative { "-inf" } else { "inf" })),
        ".nan" | ".NaN" | ".NAN" if body.len() == text.len() => return Some(Value::from("nan")),
        _ => {}
    }
    let (whole, rest) = body.split_once('.')?;
    if whole.contains(':') {
        return sexagesimal_float(negative, whole, rest);
    }
    let whole_is_valid = if whole.is_empty() {
        // `.5` takes no sign and needs a digit after the point.
        body.len() == text.len() && rest.starts_with(|c: char| c.is_ascii_digit())
    } else {
        whole.starts_with(|c: char| c.is_ascii_digit()) && whole.chars().all(|c| c == '_' || c.is_ascii_digit())
    };
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let exponent_is_valid = exponent.is_none_or(|digits| {
        digits.starts_with(['+', '-']) && digits.len() > 1 && digits[1..].chars().all(|c| c.is_ascii_digit())
    });
    if !whole_is_valid || !exponent_is_valid || !fraction.chars().all(|c| c == '_' || c.is_ascii_digit()) {
        return None;
    }
    let plain: String = body.chars().filter(|c| *c != '_').collect();
    let value: f64 = plain.parse().ok()?;
    Some(finite(if negative { -value } else { value }))
}

/// `[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*`
fn sexagesimal_float(negative: bool, whole: &str, fraction: &str) -> Option<Value> {
    let mut parts = whole.split(':');
    let first = parts.next()?;
    if !first.starts_with(|c: char| c.is_ascii_digit())
        || !first.chars().chain(fraction.chars()).all(|c| c == '_' || c.is_ascii_digit())
    {
        return None;
    }
    let mut total: f64 = first.replace('_', "").parse().ok()?;
    for part in parts {
        total = total * 60.0 + f64::from(sixtieth(part)?);
    }
    let fraction: String = fraction.chars().filter(|c| *c != '_').collect();
    let value = total + format!("0.{fraction}0").parse::<f64>().ok()?;
    Some(finite(if negative { -value } else { value }))
}

/// JSON has no infinities: they become the text Python prints.
fn finite(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::from("nan"),
        None => Value::from(if value > 0.0 { "inf" } else { "-inf" }),
    }
}
