//! Functions that make or take apart strings: joins, replacements, splits, digests.

use md5::Md5;
use sahab_contract::Result;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

use super::{
    item_at,
    resolve::{Resolver, failure},
    table::ReplaceForm,
};
use crate::template::python;

fn excerpt(value: &Value) -> String {
    python::repr(value).chars().take(200).collect()
}

/// Delimiter and the rest of the arguments.
fn delimiter_and_rest(arguments: Value) -> (Value, Vec<Value>) {
    match arguments {
        Value::Array(items) => {
            let mut items = items.into_iter();
            (items.next().unwrap_or_default(), items.collect())
        }
        _ => (Value::Null, Vec::new()),
    }
}

fn delimiter_text<'v>(name: &str, delimiter: &'v Value) -> Result<&'v str> {
    delimiter.as_str().ok_or_else(|| failure(format!("\"{name}\" delimiter must be a string")))
}

fn join_pieces(resolver: &Resolver<'_>, delimiter: &str, pieces: &[String]) -> Result<Value> {
    let length = pieces.iter().map(String::len).sum::<usize>() + delimiter.len().saturating_mul(pieces.len());
    resolver.charge(length)?;
    Ok(Value::from(pieces.join(delimiter)))
}

/// `list_join` before 2015-10-15, `Fn::Join`: one list of strings.
pub(super) fn join(resolver: &Resolver<'_>, name: &str, arguments: Value) -> Result<Value> {
    let (delimiter, rest) = delimiter_and_rest(arguments);
    let strings = match rest.into_iter().next() {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => return Err(failure(format!("\"{name}\" must operate on a list"))),
    };
    let pieces = strings
        .into_iter()
        .map(|item| match item {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text),
            other => Err(failure(format!("Items to join must be strings not {}", excerpt(&other)))),
        })
        .collect::<Result<Vec<_>>>()?;
    join_pieces(resolver, delimiter_text(name, &delimiter)?, &pieces)
}

/// `list_join` since 2015-10-15: any number of lists; maps and lists inside become JSON.
pub(super) fn join_many(resolver: &Resolver<'_>, name: &str, arguments: Value) -> Result<Value> {
    let (delimiter, lists) = delimiter_and_rest(arguments);
    let mut pieces = Vec::new();
    for list in lists {
        match list {
            Value::Array(items) => {
                for item in items {
                    pieces.push(match item {
                        Value::Null => String::new(),
                        Value::String(text) => text,
                        Value::Array(_) | Value::Object(_) => python::json(&item, true),
                        other => {
                            return Err(failure(format!(
                                "Items to join must be string, map or list not {}",
                                excerpt(&other)
                            )));
                        }
                    });
                }
            }
            other if !python::is_truthy(&other) => {}
            _ => return Err(failure(format!("\"{name}\" must operate on a list"))),
        }
    }
    join_pieces(resolver, delimiter_text(name, &delimiter)?, &pieces)
}

/// The `str_replace` family: all keys in one simultaneous pass, the longest first.
pub(super) fn replace(
    resolver: &Resolver<'_>,
    form: ReplaceForm,
    name: &str,
    template: Value,
    params: Value,
) -> Result<Value> {
    let Value::String(template) = template else {
        return Err(failure(format!("\"{name}\" template must be a string")));
    };
    let Value::Object(params) = params else {
        return Err(failure(format!("\"{name}\" params must be a map")));
    };
    let mut keys: Vec<&String> = params.keys().collect();
    keys.sort_by(|a, b| b.chars().count().cmp(&a.chars().count()).then_with(|| a.cmp(b)));
    let mut values = Vec::with_capacity(keys.len());
    for key in &keys {
        if key.is_empty() {
            return Err(failure("empty separator"));
        }
        values.push(replacement(form, name, key, &params[*key])?);
    }

    // Segments of untouched text, and the values between them.
    enum Segment<'t> {
        Text(&'t str),
        Value(usize),
    }
    let mut segments = vec![Segment::Text(&template)];
    let mut missing = Vec::new();
    for (position, key) in keys.iter().enumerate() {
        let mut next = Vec::with_capacity(segments.len());
        let mut is_used = false;
        for segment in segments {
            match segment {
                Segment::Text(text) => {
                    for (piece, text) in text.split(key.as_str()).enumerate() {
                        if piece > 0 {
                            is_used = true;
                            next.push(Segment::Value(position));
                        }
                        if !text.is_empty() {
                            next.push(Segment::Text(text));
                        }
                    }
                }
                value => next.push(value),
            }
        }
        segments = next;
        if !is_used {
            missing.push(key.as_str());
        }
    }
    if matches!(form, ReplaceForm::Strict | ReplaceForm::VeryStrict) && !missing.is_empty() {
        return Err(failure(format!("The following params were not found in the template: {}", missing.join(","))));
    }
    let piece = |segment: &Segment<'_>| -> usize {
        match segment {
            Segment::Text(text) => text.len(),
            Segment::Value(position) => values[*position].len(),
        }
    };
    resolver.charge(segments.iter().map(piece).sum())?;
    let mut out = String::new();
    for segment in &segments {
        out.push_str(match segment {
            Segment::Text(text) => text,
            Segment::Value(position) => &values[*position],
        });
    }
    Ok(Value::from(out))
}

fn replacement(form: ReplaceForm, name: &str, key: &str, value: &Value) -> Result<String> {
    let text = match value {
        Value::Null => String::new(),
        Value::Array(_) | Value::Object(_) if matches!(form, ReplaceForm::Plain | ReplaceForm::Cfn) => {
            return Err(failure(format!("\"{name}\" params must be strings or numbers, param {key} is not valid")));
        }
        Value::Array(_) | Value::Object(_) if python::is_truthy(value) => python::json(value, true),
        Value::Array(_) | Value::Object(_) if form == ReplaceForm::VeryStrict => String::new(),
        Value::Array(_) | Value::Object(_) => python::json(value, true),
        other => python::text(other),
    };
    if form == ReplaceForm::VeryStrict && text.is_empty() {
        return Err(failure(format!(
            "{name} has an undefined or empty value for param {key}, must be a defined non-empty value"
        )));
    }
    Ok(text)
}

/// `str_split: [delimiter, text, index?]`
pub(super) fn split(name: &str, arguments: Value) -> Result<Value> {
    let usage = |what: &str| {
        failure(format!("Incorrect {what} to \"{name}\" should be: \"{name}\" : [ \",\", \"apples,pears\", <index>]"))
    };
    let Value::Array(arguments) = arguments else { return Err(usage("arguments")) };
    let [delimiter, text, index @ ..] = arguments.as_slice() else { return Err(usage("arguments")) };
    let parts: Vec<&str> = match (delimiter, text) {
        (_, Value::Null) => return Ok(Value::Null),
        (Value::String(delimiter), _) if delimiter.is_empty() => return Err(failure("empty separator")),
        (Value::String(delimiter), Value::String(text)) => text.split(delimiter.as_str()).collect(),
        (Value::String(_), other) => {
            return Err(failure(format!("'{}' object has no attribute 'split'", python::type_name(other))));
        }
        (other, _) => return Err(failure(format!("must be str or None, not {}", python::type_name(other)))),
    };
    let Some(index) = index.first() else {
        return Ok(parts.into());
    };
    let index = match index {
        Value::Number(number) => number.as_f64().map(|value| value.trunc() as i64),
        Value::String(text) => python::parse_int(text),
        _ => None,
    }
    .ok_or_else(|| usage("index"))?;
    item_at(&parts, index)
        .map(|part| Value::from(*part))
        .ok_or_else(|| failure(format!("Incorrect index to \"{name}\" should be between 0 and {}", parts.len() - 1)))
}

/// `Fn::Split: [delimiter, text]`
pub(super) fn cfn_split(name: &str, arguments: &Value) -> Result<Value> {
    match arguments.as_array().map(Vec::as_slice) {
        Some([Value::String(delimiter), Value::String(_)]) if delimiter.is_empty() => Err(failure("empty separator")),
        Some([Value::String(delimiter), Value::String(text)]) => {
            Ok(text.split(delimiter.as_str()).collect::<Vec<_>>().into())
        }
        Some([Value::String(_), other]) => {
            Err(failure(format!("String to split must be string; got <class '{}'>", python::type_name(other))))
        }
        _ => Err(failure(format!("Delimiter for {name} must be string"))),
    }
}

const ALGORITHMS: &str = "md5, sha1, sha224, sha256, sha384, sha512, sha512_224, sha512_256";

/// `digest: [algorithm, text]`; the text is hashed in latin-1 as upstream does, beyond it in UTF-8.
pub(super) fn digest(name: &str, arguments: &Value) -> Result<Value> {
    let arguments = arguments
        .as_array()
        .and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>())
        .ok_or_else(|| failure(format!("Argument to function \"{name}\" must be a list of strings")))?;
    let [algorithm, text] = arguments.as_slice() else {
        return Err(failure(format!("Function \"{name}\" usage: [\"<algorithm>\", \"<value>\"]")));
    };
    let latin: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    let bytes = latin.unwrap_or_else(|_| text.as_bytes().to_vec());
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    Ok(Value::from(match algorithm.to_ascii_lowercase().replace(['-', '/'], "_").as_str() {
        "md5" => hex(&Md5::digest(&bytes)),
        "sha1" => hex(&Sha1::digest(&bytes)),
        "sha224" => hex(&Sha224::digest(&bytes)),
        "sha256" => hex(&Sha256::digest(&bytes)),
        "sha384" => hex(&Sha384::digest(&bytes)),
        "sha512" => hex(&Sha512::digest(&bytes)),
        "sha512_224" => hex(&Sha512_224::digest(&bytes)),
        "sha512_256" => hex(&Sha512_256::digest(&bytes)),
        _ => return Err(failure(format!("Algorithm must be one of {ALGORITHMS}"))),
    }))
}
