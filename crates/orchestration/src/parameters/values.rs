//! The values of a stack's parameters.

use std::fmt;

use indexmap::IndexMap;
use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use super::{ConstraintKind, CustomCheck, ParameterKind, ParameterSchema};
use crate::template::{Dialect, Template, error, python};

/// What a hidden value is shown as.
const MASK: &str = "******";

/// What `OS::stack_name` and friends stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PseudoParameters {
    pub stack_name: String,
    /// None while validating and previewing (rendered `None`).
    pub stack_id: Option<String>,
    pub project_id: String,
    /// For `AWS::StackId`.
    pub stack_arn: Option<String>,
    /// For `AWS::Region`.
    pub region: Option<String>,
}

/// One declared parameter.
#[derive(Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) schema: ParameterSchema,
    /// What the user gave.
    pub(super) given: Option<Value>,
    /// The default: the environment's, else the template's.
    pub(super) default: Option<Value>,
    /// The typed value.
    pub(super) value: Option<Value>,
}

/// Typed values of every parameter that has one, pseudo parameters included.
#[derive(Clone, Default)]
pub struct Parameters {
    pseudo: IndexMap<&'static str, Value>,
    pub(super) entries: IndexMap<String, Entry>,
    lenient: bool,
}

impl Parameters {
    /// Combines schemas with `given` (the environment's `parameters`) and `defaults` (its `parameter_defaults`) and
    /// checks every value.
    ///
    /// # Errors
    /// `UserParameterMissing`, `StackValidationFailed` (`Parameter 'p' is invalid: …`), and `UnknownUserParameter` for a
    /// given name that the template lacks.
    pub fn new(
        template: &Template,
        given: &Map<String, Value>,
        defaults: &Map<String, Value>,
        pseudo: &PseudoParameters,
    ) -> Result<Parameters> {
        Self::build(template, given, defaults, pseudo, false)
    }

    /// As [`Self::new`], but parameters without a value are tolerated (`/validate`).
    pub fn lenient(
        template: &Template,
        given: &Map<String, Value>,
        defaults: &Map<String, Value>,
        pseudo: &PseudoParameters,
    ) -> Result<Parameters> {
        Self::build(template, given, defaults, pseudo, true)
    }

    fn build(
        template: &Template,
        given: &Map<String, Value>,
        defaults: &Map<String, Value>,
        pseudo: &PseudoParameters,
        lenient: bool,
    ) -> Result<Parameters> {
        if let Some(name) = given.keys().find(|name| !template.parameters().contains_key(*name)) {
            return Err(error::parameter_unknown(name));
        }
        let present =
            |values: &Map<String, Value>, name: &str| values.get(name).filter(|value| !value.is_null()).cloned();
        let mut entries = IndexMap::new();
        for (name, schema) in template.parameters() {
            let given = present(given, name);
            let default = present(defaults, name).or_else(|| schema.default.clone());
            let value = match given.as_ref().or(default.as_ref()) {
                Some(raw) => Some(typed(schema, raw)?),
                None if lenient => None,
                None => return Err(error::parameter_missing(name)),
            };
            entries.insert(name.clone(), Entry { schema: schema.clone(), given, default, value });
        }
        Ok(Parameters { pseudo: pseudo_values(template.version().dialect(), pseudo), entries, lenient })
    }

    pub(crate) fn is_lenient(&self) -> bool {
        self.lenient
    }

    /// The typed value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.pseudo.get(name).or_else(|| self.entries.get(name).and_then(|entry| entry.value.as_ref()))
    }

    /// Whether such a parameter is declared (or a pseudo parameter), with a value or not.
    pub fn contains(&self, name: &str) -> bool {
        self.pseudo.contains_key(name) || self.entries.contains_key(name)
    }

    /// Custom constraints the engine has to ask services about.
    pub fn custom_checks(&self) -> Vec<CustomCheck> {
        let mut checks = Vec::new();
        for (name, entry) in &self.entries {
            let Some(value) = &entry.value else { continue };
            for constraint in &entry.schema.constraints {
                if let ConstraintKind::Custom(custom) = &constraint.kind {
                    checks.push(CustomCheck {
                        context: format!("Parameter '{name}' is invalid"),
                        constraint: custom.clone(),
                        value: value.clone(),
                        description: constraint.description.clone(),
                    });
                }
            }
        }
        checks
    }

    /// Every parameter as a string, hidden ones masked: the `parameters` of a stack (spec 1.8).
    pub fn to_strings(&self) -> Map<String, Value> {
        let pseudo = self.pseudo.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let own = self.entries.iter().filter_map(|(name, entry)| {
            let value = entry.value.as_ref()?;
            let text = if entry.schema.hidden { MASK.to_owned() } else { value_text(entry.schema.kind, value) };
            Some((name.clone(), Value::String(text)))
        });
        pseudo.chain(own).collect()
    }

    /// Names of parameters whose value must not be shown.
    pub fn hidden_names(&self) -> Vec<&str> {
        self.entries.iter().filter(|(_, entry)| entry.schema.hidden).map(|(name, _)| name.as_str()).collect()
    }

    /// Refuses an update that changes an immutable parameter (`ImmutableParameterModified`). `self` are the new values.
    pub fn check_immutable(&self, previous: &Parameters) -> Result<()> {
        let changed: Vec<&str> = self
            .entries
            .iter()
            .filter(|(name, entry)| {
                let old = previous.entries.get(*name).and_then(|old| old.value.as_ref());
                entry.schema.immutable && old.is_some_and(|old| entry.value.as_ref() != Some(old))
            })
            .map(|(name, _)| name.as_str())
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(
            "ImmutableParameterModified",
            format!("The following parameters are immutable and may not be updated: {}", changed.join(", ")),
        ))
    }
}

/// Names only: values may be secrets.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

fn typed(schema: &ParameterSchema, raw: &Value) -> Result<Value> {
    let invalid = |text: String| error::validation(format!("Parameter '{}' is invalid: {text}", schema.name));
    let converted = schema.kind.convert(raw).map_err(invalid)?;
    schema.meets_constraints(raw, &converted).map_err(invalid)?;
    Ok(converted)
}

fn value_text(kind: ParameterKind, value: &Value) -> String {
    match (kind, value) {
        (ParameterKind::CommaDelimitedList, Value::Array(items)) => {
            items.iter().map(python::text).collect::<Vec<_>>().join(",")
        }
        (ParameterKind::Json, value) => python::json(value, false),
        (_, value) => python::text(value),
    }
}

fn pseudo_values(dialect: Dialect, pseudo: &PseudoParameters) -> IndexMap<&'static str, Value> {
    let or_none = |value: &Option<String>| Value::from(value.as_deref().unwrap_or("None"));
    match dialect {
        Dialect::Hot => IndexMap::from([
            ("OS::stack_id", or_none(&pseudo.stack_id)),
            ("OS::project_id", Value::from(pseudo.project_id.as_str())),
            ("OS::stack_name", Value::from(pseudo.stack_name.as_str())),
        ]),
        Dialect::Cfn => IndexMap::from([
            ("AWS::StackId", or_none(&pseudo.stack_arn)),
            ("AWS::StackName", Value::from(pseudo.stack_name.as_str())),
            ("AWS::Region", Value::from(pseudo.region.as_deref().unwrap_or("ap-southeast-1"))),
        ]),
    }
}

#[cfg(test)]
mod tests;
