//! Parameters as `POST /validate` shows them (spec 1.16).

use serde_json::{Map, Value};

use super::{ConstraintKind, Parameters, values::Entry};
use crate::template::python;

/// The `Parameters` object of the validate answer.
pub fn validate_parameters(parameters: &Parameters) -> Map<String, Value> {
    parameters.entries.iter().map(|(name, entry)| (name.clone(), Value::Object(validate_parameter(entry)))).collect()
}

fn validate_parameter(entry: &Entry) -> Map<String, Value> {
    let schema = &entry.schema;
    let mut view = Map::new();
    view.insert("Type".into(), schema.kind.api_name().into());
    view.insert("Description".into(), schema.description.as_deref().unwrap_or_default().into());
    // A string, not a boolean.
    view.insert("NoEcho".into(), if schema.hidden { "true" } else { "false" }.into());
    let label = schema.label.as_deref().filter(|label| !label.is_empty()).unwrap_or(&schema.name);
    view.insert("Label".into(), label.into());
    if let Some(default) = &entry.default {
        view.insert("Default".into(), default.clone());
    }
    if let Some(given) = entry.given.as_ref().filter(|given| python::is_truthy(given)) {
        view.insert("Value".into(), given.clone());
    }
    if !schema.tags.is_empty() {
        view.insert("Tags".into(), Value::Array(schema.tags.clone()));
    }
    let mut descriptions = Vec::new();
    for constraint in &schema.constraints {
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                view.insert(key.into(), value);
            }
        };
        match &constraint.kind {
            ConstraintKind::Length { min, max } => {
                put("MinLength", min.map(Value::from));
                put("MaxLength", max.map(Value::from));
            }
            ConstraintKind::Range { min, max } => {
                put("MinValue", min.clone().map(Value::Number));
                put("MaxValue", max.clone().map(Value::Number));
            }
            ConstraintKind::Modulo { step, offset } => {
                put("Step", Some((*step).into()));
                put("Offset", Some((*offset).into()));
            }
            ConstraintKind::AllowedValues(allowed) => put("AllowedValues", Some(Value::Array(allowed.clone()))),
            ConstraintKind::AllowedPattern(pattern) => put("AllowedPattern", Some(pattern.as_str().into())),
            ConstraintKind::Custom(name) => put("CustomConstraint", Some(name.as_str().into())),
        }
        descriptions.extend(constraint.description.as_deref().filter(|text| !text.is_empty()));
    }
    if !descriptions.is_empty() {
        view.insert("ConstraintDescription".into(), descriptions.join(" ").into());
    }
    view
}
