//! Merging of `environment_files` by the service, with a strategy per parameter (spec 2.5).

use std::collections::HashMap;

use indexmap::IndexMap;
use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use super::{Environment, Registry, STRATEGIES, into_sections, invalid, map_section, read_text};
use crate::{
    parameters::{ParameterKind, ParameterSchema},
    template::{Files, Template, python},
};

/// How a later file's value joins an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strategy {
    Overwrite,
    Merge,
    DeepMerge,
}

impl Strategy {
    fn from_value(value: &Value) -> Option<Strategy> {
        match value.as_str()? {
            "overwrite" => Some(Strategy::Overwrite),
            "merge" => Some(Strategy::Merge),
            "deep_merge" => Some(Strategy::DeepMerge),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Strategy::Overwrite => "overwrite",
            Strategy::Merge => "merge",
            Strategy::DeepMerge => "deep_merge",
        }
    }
}

/// Merges the named files, first to last, by each parameter's strategy.
///
/// # Errors
/// A named file that was not sent; what [`Environment::parse`] refuses; `ConflictingMergeStrategyForParam`;
/// `InvalidMergeStrategyForParam`.
pub fn merge_files(template: &Template, files: &Files, names: &[String]) -> Result<Environment> {
    let schemas = all_schemas(template, files);
    let mut strategies = HashMap::new();
    let mut merged = Environment::default();
    for name in names {
        let text = files
            .get(name)
            .ok_or_else(|| invalid(format!("environment file \"{name}\" is not among the files of the request")))?;
        let mut sections = into_sections(read_text(text)?)?;
        let in_file = map_section(&mut sections, STRATEGIES)?;
        let parameters = map_section(&mut sections, "parameters")?;
        let defaults = map_section(&mut sections, "parameter_defaults")?;
        let mut pass = Pass { schemas: &schemas, in_file: &in_file, strategies: &mut strategies, file: name };
        pass.merge(&mut merged.parameters, parameters)?;
        pass.merge(&mut merged.parameter_defaults, defaults)?;
        merged.registry.overlay(&Registry::from_map(map_section(&mut sections, "resource_registry")?)?);
        merged.overlay(&Environment::from_map(sections)?);
    }
    Ok(merged)
}

/// The parameters of the template and of every other template among the files; the template's own win.
fn all_schemas(template: &Template, files: &Files) -> IndexMap<String, ParameterSchema> {
    let mut schemas = IndexMap::new();
    for text in files.values().filter(|text| text.contains("emplate_version") || text.contains("FormatVersion")) {
        if let Ok(nested) = Template::parse(text) {
            schemas.extend(nested.parameters().clone());
        }
    }
    schemas.extend(template.parameters().clone());
    schemas
}

/// One file's turn.
struct Pass<'a> {
    schemas: &'a IndexMap<String, ParameterSchema>,
    /// The strategies this file names.
    in_file: &'a Map<String, Value>,
    /// The strategies fixed so far: by the first file that mentions the parameter.
    strategies: &'a mut HashMap<String, Strategy>,
    file: &'a str,
}

impl Pass<'_> {
    fn strategy(&self, name: &str) -> Strategy {
        let default = self.in_file.get("default").and_then(Strategy::from_value).unwrap_or(Strategy::Overwrite);
        match self.in_file.get(name) {
            Some(value) => Strategy::from_value(value).unwrap_or(default),
            None => self.strategies.get(name).copied().unwrap_or(default),
        }
    }

    fn merge(&mut self, old: &mut Map<String, Value>, new: Map<String, Value>) -> Result<()> {
        for (name, value) in &new {
            if value.is_null() || !self.schemas.contains_key(name) {
                continue;
            }
            let strategy = self.strategy(name);
            if *self.strategies.entry(name.clone()).or_insert(strategy) != strategy {
                return Err(Error::invalid(
                    "ConflictingMergeStrategyForParam",
                    format!(
                        "Conflicting merge strategy '{}' for parameter '{name}' in file '{}'.",
                        strategy.as_str(),
                        self.file
                    ),
                ));
            }
        }
        // The first file counts as a whole; in later ones what no template knows is passed over.
        if old.is_empty() {
            *old = new;
            return Ok(());
        }
        for (name, value) in new {
            let Some(schema) = self.schemas.get(&name) else { continue };
            if value.is_null() {
                continue;
            }
            let value = match (self.strategies.get(&name), old.get_mut(&name).map(Value::take)) {
                (None | Some(Strategy::Overwrite), _) => value,
                (Some(strategy), before) => combine(schema, *strategy, before.unwrap_or_default(), value)?,
            };
            old.insert(name, value);
        }
        Ok(())
    }
}

fn combine(schema: &ParameterSchema, strategy: Strategy, old: Value, new: Value) -> Result<Value> {
    let wrong = |text: String| invalid(format!("Invalid parameter in environment {text}."));
    match schema.kind {
        ParameterKind::Boolean => Err(Error::invalid(
            "InvalidMergeStrategyForParam",
            format!("Invalid merge strategy '{}' for parameter '{}'.", strategy.as_str(), schema.name),
        )),
        _ if old.is_null() => Ok(new),
        ParameterKind::Json => {
            let (old, new) = (schema.kind.convert(&old).map_err(wrong)?, schema.kind.convert(&new).map_err(wrong)?);
            match (old, new) {
                (Value::Object(old), Value::Object(new)) => {
                    Ok(Value::Object(merge_maps(old, new, strategy == Strategy::DeepMerge)))
                }
                (Value::Array(old), Value::Array(new)) => Ok(Value::Array([old, new].concat())),
                (_, new) => Ok(new),
            }
        }
        ParameterKind::CommaDelimitedList => match (old, new) {
            (Value::Array(old), Value::Array(new)) => Ok(Value::Array([old, new].concat())),
            (old, new) => Ok(Value::from(format!("{},{}", list_text(&old), list_text(&new)))),
        },
        ParameterKind::String => Ok(Value::from(python::text(&old) + &python::text(&new))),
        ParameterKind::Number => {
            let (old, new) = (python::to_number(&old).map_err(wrong)?, python::to_number(&new).map_err(wrong)?);
            match old.as_i64().zip(new.as_i64()).and_then(|(old, new)| old.checked_add(new)) {
                Some(sum) => Ok(Value::from(sum)),
                None => Ok(Value::from(old.as_f64().unwrap_or_default() + new.as_f64().unwrap_or_default())),
            }
        }
    }
}

fn list_text(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(python::text).collect::<Vec<_>>().join(","),
        other => python::text(other),
    }
}

/// Shallow: keys of the new map win. Deep: maps merge, lists and texts are joined.
fn merge_maps(mut old: Map<String, Value>, new: Map<String, Value>, deep: bool) -> Map<String, Value> {
    for (key, value) in new {
        if value.is_null() {
            continue;
        }
        let merged = match (old.get_mut(&key).map(Value::take), value) {
            (Some(Value::Object(before)), Value::Object(after)) if deep => {
                Value::Object(merge_maps(before, after, deep))
            }
            (Some(Value::Array(before)), Value::Array(after)) if deep => Value::Array([before, after].concat()),
            (Some(Value::String(before)), Value::String(after)) if deep => Value::String(before + &after),
            (_, value) => value,
        };
        old.insert(key, merged);
    }
    old
}
