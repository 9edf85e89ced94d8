//! Functions on lists and maps.

use sahab_contract::Result;
use serde_json::{Map, Value};

use super::{
    item_at,
    resolve::{Resolver, cost, failure},
    table::RepeatForm,
};
use crate::template::{error, python};

/// The most items one `repeat` may make.
const MAX_REPEAT_ITEMS: usize = 10_000;

/// `repeat: {template, for_each, permutations?}`
pub(super) fn repeat(
    resolver: &Resolver<'_>,
    form: RepeatForm,
    name: &str,
    mut arguments: Map<String, Value>,
) -> Result<Value> {
    let template = arguments.shift_remove("template").unwrap_or_default();
    let Some(Value::Object(for_each)) = arguments.shift_remove("for_each") else {
        return Err(failure(format!("The \"for_each\" argument to \"{name}\" must contain a map")));
    };
    let is_nested = form != RepeatForm::Permutations || arguments.get("permutations") != Some(&Value::Bool(false));
    if for_each.is_empty() {
        return Err(failure(format!("The \"for_each\" argument to \"{name}\" must not be empty")));
    }
    let mut keys = Vec::new();
    let mut lists: Vec<Vec<Value>> = Vec::new();
    let mut lengths = Vec::new();
    for (key, value) in for_each {
        keys.push(key);
        match value {
            // A reference that has no value yet.
            Value::Null => {
                lists.push(Vec::new());
                continue;
            }
            Value::Array(items) => lists.push(items),
            Value::Object(map) if form != RepeatForm::Lists && is_nested => {
                lists.push(map.into_iter().map(|(key, _)| Value::String(key)).collect());
            }
            _ => {
                let accepted = if form == RepeatForm::Lists || !is_nested { "lists" } else { "lists or maps" };
                return Err(failure(format!(
                    "The values of the \"for_each\" argument to \"{name}\" must be {accepted}"
                )));
            }
        }
        lengths.push(lists.last().map_or(0, Vec::len));
    }
    if !is_nested && lengths.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(failure(format!("For {name}, the length of for_each values should be equal if no nested loop.")));
    }
    let count = if is_nested {
        lists.iter().map(Vec::len).fold(1usize, usize::saturating_mul)
    } else {
        lists.iter().map(Vec::len).min().unwrap_or_default()
    };
    if count > MAX_REPEAT_ITEMS {
        return Err(error::limit(format!("\"{name}\" makes more than the maximum of {MAX_REPEAT_ITEMS} items.")));
    }
    let size = cost(&template);
    let mut items = Vec::new();
    for number in 0..count {
        resolver.charge(size)?;
        let replacements = pick(&lists, number, is_nested);
        items.push(substitute(resolver, &keys, &replacements, &template)?);
    }
    Ok(Value::Array(items))
}

/// The `number`th combination: the first list is the outermost loop.
fn pick(lists: &[Vec<Value>], number: usize, is_nested: bool) -> Vec<&Value> {
    if !is_nested {
        return lists.iter().filter_map(|list| list.get(number)).collect();
    }
    let mut rest = number;
    let mut picked: Vec<&Value> = Vec::with_capacity(lists.len());
    for list in lists.iter().rev() {
        picked.extend(list.get(rest % list.len().max(1)));
        rest /= list.len().max(1);
    }
    picked.reverse();
    picked
}

fn substitute(resolver: &Resolver<'_>, keys: &[String], values: &[&Value], template: &Value) -> Result<Value> {
    match template {
        Value::String(text) => substitute_text(resolver, keys, values, text).map(Value::String),
        Value::Array(items) => items
            .iter()
            .map(|item| substitute(resolver, keys, values, item))
            .collect::<Result<Vec<_>>>()
            .map(Value::Array),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| {
                Ok((substitute_text(resolver, keys, values, key)?, substitute(resolver, keys, values, item)?))
            })
            .collect::<Result<Map<_, _>>>()
            .map(Value::Object),
        other => Ok(other.clone()),
    }
}

fn substitute_text(resolver: &Resolver<'_>, keys: &[String], values: &[&Value], text: &str) -> Result<String> {
    let mut text = text.to_owned();
    for (key, value) in keys.iter().zip(values) {
        let Value::String(value) = value else {
            return Err(failure(format!("replace() argument 2 must be str, not {}", python::type_name(value))));
        };
        if key.is_empty() {
            return Err(failure("the placeholders of \"for_each\" must not be empty"));
        }
        let found = text.matches(key.as_str()).count();
        if found > 0 {
            resolver.charge(text.len() + value.len().saturating_mul(found))?;
            text = text.replace(key.as_str(), value);
        }
    }
    Ok(text)
}

/// `map_merge: [map, …]`: shallow, the last wins, nulls are skipped.
pub(super) fn map_merge(name: &str, arguments: Value) -> Result<Value> {
    let Value::Array(items) = arguments else {
        return Err(failure(format!(
            "Incorrect arguments to \"{name}\" should be: \"{name}\" : [ {{ \"key1\": \"val1\" }}, {{ \"key2\": \"val2\" }} ]"
        )));
    };
    let mut merged = Map::new();
    for item in items {
        match item {
            Value::Null => {}
            Value::Object(map) => merged.extend(map),
            other => {
                let shown: String = python::repr(&other).chars().take(200).collect();
                return Err(failure(format!(
                    "Incorrect arguments: Items to merge must be maps. {shown} is type <class '{}'> instead of a dict",
                    python::type_name(&other)
                )));
            }
        }
    }
    Ok(Value::Object(merged))
}

/// `map_replace: [map, {keys: {old: new}, values: {old: new}}]`
pub(super) fn map_replace(name: &str, arguments: Value) -> Result<Value> {
    let example = format!(
        "\"{name}\" : [ {{ \"key1\": \"val1\" }}, {{\"keys\": {{\"key1\": \"key2\"}}, \"values\": {{\"val1\": \"val2\"}}}}]"
    );
    let incorrect = || failure(format!("Incorrect arguments to \"{name}\" should be: {example}"));
    let into_map = |value: Value| match value {
        Value::Null => Ok(Map::new()),
        Value::Object(map) => Ok(map),
        _ => Err(failure(format!(
            "Incorrect arguments: to \"{name}\", arguments must be a list of maps. Example:  {example}"
        ))),
    };
    let Value::Array(arguments) = arguments else { return Err(incorrect()) };
    let [map, replacements]: [Value; 2] = arguments.try_into().map_err(|_| incorrect())?;
    let (map, mut replacements) = (into_map(map)?, into_map(replacements)?);
    if replacements.keys().any(|key| key != "keys" && key != "values") {
        return Err(incorrect());
    }
    let new_keys = into_map(replacements.shift_remove("keys").unwrap_or_default())?;
    let new_values = into_map(replacements.shift_remove("values").unwrap_or_default())?;
    let mut out = Map::new();
    for (key, value) in &map {
        let new_key = match new_keys.get(key) {
            None | Some(Value::Null) => key.clone(),
            Some(replacement @ (Value::Array(_) | Value::Object(_))) => {
                return Err(failure(format!("unhashable type: '{}'", python::type_name(replacement))));
            }
            Some(replacement) => {
                let replacement = python::text(replacement);
                if replacement != *key && map.contains_key(&replacement) {
                    return Err(failure(format!("key replacement {replacement} collides with a key in the input map")));
                }
                if out.contains_key(&replacement) {
                    return Err(failure(format!(
                        "key replacement {replacement} collides with a key in the output map"
                    )));
                }
                replacement
            }
        };
        let new_value = value.as_str().and_then(|text| new_values.get(text)).unwrap_or(value);
        out.insert(new_key, new_value.clone());
    }
    Ok(Value::Object(out))
}

/// `filter: [values, list]`: the list without the values.
pub(super) fn filter(name: &str, arguments: Value) -> Result<Value> {
    let pair: Result<[Value; 2], _> = match arguments {
        Value::Array(items) => items.try_into(),
        _ => Err(Vec::new()),
    };
    let Ok([values, sequence]) = pair else {
        return Err(failure(format!("Argument to \"{name}\" must be a list")));
    };
    if !python::is_truthy(&sequence) {
        return Ok(sequence);
    }
    let Value::Array(sequence) = sequence else {
        return Err(failure(format!("\"{name}\" only works with lists")));
    };
    let values = match values {
        Value::Array(values) => values,
        other if !python::is_truthy(&other) => return Ok(Value::Array(sequence)),
        _ => return Err(failure(format!("\"{name}\" filters a list of values"))),
    };
    Ok(Value::Array(
        sequence.into_iter().filter(|item| !values.iter().any(|value| python::equal(value, item))).collect(),
    ))
}

/// `list_concat: [list, …]`, and its variant without repetitions.
pub(super) fn list_concat(name: &str, arguments: Value, unique: bool) -> Result<Value> {
    let Value::Array(lists) = arguments else {
        return Err(failure(format!(
            "Incorrect arguments to \"{name}\" should be: \"{name}\" : [ [ <value 1>, <value 2> ], [ <value 3>, <value 4> ] ]"
        )));
    };
    if let Some(item) = lists.iter().find(|item| !matches!(item, Value::Null | Value::Array(_))) {
        return Err(failure(format!(
            "Incorrect arguments: Items to concat must be lists. {} contains an item that is not a list: {}",
            python::json(&Value::Array(lists.clone()), false),
            python::json(item, false)
        )));
    }
    let mut out: Vec<Value> = Vec::new();
    for item in
        lists.into_iter().filter_map(|list| if let Value::Array(items) = list { Some(items) } else { None }).flatten()
    {
        if unique && out.iter().any(|known| python::equal(known, &item)) {
            continue;
        }
        if unique && out.len() >= MAX_REPEAT_ITEMS {
            return Err(error::limit(format!("\"{name}\" compares at most {MAX_REPEAT_ITEMS} items.")));
        }
        out.push(item);
    }
    Ok(Value::Array(out))
}

/// `contains: [value, sequence]`; the sequence may be text.
pub(super) fn contains(name: &str, arguments: &Value) -> Result<Value> {
    let found = match arguments.as_array().map(Vec::as_slice) {
        Some([value, Value::Array(items)]) => items.iter().any(|item| python::equal(item, value)),
        Some([Value::String(part), Value::String(text)]) => text.contains(part.as_str()),
        Some([other, Value::String(_)]) => {
            return Err(failure(format!(
                "'in <string>' requires string as left operand, not {}",
                python::type_name(other)
            )));
        }
        _ => return Err(failure(format!("Second argument to \"{name}\" should be a sequence."))),
    };
    Ok(Value::Bool(found))
}

/// `Fn::Select: [index or key, list, map or JSON text]`; what is missing becomes the empty string.
pub(super) fn select(name: &str, arguments: Value) -> Result<Value> {
    let nothing = || Value::from("");
    let Some([index, collection]) = arguments.as_array().map(Vec::as_slice) else {
        return Err(failure(format!("Arguments to \"{name}\" must be of the form [index, collection]")));
    };
    let parsed;
    let collection = match collection {
        Value::String(text) if text.is_empty() => return Ok(nothing()),
        Value::String(text) => {
            parsed = serde_json::from_str(text).map_err(|cause| failure(format!("\"{name}\": {cause}")))?;
            &parsed
        }
        other => other,
    };
    match collection {
        Value::Object(map) => match index {
            Value::String(key) => Ok(map.get(key).cloned().unwrap_or_else(nothing)),
            _ => Err(failure(format!("Index to \"{name}\" must be a string"))),
        },
        Value::Array(items) => {
            let index = match index {
                Value::Number(number) => number.as_f64().map(|value| value.trunc() as i64),
                Value::String(text) => python::parse_int(text),
                _ => None,
            }
            .ok_or_else(|| failure(format!("Index to \"{name}\" must be an integer")))?;
            Ok(item_at(items, index).cloned().unwrap_or_else(nothing))
        }
        Value::Null => Ok(nothing()),
        _ => Err(failure(format!("Arguments to {name} not fully resolved"))),
    }
}

/// `Fn::MemberListToMap: [Name, Value, [".member.0.Name=key", ".member.0.Value=door", …]]`
pub(super) fn member_list_to_map(arguments: &Value) -> Result<Value> {
    let Some([Value::String(key_name), Value::String(value_name), Value::Array(members)]) =
        arguments.as_array().map(Vec::as_slice)
    else {
        return Err(failure("Member list must be a list"));
    };
    let mut pairs: std::collections::BTreeMap<u64, (Option<&str>, Option<&str>)> = std::collections::BTreeMap::new();
    for member in members {
        let Value::String(member) = member else {
            return Err(failure("Member list items must be strings"));
        };
        let Some((path, value)) = member.split_once('=') else { continue };
        let Some((number, field)) =
            path.trim_start_matches('.').strip_prefix("member.").and_then(|rest| rest.split_once('.'))
        else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        let pair = pairs.entry(number).or_default();
        if field == key_name {
            pair.0 = Some(value);
        } else if field == value_name {
            pair.1 = Some(value);
        }
    }
    let entries = pairs.into_values().filter_map(|(key, value)| Some((key?.to_owned(), Value::from(value?))));
    Ok(Value::Object(entries.collect()))
}
