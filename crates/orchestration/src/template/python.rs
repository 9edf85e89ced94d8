//! Python's view of values, which shows in upstream's results and messages: `True`, `'x'`, `1.0`, `1 == True`, JSON with
//! spaces and escapes.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// `str(value)`.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        _ => repr(value),
    }
}

/// `repr(value)`.
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

fn write_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_quoted(out, text),
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                write_repr(out, item);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (position, (key, item)) in map.iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                write_quoted(out, key);
                out.push_str(": ");
                write_repr(out, item);
            }
            out.push('}');
        }
    }
}

fn write_quoted(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// `str()` of an int or float: integral floats keep `.0`, large and small ones an exponent.
pub fn number_text(number: &Number) -> String {
    if !number.is_f64() {
        return number.to_string();
    }
    let value = number.as_f64().unwrap_or_default();
    if value == 0.0 {
        return if value.is_sign_negative() { "-0.0".into() } else { "0.0".into() };
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{value}");
    if plain.contains('.') { plain } else { plain + ".0" }
}

/// `json.dumps(value)`: `, ` and `: ` between, everything beyond ASCII escaped.
pub fn json(value: &Value, sort_keys: bool) -> String {
    let mut out = String::new();
    write_json(&mut out, value, sort_keys);
    out
}

fn write_json(out: &mut String, value: &Value, sort_keys: bool) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_json_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                write_json(out, item, sort_keys);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            if sort_keys {
                entries.sort_by(|a, b| a.0.cmp(b.0));
            }
            out.push('{');
            for (position, (key, item)) in entries.into_iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                write_json_string(out, key);
                out.push_str(": ");
                write_json(out, item, sort_keys);
            }
            out.push('}');
        }
    }
}

fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// `value1 == value2`: numbers compare by value, and true is 1.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (Value::Bool(_) | Value::Number(_), Value::Bool(_) | Value::Number(_)) => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => a == b,
            _ => number(a).zip(number(b)).is_some_and(|(a, b)| a == b),
        },
        _ => a == b,
    }
}

fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Bool(flag) => Some(i128::from(*flag)),
        Value::Number(number) => number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from)),
        _ => None,
    }
}

/// The value of a bool or number as a float.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Number(number) => number.as_f64(),
        _ => None,
    }
}

/// `bool(value)`.
pub fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64().is_none_or(|value| value != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// `type(value).__name__`.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// `int(text)`: surrounding blanks, a sign and single underscores between digits are allowed.
pub fn parse_int(text: &str) -> Option<i64> {
    without_underscores(text.trim())?.parse().ok()
}

/// `float(text)`, finite values only.
pub fn parse_float(text: &str) -> Option<f64> {
    let text = without_underscores(text.trim())?;
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    for (position, byte) in bytes.iter().enumerate() {
        let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        if *byte == b'_' && !(is_digit(position.checked_sub(1)) && is_digit(Some(position + 1))) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}

/// Upstream's `str_to_num`: numbers as they are, text as int if possible, else as float.
///
/// # Errors
/// Python's text: `could not convert string to float: 'x'`.
pub fn to_number(value: &Value) -> Result<Number, String> {
    match value {
        Value::Number(number) => Ok(number.clone()),
        Value::Bool(flag) => Ok(Number::from(u8::from(*flag))),
        Value::String(text) => parse_int(text)
            .map(Number::from)
            .or_else(|| parse_float(text).and_then(Number::from_f64))
            .ok_or_else(|| format!("could not convert string to float: {}", repr(value))),
        other => Err(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            type_name(other)
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_print_as_python_prints_them() {
        for (value, printed) in [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(1.0), "1.0"),
            (json!(1e22), "1e+22"),
            (json!(0.00001), "1e-05"),
            (json!(0.25), "0.25"),
            (json!(["a", {"k": 1}]), "['a', {'k': 1}]"),
            (json!("it's"), "\"it's\""),
            (json!("a\n"), "'a\\n'"),
        ] {
            assert_eq!(repr(&value), printed);
        }
        assert_eq!(text(&json!("x")), "x");
        assert_eq!(json(&json!({"b": 1, "a": [1.5, null, "é"]}), true), r#"{"a": [1.5, null, "\u00e9"], "b": 1}"#);
    }

    #[test]
    fn numbers_compare_by_value_and_text_never_equals_a_number() {
        assert!(equal(&json!(1), &json!(1.0)));
        assert!(equal(&json!(true), &json!(1)));
        assert!(equal(&json!([1]), &json!([true])));
        assert!(!equal(&json!(1), &json!("1")));
        assert!(!equal(&json!(null), &json!(false)));
    }

    #[test]
    fn text_becomes_a_number_as_int_and_float_do() {
        assert_eq!(to_number(&json!(" 1_000 ")), Ok(1000.into()));
        assert_eq!(to_number(&json!("1.5")), Ok(Number::from_f64(1.5).unwrap()));
        assert_eq!(to_number(&json!("x")), Err("could not convert string to float: 'x'".into()));
        assert!(to_number(&json!("_1")).is_err());
        assert!(to_number(&json!("1__0")).is_err());
        assert!(to_number(&json!("nan")).is_err());
    }
}
