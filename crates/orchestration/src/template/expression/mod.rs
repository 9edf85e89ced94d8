//! Template values: data with calls of intrinsic functions in it.
//!
//! An [`Expression`] is parsed once per template ([`Expression::parse`], gated by the template's version) and then
//! validated, asked for its references and resolved any number of times. Functions are recognised exactly as upstream
//! does: a map with one key that names a function of the version; anything else is data.
//!
//! Invariants: a value that depends on a resource that does not exist yet resolves to [`Resolved::Unknown`] as a whole;
//! only the branch of an `if` that is taken is resolved or asked for references; what one resolution may build is bounded
//! (see [`resolve`]).

mod inspect;
mod parse;
pub(crate) mod resolve;
mod table;

mod collections;
mod text;
mod url;

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use sahab_contract::Result;
use serde_json::Value;

use super::{Files, References, Template, Version, error};
use crate::parameters::Parameters;
pub(crate) use table::{Context, Function, describe};

/// A value of a template: literal data, or a function call somewhere inside.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A scalar.
    Literal(Value),
    List(Vec<Expression>),
    Map(IndexMap<String, Expression>),
    Call(Box<Call>),
}

/// A call of an intrinsic function.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub(crate) function: Function,
    /// As written in the template.
    pub(crate) name: String,
    pub(crate) arguments: Expression,
    /// The call's place: `resources.a.properties.x.get_attr`.
    pub(crate) path: String,
}

/// The outcome of resolving an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    Value(Value),
    /// It depends on a resource that does not exist yet.
    Unknown,
    /// `if` without an else branch whose condition is false: the list item or map key that holds it disappears.
    Omitted,
}

/// An answer of a [`ResourceView`].
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    Known(Value),
    Unknown,
}

/// The living half of the world an expression is resolved in. The engine implements it, or fills a
/// [`super::FetchedResources`].
pub trait ResourceView: Send + Sync {
    /// `get_resource`. The named resource exists in the template and is switched on.
    fn reference_id(&self, resource: &str) -> Result<Lookup>;
    /// `get_attr: [resource, attribute, path…]`; the path has to be applied (see [`select_path`]).
    fn attribute(&self, resource: &str, attribute: &str, path: &[Value]) -> Result<Lookup>;
    /// `get_attr: [resource]`: a map of all attributes except `show`.
    fn all_attributes(&self, resource: &str) -> Result<Lookup>;
}

/// The parent resource a nested template stands for, as `resource_facade` sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceFacade {
    pub metadata: Value,
    pub deletion_policy: Value,
    pub update_policy: Value,
}

/// The fixed half of the world: constant during one operation on a stack.
#[derive(Clone, Debug)]
pub struct Inputs {
    pub(crate) template: Arc<Template>,
    pub(crate) parameters: Parameters,
    pub(crate) files: Arc<Files>,
    pub(crate) facade: Option<ResourceFacade>,
    /// Decided conditions; one that cannot be decided fails whoever uses it.
    pub(crate) conditions: IndexMap<String, Result<bool>>,
    /// The resources whose condition holds.
    pub(crate) enabled: IndexSet<String>,
}

/// Both halves.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub inputs: &'a Inputs,
    pub resources: &'a dyn ResourceView,
}

impl Expression {
    /// Parses a template value; `path` is its place in the template (`resources.a.properties`).
    pub fn parse(version: Version, value: &Value, path: &str) -> Result<Expression> {
        parse::parse(version, Context::Value, value, path)
    }

    /// Parses what stands where a condition is expected.
    pub fn parse_condition(version: Version, value: &Value, path: &str) -> Result<Expression> {
        parse::parse(version, Context::Condition, value, path)
    }

    /// Computes the value.
    ///
    /// # Errors
    /// Upstream's text without a place; the caller adds which property or output it belongs to.
    pub fn resolve(&self, scope: &Scope<'_>) -> Result<Resolved> {
        resolve::Resolver::new(*scope).resolve(self)
    }

    /// What it reads from other resources (the taken branch of each `if` only).
    ///
    /// # Errors
    /// `InvalidTemplateReference` for resources that do not exist.
    pub fn references(&self, inputs: &Inputs) -> Result<References> {
        let mut references = References::default();
        inspect::collect(self, inputs, &mut references)?;
        Ok(references)
    }

    /// Checks what can be checked without resolving; `has_attribute(resource, attribute)` knows the resource types.
    pub fn validate(&self, inputs: &Inputs, has_attribute: &dyn Fn(&str, &str) -> bool) -> Result<()> {
        inspect::validate(self, inputs, has_attribute)
    }

    /// The items, if this is a literal list.
    pub fn as_list(&self) -> Option<&[Expression]> {
        match self {
            Expression::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if this is a literal map.
    pub fn as_map(&self) -> Option<&IndexMap<String, Expression>> {
        match self {
            Expression::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The text, if this is a literal string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Expression::Literal(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The value, if there is no call inside.
    pub fn to_literal(&self) -> Option<Value> {
        match self {
            Expression::Literal(value) => Some(value.clone()),
            Expression::List(items) => {
                items.iter().map(Expression::to_literal).collect::<Option<_>>().map(Value::Array)
            }
            Expression::Map(entries) => entries
                .iter()
                .map(|(key, item)| Some((key.clone(), item.to_literal()?)))
                .collect::<Option<_>>()
                .map(Value::Object),
            Expression::Call(_) => None,
        }
    }
}

impl Inputs {
    /// Whether a condition holds: a literal, or the name of one.
    pub(crate) fn condition(&self, value: &Value) -> Result<bool> {
        match value {
            Value::Null => Ok(true),
            Value::Bool(flag) => Ok(*flag),
            Value::String(name) => match self.conditions.get(name) {
                Some(outcome) => outcome.clone(),
                // While the conditions are being decided; never seen outside (see `conditions`).
                None if self.template.conditions.contains_key(name) => Err(super::conditions::pending(name)),
                None => Err(invalid_condition(value)),
            },
            _ => Err(invalid_condition(value)),
        }
    }
}

fn invalid_condition(value: &Value) -> sahab_contract::Error {
    error::validation(format!("Invalid condition \"{}\"", super::python::text(value)))
}

/// Walks `path` into an attribute's value: maps by key, lists by integer only; anything missing is null (spec 2.6).
pub fn select_path(value: &Value, path: &[Value]) -> Value {
    let mut current = value;
    for key in path {
        let next = match (current, key) {
            (Value::Object(map), Value::String(key)) => map.get(key),
            (Value::Object(map), Value::Number(key)) => map.get(&key.to_string()),
            (Value::Array(list), Value::Number(index)) => index.as_i64().and_then(|index| item_at(list, index)),
            // Text has characters, as in Python; nothing can follow one.
            (Value::String(text), Value::Number(index)) => {
                let characters: Vec<char> = text.chars().collect();
                let character = index.as_i64().and_then(|index| item_at(&characters, index));
                return character.map_or(Value::Null, |c| Value::from(c.to_string()));
            }
            _ => None,
        };
        match next {
            Some(next) => current = next,
            None => return Value::Null,
        }
    }
    current.clone()
}

/// Python's indexing: negative indexes count from the end.
pub(crate) fn item_at<T>(items: &[T], index: i64) -> Option<&T> {
    let index = if index < 0 { index.checked_add(i64::try_from(items.len()).ok()?)? } else { index };
    items.get(usize::try_from(index).ok()?)
}

#[cfg(test)]
mod tests;
