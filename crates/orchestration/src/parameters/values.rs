//! The values of a stack's parameters.

use indexmap::IndexMap;
use sahab_contract::Result;
use serde_json::{Map, Value};

use super::{CustomCheck, ParameterSchema};
use crate::template::Template;

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

/// Typed values of every parameter that has one, pseudo parameters included.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    entries: IndexMap<String, (Option<ParameterSchema>, Option<Value>)>,
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
        let _ = (template, given, defaults, pseudo);
        Err(sahab_contract::Error::internal("not yet written"))
    }

    /// As [`Self::new`], but parameters without a value are tolerated (`/validate`).
    pub fn lenient(
        template: &Template,
        given: &Map<String, Value>,
        defaults: &Map<String, Value>,
        pseudo: &PseudoParameters,
    ) -> Result<Parameters> {
        let _ = (template, given, defaults, pseudo);
        Err(sahab_contract::Error::internal("not yet written"))
    }

    /// The typed value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entries.get(name).and_then(|(_, value)| value.as_ref())
    }

    /// Custom constraints the engine has to ask services about.
    pub fn custom_checks(&self) -> Vec<CustomCheck> {
        Vec::new()
    }

    /// Every parameter as a string, hidden ones masked: the `parameters` of a stack (spec 1.8).
    pub fn to_strings(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Names of parameters whose value must not be shown.
    pub fn hidden_names(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Refuses an update that changes an immutable parameter (`ImmutableParameterModified`).
    pub fn check_immutable(&self, previous: &Parameters) -> Result<()> {
        let _ = previous;
        Err(sahab_contract::Error::internal("not yet written"))
    }
}
