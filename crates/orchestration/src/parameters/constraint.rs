//! Constraints on values, shared by parameters and properties.

use serde_json::{Number, Value};

use super::pattern::compile;
use crate::template::python;

/// One constraint; `description` replaces the generated error text.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    pub kind: ConstraintKind,
    pub description: Option<String>,
}

/// What is demanded of the value.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstraintKind {
    Range {
        min: Option<Number>,
        max: Option<Number>,
    },
    Length {
        min: Option<u64>,
        max: Option<u64>,
    },
    Modulo {
        step: i64,
        offset: i64,
    },
    AllowedValues(Vec<Value>),
    AllowedPattern(String),
    /// Asked of a service by name, e.g. `neutron.network`.
    Custom(String),
}

/// How the values of a type compare with `allowed_values`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    String,
    Integer,
    Number,
    Boolean,
    List,
    Map,
    Any,
}

/// A custom constraint waiting to be asked: does `value` satisfy `constraint`?
///
/// On a no, the error is `StackValidationFailed` with [`CustomCheck::failure`].
#[derive(Clone, Debug, PartialEq)]
pub struct CustomCheck {
    /// `Parameter 'p' is invalid` or `Property error: resources.a.properties.b`.
    pub context: String,
    pub constraint: String,
    pub value: Value,
    pub description: Option<String>,
}

impl CustomCheck {
    /// The whole message when the check fails; `reason` is the service's text
    /// (`Error validating value 'zz': Unable to find network with name or id 'zz'`).
    pub fn failure(&self, reason: &str) -> sahab_contract::Error {
        let text = self.description.as_deref().unwrap_or(reason);
        crate::template::error::validation(format!("{}: {text}", self.context))
    }
}

impl Constraint {
    /// Checks a value; custom constraints always pass here.
    ///
    /// # Errors
    /// The constraint's description, or upstream's text.
    pub(crate) fn check(&self, value: &Value, kind: ValueKind) -> Result<(), String> {
        match self.kind.is_met(value, kind) {
            Ok(true) => Ok(()),
            Ok(false) => Err(match &self.description {
                Some(text) if !text.is_empty() => text.clone(),
                _ => self.kind.complaint(value),
            }),
            Err(message) => Err(message),
        }
    }
}

impl ConstraintKind {
    /// Upstream's class name.
    pub(crate) fn class_name(&self) -> &'static str {
        match self {
            ConstraintKind::Range { .. } => "Range",
            ConstraintKind::Length { .. } => "Length",
            ConstraintKind::Modulo { .. } => "Modulo",
            ConstraintKind::AllowedValues(_) => "AllowedValues",
            ConstraintKind::AllowedPattern(_) => "AllowedPattern",
            ConstraintKind::Custom(_) => "CustomConstraint",
        }
    }

    /// Whether the constraint makes sense for values of that kind.
    pub(crate) fn applies_to(&self, kind: ValueKind) -> bool {
        match self {
            ConstraintKind::Range { .. } | ConstraintKind::Modulo { .. } => {
                matches!(kind, ValueKind::Integer | ValueKind::Number)
            }
            ConstraintKind::Length { .. } => matches!(kind, ValueKind::String | ValueKind::List | ValueKind::Map),
            ConstraintKind::AllowedValues(_) | ConstraintKind::Custom(_) => {
                !matches!(kind, ValueKind::Map | ValueKind::Any)
            }
            ConstraintKind::AllowedPattern(_) => kind == ValueKind::String,
        }
    }

    fn is_met(&self, value: &Value, kind: ValueKind) -> Result<bool, String> {
        match self {
            ConstraintKind::Range { min, max } => {
                let number = python::to_number(value)?;
                Ok(min.as_ref().is_none_or(|min| !less(&number, min))
                    && max.as_ref().is_none_or(|max| !less(max, &number)))
            }
            ConstraintKind::Length { min, max } => {
                let length = length(value)?;
                Ok(min.is_none_or(|min| length >= min) && max.is_none_or(|max| length <= max))
            }
            ConstraintKind::Modulo { step, offset } => {
                let number = python::to_number(value)?;
                Ok(match number.as_i64() {
                    Some(whole) => floor_modulo(whole, *step) == Some(*offset),
                    None => number.as_f64().is_some_and(|value| {
                        let step = *step as f64;
                        value - step * (value / step).floor() == *offset as f64
                    }),
                })
            }
            ConstraintKind::AllowedValues(allowed) => {
                if let Value::Array(items) = value {
                    return Ok(items.iter().all(|item| allowed.iter().any(|allowed| python::equal(allowed, item))));
                }
                let value = as_kind(value, kind)?;
                for candidate in allowed {
                    if python::equal(&as_kind(candidate, kind)?, &value) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            ConstraintKind::AllowedPattern(pattern) => {
                let text = python::text(value);
                let found = compile(pattern)?.find(&text).ok().flatten();
                Ok(found.is_some_and(|found| found.end() == text.len()))
            }
            ConstraintKind::Custom(_) => Ok(true),
        }
    }

    fn complaint(&self, value: &Value) -> String {
        let bound = |bound: Option<String>| bound.unwrap_or_else(|| "None".into());
        match self {
            ConstraintKind::Range { min, max } => format!(
                "{} is out of range (min: {}, max: {})",
                python::text(value),
                bound(min.as_ref().map(python::number_text)),
                bound(max.as_ref().map(python::number_text))
            ),
            ConstraintKind::Length { min, max } => format!(
                "length ({}) is out of range (min: {}, max: {})",
                length(value).unwrap_or_default(),
                bound(min.map(|min| min.to_string())),
                bound(max.map(|max| max.to_string()))
            ),
            ConstraintKind::Modulo { step, offset } => {
                format!("{} is not a multiple of {step} with an offset of {offset}", python::text(value))
            }
            ConstraintKind::AllowedValues(allowed) => format!(
                "{} is not an allowed value {}",
                python::json(value, false),
                python::json(&Value::Array(allowed.clone()), false)
            ),
            ConstraintKind::AllowedPattern(pattern) => {
                format!("\"{}\" does not match pattern \"{pattern}\"", python::text(value))
            }
            ConstraintKind::Custom(name) => format!("\"{}\" does not validate {name}", python::text(value)),
        }
    }
}

fn less(a: &Number, b: &Number) -> bool {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a < b,
        _ => a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| a < b),
    }
}

/// Python's `%`: the result has the sign of the divisor.
fn floor_modulo(value: i64, step: i64) -> Option<i64> {
    let rest = value.checked_rem(step)?;
    Some(if rest != 0 && (rest < 0) != (step < 0) { rest + step } else { rest })
}

fn length(value: &Value) -> Result<u64, String> {
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        other => return Err(format!("object of type '{}' has no len()", python::type_name(other))),
    };
    Ok(length as u64)
}

/// A value as its declared type sees it, for comparison.
pub(crate) fn as_kind(value: &Value, kind: ValueKind) -> Result<Value, String> {
    let type_name = match kind {
        ValueKind::Integer => "Integer",
        ValueKind::Number => "Number",
        ValueKind::Boolean => "Boolean",
        ValueKind::String => return Ok(Value::String(python::text(value))),
        ValueKind::List | ValueKind::Map | ValueKind::Any => return Ok(value.clone()),
    };
    let converted = match kind {
        ValueKind::Boolean => boolean(value).map(Value::Bool).ok(),
        _ => python::to_number(value)
            .ok()
            .filter(|number| kind == ValueKind::Number || !number.is_f64())
            .map(Value::Number),
    };
    converted.ok_or_else(|| format!("Value \"{}\" is invalid for data type \"{type_name}\".", python::text(value)))
}

/// The lenient booleans of parameters.
///
/// # Errors
/// Upstream's text, listing what is accepted.
pub(crate) fn boolean(value: &Value) -> Result<bool, String> {
    match python::text(value).trim().to_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Ok(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Ok(false),
        _ => Err(format!(
            "Unrecognized value '{}', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', \
             'y', 'yes'",
            python::text(value)
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: ConstraintKind, value: Value, value_kind: ValueKind) -> Result<(), String> {
        Constraint { kind, description: None }.check(&value, value_kind)
    }

    #[test]
    fn ranges_and_modulos_compare_numbers_and_numeric_text() {
        let range = || ConstraintKind::Range { min: Some(1.into()), max: Some(5.into()) };
        assert_eq!(check(range(), json!(5), ValueKind::Number), Ok(()));
        assert_eq!(check(range(), json!("3"), ValueKind::Number), Ok(()));
        assert_eq!(check(range(), json!(9), ValueKind::Number), Err("9 is out of range (min: 1, max: 5)".into()));
        let open = ConstraintKind::Range { min: None, max: Some(5.into()) };
        assert_eq!(check(open, json!(5.5), ValueKind::Number), Err("5.5 is out of range (min: None, max: 5)".into()));
        let modulo = || ConstraintKind::Modulo { step: 3, offset: 1 };
        assert_eq!(check(modulo(), json!(7), ValueKind::Number), Ok(()));
        assert_eq!(check(modulo(), json!(-2), ValueKind::Number), Ok(()));
        assert!(check(modulo(), json!(9), ValueKind::Number).unwrap_err().contains("multiple of 3"));
    }

    #[test]
    fn allowed_values_compare_in_the_declared_type() {
        let allowed = || ConstraintKind::AllowedValues(vec![json!(1), json!("2")]);
        assert_eq!(check(allowed(), json!("1"), ValueKind::String), Ok(()));
        assert_eq!(check(allowed(), json!(2), ValueKind::Number), Ok(()));
        assert_eq!(
            check(allowed(), json!("x"), ValueKind::String),
            Err(r#""x" is not an allowed value [1, "2"]"#.into())
        );
        let list = ConstraintKind::AllowedValues(vec![json!("a"), json!("b")]);
        assert_eq!(check(list.clone(), json!(["a", "a"]), ValueKind::List), Ok(()));
        assert!(check(list, json!(["a", "c"]), ValueKind::List).is_err());
    }

    #[test]
    fn a_pattern_has_to_match_the_whole_value_from_its_first_alternative() {
        let pattern = |text: &str| ConstraintKind::AllowedPattern(text.into());
        assert_eq!(check(pattern("[a-z]+"), json!("abc"), ValueKind::String), Ok(()));
        assert!(check(pattern("[a-z]+"), json!("abc1"), ValueKind::String).is_err());
        assert_eq!(check(pattern("(?!x)[a-z]+"), json!("abc"), ValueKind::String), Ok(()));
        assert!(check(pattern("a|ab"), json!("ab"), ValueKind::String).is_err());
    }

    #[test]
    fn the_description_replaces_the_text() {
        let constraint = Constraint {
            kind: ConstraintKind::Length { min: Some(2), max: None },
            description: Some("too short".into()),
        };
        assert_eq!(constraint.check(&json!("a"), ValueKind::String), Err("too short".into()));
        assert_eq!(constraint.check(&json!("éé"), ValueKind::String), Ok(()));
    }
}
