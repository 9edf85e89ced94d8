//! Computing an expression's value.
//!
//! Functions get their arguments resolved, except `if`, whose branch is chosen first. What one [`Resolver`] builds is
//! charged against a budget, because `repeat`, `str_replace`, `get_file` and `get_param` multiply: without it a template of a few
//! kilobytes fills the memory.

use std::cell::Cell;

use sahab_contract::{Error, Result};
use serde_json::{Map, Value};

use super::{
    Call, Expression, Function, Lookup, Resolved, Scope, collections, item_at, select_path,
    table::{AttributeForm, ReplaceForm},
    text, url,
};
use crate::template::{error, files::find_file, python};

/// What one resolution (a resource's properties, an output) may produce, in bytes, intermediate values included.
const BUDGET: usize = 16 * 1024 * 1024;

/// Resolves expressions of one section within one budget.
pub(crate) struct Resolver<'a> {
    pub(crate) scope: Scope<'a>,
    left: Cell<usize>,
}

/// The size of a value as the budget counts it.
pub(super) fn cost(value: &Value) -> usize {
    16 + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(cost).sum(),
        Value::Object(map) => map.iter().map(|(key, item)| key.len() + cost(item)).sum(),
        _ => 0,
    }
}

/// A failure inside a function. The caller adds the place.
pub(super) fn failure(message: impl Into<String>) -> Error {
    error::validation(message)
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(scope: Scope<'a>) -> Self {
        Resolver { scope, left: Cell::new(BUDGET) }
    }

    /// Takes from the budget before something of that size is built.
    pub(super) fn charge(&self, cost: usize) -> Result<()> {
        match self.left.get().checked_sub(cost) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(error::limit(format!("The resolved value exceeds the maximum allowed size ({BUDGET} bytes)."))),
        }
    }

    pub(crate) fn resolve(&self, expression: &Expression) -> Result<Resolved> {
        match expression {
            Expression::Literal(value) => {
                self.charge(cost(value))?;
                Ok(Resolved::Value(value.clone()))
            }
            Expression::List(items) => {
                let mut values = Vec::with_capacity(items.len());
                for item in items {
                    match self.resolve(item)? {
                        Resolved::Value(value) => values.push(value),
                        Resolved::Unknown => return Ok(Resolved::Unknown),
                        Resolved::Omitted => {}
                    }
                }
                Ok(Resolved::Value(Value::Array(values)))
            }
            Expression::Map(entries) => {
                let mut values = Map::new();
                for (key, item) in entries {
                    match self.resolve(item)? {
                        Resolved::Value(value) => {
                            values.insert(key.clone(), value);
                        }
                        Resolved::Unknown => return Ok(Resolved::Unknown),
                        Resolved::Omitted => {}
                    }
                }
                Ok(Resolved::Value(Value::Object(values)))
            }
            Expression::Call(call) => self.call(call),
        }
    }

    fn call(&self, call: &Call) -> Result<Resolved> {
        if let (Function::If { .. }, Some([condition, branches @ ..])) = (call.function, call.arguments.as_list()) {
            let Some(condition) = self.argument(condition)? else { return Ok(Resolved::Unknown) };
            let holds = self.scope.inputs.condition(&condition)?;
            return match branches.get(usize::from(!holds)) {
                Some(branch) => self.resolve(branch),
                None => Ok(Resolved::Omitted),
            };
        }
        let Some(arguments) = self.argument(&call.arguments)? else { return Ok(Resolved::Unknown) };
        match self.apply(call, arguments)? {
            Lookup::Known(value) => Ok(Resolved::Value(value)),
            Lookup::Unknown => Ok(Resolved::Unknown),
        }
    }

    /// A resolved argument; none while it is unknown. An omitted one is null.
    fn argument(&self, expression: &Expression) -> Result<Option<Value>> {
        Ok(match self.resolve(expression)? {
            Resolved::Value(value) => Some(value),
            Resolved::Omitted => Some(Value::Null),
            Resolved::Unknown => None,
        })
    }

    fn apply(&self, call: &Call, arguments: Value) -> Result<Lookup> {
        let name = call.name.as_str();
        let value = match call.function {
            Function::GetParam => return self.get_param(name, arguments),
            Function::ParamRef => return self.parameter(&arguments),
            Function::GetResource => return self.get_resource(&arguments, &call.path),
            Function::Ref => return self.reference(&arguments, &call.path),
            Function::GetAttr(form) => return self.get_attr(form, &arguments, &call.path),
            Function::GetFile => self.get_file(name, &arguments)?,
            Function::ResourceFacade => self.resource_facade(name, &arguments)?,
            Function::Equals => match arguments.as_array().map(Vec::as_slice) {
                Some([a, b]) => Value::Bool(python::equal(a, b)),
                _ => Value::Bool(false),
            },
            Function::Not => {
                let condition = match &arguments {
                    Value::Array(items) if name.starts_with("Fn::") => items.first().cloned().unwrap_or_default(),
                    other => other.clone(),
                };
                Value::Bool(!self.scope.inputs.condition(&condition)?)
            }
            Function::And => self.all_or_any(&arguments, true)?,
            Function::Or => self.all_or_any(&arguments, false)?,
            Function::Join => text::join(self, name, arguments)?,
            Function::JoinMany => text::join_many(self, name, arguments)?,
            Function::Replace(ReplaceForm::Cfn) => match arguments {
                Value::Array(mut items) if items.len() == 2 => {
                    let template = items.pop().unwrap_or_default();
                    text::replace(self, ReplaceForm::Cfn, name, template, items.pop().unwrap_or_default())?
                }
                _ => return Err(failure(format!("Incorrect arguments to \"{name}\""))),
            },
            Function::Replace(form) => {
                let mut entries = into_map(arguments);
                let template = entries.shift_remove("template").unwrap_or_default();
                text::replace(self, form, name, template, entries.shift_remove("params").unwrap_or_default())?
            }
            Function::Split => text::split(name, arguments)?,
            Function::CfnSplit => text::cfn_split(name, &arguments)?,
            Function::Base64 => match arguments {
                Value::String(_) => arguments,
                _ => return Err(failure(format!("\"{name}\" argument must be a string"))),
            },
            Function::Digest => text::digest(name, &arguments)?,
            Function::MakeUrl => url::make_url(name, &into_map(arguments))?,
            Function::Repeat(form) => collections::repeat(self, form, name, into_map(arguments))?,
            Function::MapMerge => collections::map_merge(name, arguments)?,
            Function::MapReplace => collections::map_replace(name, arguments)?,
            Function::Filter => collections::filter(name, arguments)?,
            Function::ListConcat => collections::list_concat(name, arguments, false)?,
            Function::ListConcatUnique => collections::list_concat(name, arguments, true)?,
            Function::Contains => collections::contains(name, &arguments)?,
            Function::Select => collections::select(name, arguments)?,
            Function::MemberListToMap => collections::member_list_to_map(&arguments)?,
            // There is no compute service whose zones could be listed.
            Function::AvailabilityZones => Value::Array(vec![Value::from("nova")]),
            Function::FindInMap => self.find_in_map(&arguments)?,
            Function::Broken => return Err(failure(python::text(&arguments))),
            // The call as data: its place in the template refuses it before this can matter.
            Function::Removed | Function::Misplaced | Function::Yaql | Function::If { .. } => {
                return Err(failure(format!("The function {name} is not supported in this version of HOT.")));
            }
        };
        Ok(Lookup::Known(value))
    }

    fn all_or_any(&self, arguments: &Value, all: bool) -> Result<Value> {
        for condition in arguments.as_array().into_iter().flatten() {
            if self.scope.inputs.condition(condition)? != all {
                return Ok(Value::Bool(!all));
            }
        }
        Ok(Value::Bool(all))
    }

    /// A parameter's value. While missing values are tolerated, a declared parameter without one is unknown.
    fn parameter(&self, name: &Value) -> Result<Lookup> {
        let Value::String(name) = name else {
            return Err(failure("Parameter name in \"get_param\" must be string"));
        };
        let parameters = &self.scope.inputs.parameters;
        match parameters.get(name) {
            Some(value) => {
                self.charge(cost(value))?;
                Ok(Lookup::Known(value.clone()))
            }
            None if parameters.is_lenient() && parameters.contains(name) => Ok(Lookup::Unknown),
            None => Err(error::parameter_missing(name)),
        }
    }

    fn get_param(&self, name: &str, arguments: Value) -> Result<Lookup> {
        if !python::is_truthy(&arguments) {
            return Err(failure(format!("Function \"{name}\" must have arguments")));
        }
        let (parameter, path) = match &arguments {
            Value::String(_) => (&arguments, &[][..]),
            Value::Array(items) => (&items[0], &items[1..]),
            _ => return Err(failure(format!("Argument to \"{name}\" must be string or list"))),
        };
        if !parameter.is_string() {
            return Err(failure(format!("Parameter name in \"{name}\" must be string")));
        }
        let Lookup::Known(mut value) = self.parameter(parameter)? else { return Ok(Lookup::Unknown) };
        for key in path {
            match step(&value, key) {
                Some(next) => value = next,
                None => return Ok(Lookup::Known(Value::from(""))),
            }
        }
        Ok(Lookup::Known(value))
    }

    fn resource(&self, name: &Value, path: &str) -> Result<&'a str> {
        name.as_str()
            .and_then(|name| self.scope.inputs.enabled.get(name))
            .map(String::as_str)
            .ok_or_else(|| error::reference(&python::text(name), path))
    }

    fn get_resource(&self, name: &Value, path: &str) -> Result<Lookup> {
        self.scope.resources.reference_id(self.resource(name, path)?)
    }

    fn reference(&self, name: &Value, path: &str) -> Result<Lookup> {
        match name {
            Value::String(text) if !self.scope.inputs.enabled.contains(text) => {
                self.parameter(name).map_err(|_| error::reference(text, path))
            }
            _ => self.get_resource(name, path),
        }
    }

    fn get_attr(&self, form: AttributeForm, arguments: &Value, path: &str) -> Result<Lookup> {
        let Some([resource, rest @ ..]) = arguments.as_array().map(Vec::as_slice) else {
            return Err(failure("Argument to \"get_attr\" must be a list"));
        };
        let resource = self.resource(resource, path)?;
        let found = match rest {
            [] => self.scope.resources.all_attributes(resource)?,
            [Value::String(attribute), keys @ ..] if form == AttributeForm::ThenSelect => {
                match self.scope.resources.attribute(resource, attribute, &[])? {
                    Lookup::Known(value) => Lookup::Known(select_path(&value, keys)),
                    Lookup::Unknown => Lookup::Unknown,
                }
            }
            [Value::String(attribute), keys @ ..] => self.scope.resources.attribute(resource, attribute, keys)?,
            [other, ..] => {
                return Err(failure(format!(
                    "The Referenced Attribute ({resource} {}) is incorrect.",
                    python::text(other)
                )));
            }
        };
        if let Lookup::Known(value) = &found {
            self.charge(cost(value))?;
        }
        Ok(found)
    }

    fn get_file(&self, name: &str, arguments: &Value) -> Result<Value> {
        let Value::String(key) = arguments else {
            return Err(failure(format!("Argument to \"{name}\" must be a string")));
        };
        let text = find_file(&self.scope.inputs.files, key)
            .ok_or_else(|| failure(format!("No content found in the \"files\" section for {name} path: {key}")))?;
        self.charge(text.len())?;
        Ok(Value::from(text.as_str()))
    }

    fn resource_facade(&self, name: &str, arguments: &Value) -> Result<Value> {
        let facade = self
            .scope
            .inputs
            .facade
            .as_ref()
            .ok_or_else(|| failure(format!("\"{name}\" is available in nested templates only")))?;
        Ok(match arguments.as_str() {
            Some("metadata" | "Metadata") => facade.metadata.clone(),
            Some("deletion_policy" | "DeletionPolicy") => facade.deletion_policy.clone(),
            _ => facade.update_policy.clone(),
        })
    }

    fn find_in_map(&self, arguments: &Value) -> Result<Value> {
        let mappings = &self.scope.inputs.template.mappings;
        let mut found: Option<&Value> = None;
        for (depth, key) in arguments.as_array().into_iter().flatten().enumerate() {
            let name = key.as_str().unwrap_or_default();
            found = if depth == 0 { mappings.get(name) } else { found.and_then(|value| value.get(name)) };
            if found.is_none() {
                return Err(failure(format!("The mapping has no key {}", python::repr(key))));
            }
        }
        let value = found.cloned().unwrap_or_default();
        self.charge(cost(&value))?;
        Ok(value)
    }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// One step of `get_param`'s path: here text may index lists, and text has characters.
fn step(value: &Value, key: &Value) -> Option<Value> {
    let index = || match key {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => python::parse_int(text),
        _ => None,
    };
    match value {
        Value::Object(map) => map.get(key.as_str()?).cloned(),
        Value::Array(items) => item_at(items, index()?).cloned(),
        Value::String(text) => {
            let characters: Vec<char> = text.chars().collect();
            item_at(&characters, index()?).map(|c| Value::from(c.to_string()))
        }
        _ => None,
    }
}
