//! From a request body to checked attributes.

use std::{collections::BTreeSet, str::FromStr};

use sahab_api::JsonBody;
use sahab_contract::{RequestContext, Result};
use serde_json::{Map, Value};

use super::{Attribute, Check, Default, check::Fault};
use crate::error::{bad_request, invalid_attribute, invalid_input};

/// Checked and converted attributes of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Attributes {
    values: Map<String, Value>,
    given: BTreeSet<String>,
}

/// The object below `key` of a single-object body.
pub fn object_of(body: JsonBody, key: &str) -> Result<Map<String, Value>> {
    let mut outer = outer_of(body, key)?;
    match outer.shift_remove(key) {
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(bad_request(format!("Body contains invalid data for '{key}'"))),
        None => Err(bad_request(format!("Unable to find '{key}' in request body"))),
    }
}

/// The objects of a creation, and whether the body was a bulk one.
pub fn items_of(body: JsonBody, singular: &str, plural: &str) -> Result<(Vec<Map<String, Value>>, bool)> {
    let mut outer = outer_of(body, singular)?;
    match outer.shift_remove(plural) {
        Some(Value::Array(list)) => {
            if list.is_empty() {
                return Err(bad_request("Resources required"));
            }
            let items = list.into_iter().map(|item| match item {
                // Upstream takes both bare and wrapped items.
                Value::Object(mut object)
                    if object.len() == 1 && object.get(singular).is_some_and(Value::is_object) =>
                {
                    match object.shift_remove(singular) {
                        Some(Value::Object(inner)) => Ok(inner),
                        _ => Ok(object),
                    }
                }
                Value::Object(object) => Ok(object),
                _ => Err(bad_request("Body contains invalid data")),
            });
            Ok((items.collect::<Result<_>>()?, true))
        }
        Some(_) => Err(bad_request("Body contains invalid data")),
        None => match outer.shift_remove(singular) {
            Some(Value::Object(object)) => Ok((vec![object], false)),
            Some(_) => Err(bad_request("Body contains invalid data")),
            None => Err(bad_request(format!("Unable to find '{singular}' in request body"))),
        },
    }
}

fn outer_of(body: JsonBody, key: &str) -> Result<Map<String, Value>> {
    match body {
        JsonBody::Value(Value::Object(outer)) => Ok(outer),
        JsonBody::Absent => Err(bad_request(format!("Unable to find '{key}' in request body"))),
        JsonBody::Malformed(_) | JsonBody::Value(_) => Err(bad_request("Body contains invalid data")),
    }
}

impl Attributes {
    pub fn for_create(table: &[Attribute], context: &RequestContext, mut body: Map<String, Value>) -> Result<Self> {
        let owned = table.iter().any(|attribute| attribute.name == "project_id" && attribute.post);
        let project = if owned { Some(take_project(context, &mut body)?) } else { None };
        refuse_unknown(table, &body)?;
        let given: BTreeSet<String> = body.keys().cloned().collect();
        for attribute in table {
            if !attribute.post {
                if body.contains_key(attribute.name) {
                    return Err(bad_request(format!("Attribute '{}' not allowed in POST", attribute.name)));
                }
            } else if !body.contains_key(attribute.name) {
                match attribute.default {
                    Default::Required => {
                        return Err(bad_request(format!(
                            "Failed to parse request. Required attribute '{}' not specified",
                            attribute.name
                        )));
                    }
                    other => {
                        if let Some(value) = other.value() {
                            body.insert(attribute.name.to_owned(), value);
                        }
                    }
                }
            }
        }
        let mut attributes = Attributes { values: convert(table, &given, body)?, given };
        if let Some(project) = project {
            attributes.values.insert("project_id".into(), Value::String(project));
        }
        Ok(attributes)
    }

    pub fn for_update(table: &[Attribute], context: &RequestContext, mut body: Map<String, Value>) -> Result<Self> {
        if table.iter().any(|attribute| attribute.name == "project_id") {
            refuse_foreign_project(context, &body)?;
        }
        refuse_unknown(table, &body)?;
        for attribute in table {
            if !attribute.put && body.contains_key(attribute.name) {
                return Err(bad_request(format!("Cannot update read-only attribute {}", attribute.name)));
            }
        }
        body.shift_remove("tenant_id");
        let given: BTreeSet<String> = body.keys().cloned().collect();
        Ok(Attributes { values: convert(table, &given, body)?, given })
    }

    /// Keys that the caller sent himself.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        self.given.iter().map(String::as_str)
    }
    pub fn was_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }
    pub fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }
    /// Text; empty when absent or null.
    pub fn text(&self, name: &str) -> String {
        self.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
    /// Text, or `None` when absent or null.
    pub fn maybe_text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Value::as_str).map(str::to_owned)
    }
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or_default()
    }
    pub fn int(&self, name: &str) -> Option<i32> {
        self.get(name).and_then(Value::as_i64).and_then(|number| i32::try_from(number).ok())
    }
    /// A list of texts; empty when absent or null.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }
    /// A text that the check has shown to parse; `None` when absent or null.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok())
    }
    /// A checked structure; its default when absent or null.
    pub fn structure<T: serde::de::DeserializeOwned + std::default::Default>(&self, name: &str) -> Result<T> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(T::default()),
            Some(value) => {
                serde_json::from_value(value.clone()).map_err(|error| invalid_attribute(name, error.to_string()))
            }
        }
    }
    /// Overwrites a text column when the caller sent it.
    pub fn update_text(&self, name: &str, column: &mut String) {
        if self.get(name).is_some() {
            *column = self.text(name);
        }
    }
    pub fn update_flag(&self, name: &str, column: &mut bool) {
        if self.get(name).is_some() {
            *column = self.flag(name);
        }
    }
}

/// Removes both spellings of the owner and answers who it is.
fn take_project(context: &RequestContext, body: &mut Map<String, Value>) -> Result<String> {
    refuse_foreign_project(context, body)?;
    let tenant = body.shift_remove("tenant_id");
    let project = body.shift_remove("project_id").or(tenant);
    match project {
        Some(Value::String(project)) if project.len() <= 255 => Ok(project),
        Some(other) => {
            Err(invalid_attribute("project_id", format!("'{}' is not a valid string", super::check::shown(&other))))
        }
        None => match context.project_id() {
            Some(project) => Ok(project.to_owned()),
            None => Err(bad_request("Running without keystone AuthN requires that tenant_id is specified")),
        },
    }
}

fn refuse_foreign_project(context: &RequestContext, body: &Map<String, Value>) -> Result<()> {
    let (tenant, project) = (body.get("tenant_id"), body.get("project_id"));
    if let (Some(tenant), Some(project)) = (tenant, project)
        && tenant != project
    {
        return Err(bad_request("'project_id' and 'tenant_id' do not match"));
    }
    let may = context.is_admin() || context.has_role("service");
    match project.or(tenant).and_then(Value::as_str) {
        Some(asked) if !may && context.project_id() != Some(asked) => Err(bad_request(
            "Specifying 'project_id' other than the authenticated project in request is not allowed for the current \
             user.",
        )),
        _ => Ok(()),
    }
}

fn refuse_unknown(table: &[Attribute], body: &Map<String, Value>) -> Result<()> {
    let unknown: Vec<_> =
        body.keys().filter(|key| !table.iter().any(|attribute| attribute.name == key.as_str())).cloned().collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let names: String = unknown.join(", ").chars().take(255).collect();
    Err(bad_request(format!("Unrecognized attribute(s) '{names}'")))
}

/// Defaults are right by construction; only what the caller sent is checked.
fn convert(table: &[Attribute], given: &BTreeSet<String>, body: Map<String, Value>) -> Result<Map<String, Value>> {
    let mut out = Map::with_capacity(body.len());
    for (name, value) in body {
        let checked = match table.iter().find(|attribute| attribute.name == name) {
            Some(attribute) if given.contains(&name) && attribute.check != Check::Any => {
                attribute.check.apply(&name, value).map_err(|fault| match fault {
                    Fault::Reason(reason) => invalid_attribute(&name, reason),
                    Fault::Conversion(text) => invalid_input(text),
                    Fault::Error(error) => error,
                })?
            }
            _ => value,
        };
        out.insert(name, checked);
    }
    Ok(out)
}
