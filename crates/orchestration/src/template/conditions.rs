//! Deciding the `conditions` section: once per operation, in whatever order they refer to each other.

use std::collections::HashSet;

use indexmap::IndexMap;
use sahab_contract::{Error, Kind, Result};
use serde_json::Value;

use super::{Expression, Inputs, NoResources, Resolved, Scope, error, python};

/// The code of the signal "decide this condition first". It never leaves [`decide`].
const PENDING: &str = "ConditionPending";

pub(super) fn pending(name: &str) -> Error {
    Error::new(Kind::Internal, PENDING, name)
}

/// A condition's definition has to be a boolean or a call.
pub(super) fn check_definition(name: &str, definition: &Expression) -> Result<()> {
    match definition {
        Expression::Literal(Value::Bool(_)) | Expression::Call(_) => Ok(()),
        other => Err(invalid_definition(name, &other.to_literal().unwrap_or_default())),
    }
}

fn invalid_definition(name: &str, value: &Value) -> Error {
    error::validation_at(
        Some("Condition validation error"),
        "",
        format!("The definition of condition \"{name}\" is invalid: {}", python::text(value)),
    )
}

/// Decides every condition of the template into `inputs.conditions`.
///
/// A condition that fails keeps its error for whoever uses it. One that depends on a parameter without a value (which is
/// tolerated in validation) holds.
pub(super) fn decide(inputs: &mut Inputs) {
    let definitions: IndexMap<String, Expression> = inputs.template.conditions.clone();
    for first in definitions.keys() {
        // An explicit stack instead of recursion: a chain may be as long as the template.
        let mut stack = vec![first.clone()];
        let mut waiting: HashSet<String> = HashSet::from([first.clone()]);
        while let Some(name) = stack.last().cloned() {
            let outcome = match inputs.conditions.get(&name) {
                Some(outcome) => outcome.clone(),
                None => definitions.get(&name).map_or(Ok(true), |definition| evaluate(&name, definition, inputs)),
            };
            let outcome = match outcome {
                Err(signal) if signal.code() == PENDING => {
                    let next = signal.message().to_owned();
                    if waiting.insert(next.clone()) {
                        stack.push(next);
                        continue;
                    }
                    Err(error::validation_at(
                        Some("Condition validation error"),
                        "",
                        format!("Circular definition for condition \"{next}\""),
                    ))
                }
                other => other,
            };
            inputs.conditions.insert(name.clone(), outcome);
            waiting.remove(&name);
            stack.pop();
        }
    }
}

fn evaluate(name: &str, definition: &Expression, inputs: &Inputs) -> Result<bool> {
    match definition.resolve(&Scope { inputs, resources: &NoResources })? {
        Resolved::Value(Value::Bool(flag)) => Ok(flag),
        Resolved::Value(other) => Err(invalid_definition(name, &other)),
        Resolved::Unknown => Ok(true),
        Resolved::Omitted => Err(invalid_definition(name, &Value::Null)),
    }
}
