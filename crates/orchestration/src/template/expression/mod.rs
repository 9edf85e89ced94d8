//! Template values: data with calls of intrinsic functions in it.
//!
//! An [`Expression`] is parsed once per template ([`Expression::parse`], gated by the template's version) and then
//! validated, asked for its references and resolved any number of times. Functions are recognised exactly as upstream does: a map with
//! one key that names a function of the version; anything else is data.

use std::sync::Arc;

use indexmap::IndexMap;
use sahab_contract::Result;
use serde_json::Value;

use super::{Files, References, Version};
use crate::parameters::Parameters;

/// A value of a template: literal data, or a function call somewhere inside.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// Data without any call inside.
    Literal(Value),
    List(Vec<Expression>),
    Map(IndexMap<String, Expression>),
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
    pub(super) parameters: Parameters,
    pub(super) files: Arc<Files>,
    pub(super) facade: Option<ResourceFacade>,
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
        let _ = (version, path);
        Ok(Expression::Literal(value.clone()))
    }

    /// Computes the value.
    pub fn resolve(&self, scope: &Scope<'_>) -> Result<Resolved> {
        let _ = scope;
        Err(sahab_contract::Error::internal("not yet written"))
    }

    /// What it reads from other resources (the taken branch of each `if` only).
    pub fn references(&self, inputs: &Inputs) -> Result<References> {
        let _ = inputs;
        Err(sahab_contract::Error::internal("not yet written"))
    }
}

/// Walks `path` into an attribute's value: maps by key, lists by integer only; anything missing is null (spec 2.6).
pub fn select_path(value: &Value, path: &[Value]) -> Value {
    let mut current = value;
    for key in path {
        let next = match (current, key) {
            (Value::Object(map), Value::String(key)) => map.get(key),
            (Value::Object(map), Value::Number(key)) => map.get(&key.to_string()),
            (Value::Array(list), Value::Number(index)) => index.as_i64().and_then(|index| {
                let index = if index < 0 { index + i64::try_from(list.len()).ok()? } else { index };
                list.get(usize::try_from(index).ok()?)
            }),
            _ => None,
        };
        match next {
            Some(next) => current = next,
            None => return Value::Null,
        }
    }
    current.clone()
}
