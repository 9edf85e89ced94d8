//! Constraints on values, shared by parameters and properties.

use serde_json::{Number, Value};

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
