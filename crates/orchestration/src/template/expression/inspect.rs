//! Walking an expression without resolving it: references to other resources, and static validation.

use sahab_contract::{Error, Result};
use serde_json::Value;

use super::{Call, Expression, Function, Inputs, Resolved, Scope, table::AttributeForm};
use crate::template::{AttributeReference, NoResources, References, error};

/// Resolves what must not depend on living resources (names).
fn known(expression: &Expression, inputs: &Inputs) -> Result<Option<Value>> {
    match expression.resolve(&Scope { inputs, resources: &NoResources })? {
        Resolved::Value(value) => Ok(Some(value)),
        Resolved::Unknown | Resolved::Omitted => Ok(None),
    }
}

/// The place of a call as upstream words it in reference errors: `a.Properties.x`.
fn place(call: &Call) -> String {
    let path = call.path.strip_suffix(&format!(".{}", call.name)).unwrap_or(&call.path);
    match path.strip_prefix("resources.").or_else(|| path.strip_prefix("Resources.")) {
        Some(rest) => rest.replacen(".properties", ".Properties", 1).replacen(".metadata", ".Metadata", 1),
        None => path.to_owned(),
    }
}

fn reference_error(call: &Call, name: &Value) -> Error {
    error::reference(&crate::template::python::text(name), &place(call))
}

/// The name of an existing resource, or the error. None if the name depends on a value that is tolerated to be missing.
fn resource_name(call: &Call, name: Option<Value>, inputs: &Inputs) -> Result<Option<String>> {
    match name {
        Some(Value::String(name)) if inputs.enabled.contains(&name) => Ok(Some(name)),
        None if inputs.parameters.is_lenient() => Ok(None),
        other => Err(reference_error(call, &other.unwrap_or_default())),
    }
}

/// The sub-expressions that count: of an `if` the taken branch only.
fn taken<'a>(call: &'a Call, inputs: &Inputs) -> Result<Vec<&'a Expression>> {
    match (call.function, call.arguments.as_list()) {
        (Function::If { .. }, Some([condition, branches @ ..])) => {
            let holds = known(condition, inputs)
                .and_then(|value| inputs.condition(&value.unwrap_or_default()))
                .map_err(|cause| placed(call, cause))?;
            Ok(branches.get(usize::from(!holds)).into_iter().collect())
        }
        _ => Ok(vec![&call.arguments]),
    }
}

fn placed(call: &Call, cause: Error) -> Error {
    error::validation_at(None, &call.path, cause.message())
}

pub(super) fn collect(expression: &Expression, inputs: &Inputs, found: &mut References) -> Result<()> {
    match expression {
        Expression::Literal(_) => Ok(()),
        Expression::List(items) => items.iter().try_for_each(|item| collect(item, inputs, found)),
        Expression::Map(entries) => entries.values().try_for_each(|item| collect(item, inputs, found)),
        Expression::Call(call) => {
            for part in taken(call, inputs)? {
                collect(part, inputs, found)?;
            }
            collect_own(call, inputs, found)
        }
    }
}

fn collect_own(call: &Call, inputs: &Inputs, found: &mut References) -> Result<()> {
    match call.function {
        Function::GetResource => {
            found.ids.extend(resource_name(call, known(&call.arguments, inputs)?, inputs)?);
        }
        Function::Ref => {
            let name = known(&call.arguments, inputs)?;
            match &name {
                Some(Value::String(name)) if inputs.enabled.contains(name) => {
                    found.ids.insert(name.clone());
                }
                Some(Value::String(name)) if inputs.parameters.contains(name) => {}
                None if inputs.parameters.is_lenient() => {}
                _ => return Err(reference_error(call, &name.unwrap_or_default())),
            }
        }
        Function::GetAttr(form) => {
            let Some([resource, rest @ ..]) = call.arguments.as_list() else { return Ok(()) };
            let Some(resource) = resource_name(call, known(resource, inputs)?, inputs)? else { return Ok(()) };
            let attribute = match rest.first() {
                Some(attribute) => match known(attribute, inputs)? {
                    Some(Value::String(name)) => Some(name),
                    // Its name depends on another resource: whatever it is, all attributes contain it.
                    _ => None,
                },
                None => None,
            };
            let mut path = Vec::new();
            if attribute.is_some() && form != AttributeForm::ThenSelect {
                for part in rest.iter().skip(1) {
                    match known(part, inputs)? {
                        Some(key) => path.push(key),
                        None => break,
                    }
                }
            }
            found.attributes.insert(AttributeReference { resource, attribute, path });
        }
        Function::Broken => return Err(broken(call)),
        _ => {}
    }
    Ok(())
}

/// The error kept in a branch that could not be parsed; it names its own place.
fn broken(call: &Call) -> Error {
    error::validation(call.arguments.as_str().unwrap_or_default())
}

pub(super) fn validate(
    expression: &Expression,
    inputs: &Inputs,
    has_attribute: &dyn Fn(&str, &str) -> bool,
) -> Result<()> {
    match expression {
        Expression::Literal(_) => Ok(()),
        Expression::List(items) => items.iter().try_for_each(|item| validate(item, inputs, has_attribute)),
        Expression::Map(entries) => entries.values().try_for_each(|item| validate(item, inputs, has_attribute)),
        Expression::Call(call) if call.function == Function::Broken => Err(broken(call)),
        Expression::Call(call) => {
            for part in taken(call, inputs)? {
                validate(part, inputs, has_attribute)?;
            }
            validate_own(call, inputs, has_attribute).map_err(|cause| placed(call, cause))
        }
    }
}

fn validate_own(call: &Call, inputs: &Inputs, has_attribute: &dyn Fn(&str, &str) -> bool) -> Result<()> {
    match call.function {
        Function::Removed => {
            Err(error::version(format!("The function {} is not supported in this version of HOT.", call.name)))
        }
        Function::GetAttr(_) => {
            let Some([resource, rest @ ..]) = call.arguments.as_list() else { return Ok(()) };
            let Some(resource) = resource_name(call, known(resource, inputs)?, inputs)? else { return Ok(()) };
            let Some(attribute) = rest.first() else { return Ok(()) };
            match known(attribute, inputs)? {
                Some(Value::String(attribute)) if has_attribute(&resource, &attribute) => Ok(()),
                Some(attribute) => Err(error::validation(format!(
                    "The Referenced Attribute ({resource} {}) is incorrect.",
                    crate::template::python::text(&attribute)
                ))),
                None => Ok(()),
            }
        }
        Function::GetResource | Function::Ref => collect_own(call, inputs, &mut References::default()),
        _ => Ok(()),
    }
}
