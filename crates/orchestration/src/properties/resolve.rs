//! From a resource's property expressions to typed, checked values (spec 2.4).
//!
//! Parts that depend on resources which do not exist yet stay unknown: their neighbours are still checked, they are not.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use super::{
    PropertyKind, PropertySchema, PropertySchemas, Schema,
    convert::{self, Tree},
};
use crate::{
    parameters::{ConstraintKind, CustomCheck},
    template::{Expression, Resolved, Scope, error, expression::resolve::Resolver},
};

/// The outcome of resolving a property section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResolvedProperties {
    /// Every declared property that has a value, in the schema's order, defaults filled in; typed. Properties without
    /// value and default are absent; inside maps with declared keys such keys are there and null, as upstream sends them.
    /// Unknown parts are null.
    pub values: Map<String, Value>,
    /// The properties that contain a part that is not known yet.
    pub unknown: BTreeSet<String>,
    /// The properties the user gave (no default).
    pub given: BTreeSet<String>,
    /// Custom constraints the engine has to ask services about (known values only).
    pub custom_checks: Vec<CustomCheck>,
}

impl ResolvedProperties {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(Value::as_bool)
    }
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }
    pub fn list(&self, name: &str) -> Option<&Vec<Value>> {
        self.get(name).and_then(Value::as_array)
    }
    pub fn map(&self, name: &str) -> Option<&Map<String, Value>> {
        self.get(name).and_then(Value::as_object)
    }
}

/// Resolves a section; `path` is its place (`resources.a.properties`) for error texts.
///
/// # Errors
/// `StackValidationFailed`: `Property error: resources.a.properties.x: …`; `ResourcePropertyConflict` when a property is
/// given under its old and its new name.
pub fn resolve(
    schema: &PropertySchemas,
    section: Option<&Expression>,
    scope: &Scope<'_>,
    path: &str,
) -> Result<ResolvedProperties> {
    let resolver = Resolver::new(*scope);
    let mut entries = IndexMap::new();
    match section {
        None => {}
        Some(Expression::Map(map)) => {
            for (key, expression) in map {
                let place = join(path, key);
                let tree = evaluate(&resolver, expression).map_err(|cause| property_error(&place, &cause))?;
                entries.insert(key.clone(), tree);
            }
        }
        Some(whole) => match evaluate(&resolver, whole).map_err(|cause| property_error(path, &cause))? {
            Tree::Map(map) => entries = map,
            Tree::Unknown => {
                let unknown = schema.keys().map(|name| name.to_string()).collect();
                return Ok(ResolvedProperties { unknown, ..ResolvedProperties::default() });
            }
            Tree::Scalar(Value::Null) | Tree::Omitted => {}
            other => return Err(property_error(path, &error::validation(convert::not_a_map(&other)))),
        },
    }
    let mut walk = Walk { custom_checks: Vec::new() };
    let mut entries = walk.check_keys(schema, entries, path)?;
    let mut resolved = ResolvedProperties::default();
    for (name, property) in schema.iter().filter(|(_, property)| property.alias_of.is_none()) {
        let tree = entries.swap_remove(name.as_ref());
        if tree.as_ref().is_some_and(|tree| !tree.is_absent()) {
            resolved.given.insert(name.to_string());
        }
        let outcome = walk.property(name, property, tree, path)?;
        if outcome.has_unknown {
            resolved.unknown.insert(name.to_string());
        }
        if let Some(value) = outcome.value {
            resolved.values.insert(name.to_string(), value);
        }
    }
    resolved.custom_checks = walk.custom_checks;
    Ok(resolved)
}

/// Resolves function calls, keeping the parts around unknown ones.
fn evaluate(resolver: &Resolver<'_>, expression: &Expression) -> Result<Tree> {
    Ok(match expression {
        Expression::List(items) => {
            let mut trees = Vec::with_capacity(items.len());
            for item in items {
                match evaluate(resolver, item)? {
                    Tree::Omitted => {}
                    tree => trees.push(tree),
                }
            }
            Tree::List(trees)
        }
        Expression::Map(entries) => {
            let mut trees = IndexMap::new();
            for (key, item) in entries {
                match evaluate(resolver, item)? {
                    Tree::Omitted => {}
                    tree => {
                        trees.insert(key.clone(), tree);
                    }
                }
            }
            Tree::Map(trees)
        }
        Expression::Literal(_) | Expression::Call(_) => match resolver.resolve(expression)? {
            Resolved::Value(value) => Tree::from(value),
            Resolved::Unknown => Tree::Unknown,
            Resolved::Omitted => Tree::Omitted,
        },
    })
}

/// `path.key`, or `path[0]` for what looks like an index, as upstream prints paths.
pub(super) fn join(path: &str, key: &str) -> String {
    if !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("{path}[{key}]")
    } else if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn property_error(path: &str, cause: &Error) -> Error {
    if cause.code() == "RequestLimitExceeded" {
        return cause.clone().context(path);
    }
    error::validation_at(Some("Property error"), path, cause.message())
}

/// One property's value (none if it has neither value nor default), and whether part of it is unknown.
struct Outcome {
    value: Option<Value>,
    has_unknown: bool,
}

struct Walk {
    custom_checks: Vec<CustomCheck>,
}

impl Walk {
    /// Refuses undeclared keys and moves values from legacy names to current ones.
    fn check_keys(
        &self,
        schema: &PropertySchemas,
        entries: IndexMap<String, Tree>,
        path: &str,
    ) -> Result<IndexMap<String, Tree>> {
        if let Some(key) = entries.keys().find(|key| !schema.contains_key(key.as_str())) {
            return Err(error::validation_at(Some("Property error"), path, format!("Unknown Property {key}")));
        }
        let mut named: IndexMap<String, Tree> = IndexMap::with_capacity(entries.len());
        for (key, tree) in entries {
            if tree.is_absent() {
                continue;
            }
            let property = &schema[key.as_str()];
            let (name, tree) = match &property.alias_of {
                None => (key.clone(), tree),
                Some(name) => {
                    let wants_list =
                        schema.get(name.as_ref()).is_some_and(|current| current.kind == PropertyKind::List);
                    let tree =
                        if wants_list && property.kind != PropertyKind::List { Tree::List(vec![tree]) } else { tree };
                    (name.to_string(), tree)
                }
            };
            if named.insert(name.clone(), tree).is_some() {
                return Err(Error::invalid(
                    "ResourcePropertyConflict",
                    format!(
                        "Cannot define the following properties at the same time: {name}, {}.",
                        legacy(schema, &name)
                    ),
                ));
            }
        }
        Ok(named)
    }

    /// One property, declared as `schema`; `path` is the place of the map it stands in.
    fn property(&mut self, name: &str, schema: &PropertySchema, tree: Option<Tree>, path: &str) -> Result<Outcome> {
        let place = join(path, name);
        let tree = match tree {
            Some(tree) if !tree.is_absent() => tree,
            _ => match &schema.default {
                Some(default) => Tree::from(default.clone()),
                None if schema.required => {
                    return Err(error::validation_at(
                        Some("Property error"),
                        path,
                        format!("Property {name} not assigned"),
                    ));
                }
                None => return Ok(Outcome { value: None, has_unknown: false }),
            },
        };
        let (value, has_unknown) = self.value(schema, tree, &place)?;
        Ok(Outcome { value: Some(value), has_unknown })
    }

    /// Converts and checks one value; the flag says whether part of it is unknown.
    fn value(&mut self, schema: &PropertySchema, tree: Tree, path: &str) -> Result<(Value, bool)> {
        let failed = |message: String| error::validation_at(Some("Property error"), path, message);
        let (value, has_unknown) = match (tree, schema.kind) {
            (Tree::Unknown, _) => return Ok((Value::Null, true)),
            (tree, PropertyKind::List) => {
                let items = convert::into_list(tree, schema.converts).map_err(failed)?;
                self.list(&schema.schema, items, path)?
            }
            (tree, PropertyKind::Map) => match convert::into_map(tree, schema.converts).map_err(failed)? {
                convert::Entries::Map(entries) => self.map(&schema.schema, entries, path)?,
                convert::Entries::Text(text) => (Value::String(text), false),
            },
            (tree, PropertyKind::Any) => tree.into_value(),
            (tree, kind) => (convert::scalar(kind, tree).map_err(failed)?, false),
        };
        if !has_unknown {
            self.check_constraints(schema, &value, path)?;
        }
        Ok((value, has_unknown))
    }

    fn list(&mut self, schema: &Schema, items: Vec<Tree>, path: &str) -> Result<(Value, bool)> {
        let mut values = Vec::with_capacity(items.len());
        let mut has_unknown = false;
        for (index, item) in items.into_iter().enumerate() {
            let (value, unknown) = match schema {
                Schema::Items(item_schema) => {
                    // A null item is the type's empty value.
                    let item = if item.is_absent() { convert::empty(item_schema) } else { item };
                    self.value(item_schema, item, &format!("{path}[{index}]"))?
                }
                Schema::Open | Schema::Keys(_) => item.into_value(),
            };
            has_unknown |= unknown;
            values.push(value);
        }
        Ok((Value::Array(values), has_unknown))
    }

    fn map(&mut self, schema: &Schema, entries: IndexMap<String, Tree>, path: &str) -> Result<(Value, bool)> {
        let Schema::Keys(keys) = schema else {
            return Ok(Tree::Map(entries).into_value());
        };
        let mut entries = self.check_keys(keys, entries, path)?;
        let mut values = Map::new();
        let mut has_unknown = false;
        for (name, property) in keys.iter().filter(|(_, property)| property.alias_of.is_none()) {
            let outcome = self.property(name, property, entries.swap_remove(name.as_ref()), path)?;
            has_unknown |= outcome.has_unknown;
            values.insert(name.to_string(), outcome.value.unwrap_or_default());
        }
        Ok((Value::Object(values), has_unknown))
    }

    fn check_constraints(&mut self, schema: &PropertySchema, value: &Value, path: &str) -> Result<()> {
        for constraint in &schema.constraints {
            constraint
                .check(value, schema.kind.value_kind())
                .map_err(|message| error::validation_at(Some("Property error"), path, message))?;
            if let (ConstraintKind::Custom(name), false) = (&constraint.kind, value.is_null()) {
                self.custom_checks.push(CustomCheck {
                    context: format!("Property error: {path}"),
                    constraint: name.clone(),
                    value: value.clone(),
                    description: constraint.description.clone(),
                });
            }
        }
        Ok(())
    }
}

fn legacy(schema: &PropertySchemas, name: &str) -> String {
    let aliases = schema.iter().filter(|(_, property)| property.alias_of.as_deref() == Some(name));
    aliases.map(|(alias, _)| alias.as_ref()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
