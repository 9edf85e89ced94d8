//! Upstream's coercions of property values, with its texts.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{PropertyKind, PropertySchema};
use crate::{parameters::split_list, template::python};

/// A value in which some parts are not known yet.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Unknown,
    /// An `if` without an else branch: as if it were not written.
    Omitted,
    Scalar(Value),
    List(Vec<Tree>),
    Map(IndexMap<String, Tree>),
}

impl From<Value> for Tree {
    fn from(value: Value) -> Tree {
        match value {
            Value::Array(items) => Tree::List(items.into_iter().map(Tree::from).collect()),
            Value::Object(map) => Tree::Map(map.into_iter().map(|(key, item)| (key, Tree::from(item))).collect()),
            scalar => Tree::Scalar(scalar),
        }
    }
}

impl Tree {
    /// Null equals not given.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Tree::Omitted | Tree::Scalar(Value::Null))
    }

    /// The value with null for what is unknown, and whether there was such a part.
    pub(super) fn into_value(self) -> (Value, bool) {
        match self {
            Tree::Unknown => (Value::Null, true),
            Tree::Omitted => (Value::Null, false),
            Tree::Scalar(value) => (value, false),
            Tree::List(items) => {
                let mut has_unknown = false;
                let values = items.into_iter().map(|item| {
                    let (value, unknown) = item.into_value();
                    has_unknown |= unknown;
                    value
                });
                (Value::Array(values.collect()), has_unknown)
            }
            Tree::Map(entries) => {
                let mut has_unknown = false;
                let mut map = Map::new();
                for (key, item) in entries {
                    let (value, unknown) = item.into_value();
                    has_unknown |= unknown;
                    map.insert(key, value);
                }
                (Value::Object(map), has_unknown)
            }
        }
    }

    fn shown(&self) -> Value {
        self.clone().into_value().0
    }
}

pub(super) fn not_a_map(tree: &Tree) -> String {
    format!("\"{}\" is not a map", python::text(&tree.shown()))
}

/// The items of a list property.
pub(super) fn into_list(tree: Tree, converts: bool) -> Result<Vec<Tree>, String> {
    match tree {
        Tree::List(items) => Ok(items),
        Tree::Scalar(Value::String(text)) if converts => match Tree::from(split_list(&text)) {
            Tree::List(items) => Ok(items),
            _ => Ok(Vec::new()),
        },
        other => Err(format!("\"{}\" is not a list", python::repr(&other.shown()))),
    }
}

/// What a map property may turn out to be.
pub(super) enum Entries {
    Map(IndexMap<String, Tree>),
    /// JSON text for a nested template's `json` parameter.
    Text(String),
}

/// The entries of a map property.
pub(super) fn into_map(tree: Tree, converts: bool) -> Result<Entries, String> {
    match tree {
        Tree::Map(entries) => Ok(Entries::Map(entries)),
        Tree::Scalar(Value::String(text)) if converts => Ok(Entries::Text(text)),
        list @ Tree::List(_) if converts => Ok(Entries::Text(python::json(&list.shown(), false))),
        other => Err(not_a_map(&other)),
    }
}

/// The type's empty value, which a null list item stands for.
pub(super) fn empty(schema: &PropertySchema) -> Tree {
    if let Some(default) = &schema.default {
        return Tree::from(default.clone());
    }
    match schema.kind {
        PropertyKind::String => Tree::Scalar(Value::from("")),
        PropertyKind::Integer | PropertyKind::Number => Tree::Scalar(Value::from(0)),
        PropertyKind::Boolean => Tree::Scalar(Value::Bool(false)),
        PropertyKind::List => Tree::List(Vec::new()),
        PropertyKind::Map => Tree::Map(IndexMap::new()),
        PropertyKind::Any => Tree::Scalar(Value::Null),
    }
}

/// A string, integer, number or boolean.
pub(super) fn scalar(kind: PropertyKind, tree: Tree) -> Result<Value, String> {
    let value = tree.into_value().0;
    match kind {
        PropertyKind::String => match &value {
            Value::String(_) => Ok(value),
            Value::Bool(_) => Ok(Value::from(python::text(&value))),
            Value::Number(number) if !number.is_f64() => Ok(Value::from(number.to_string())),
            other => Err(format!("Value must be a string; got {}", python::repr(other))),
        },
        PropertyKind::Integer => integer(&value),
        PropertyKind::Number => python::to_number(&value).map(Value::Number),
        PropertyKind::Boolean => match &value {
            Value::Bool(_) => Ok(value),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
            Value::String(text) => Err(format!("\"{}\" is not a valid boolean", text.to_lowercase())),
            other => Err(format!("\"{}\" is not a valid boolean", python::text(other))),
        },
        PropertyKind::List | PropertyKind::Map | PropertyKind::Any => Ok(value),
    }
}

/// What `int()` takes.
fn integer(value: &Value) -> Result<Value, String> {
    match value {
        Value::Bool(flag) => Ok(Value::from(u8::from(*flag))),
        Value::Number(number) if !number.is_f64() => Ok(value.clone()),
        Value::Number(number) => number
            .as_f64()
            .filter(|value| value.abs() < 9.0e18)
            .map(|value| Value::from(value.trunc() as i64))
            .ok_or_else(|| format!("Value '{}' is not an integer", python::text(value))),
        Value::String(text) => {
            python::parse_int(text).map(Value::from).ok_or_else(|| format!("Value '{text}' is not an integer"))
        }
        other => Err(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            python::type_name(other)
        )),
    }
}
