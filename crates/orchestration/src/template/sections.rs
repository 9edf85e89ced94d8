//! From a decoded document to a [`Template`]: versions, sections, keys (spec 2.1, 2.2).

use std::sync::Arc;

use indexmap::IndexMap;
use sahab_contract::Result;
use serde_json::Value;

use super::{
    Dialect, Expression, Map, OutputDefinition, ParameterGroup, ResourceDefinition, Template, Version, conditions,
    error, python,
};
use crate::parameters::{ParameterSchema, PatternBudget};

/// The keywords of a dialect. Those that came later carry the version they came with.
struct Keywords {
    description: &'static str,
    parameters: &'static str,
    parameter_groups: &'static str,
    mappings: Option<&'static str>,
    conditions: &'static str,
    resources: &'static str,
    outputs: &'static str,
    resource_type: &'static str,
    properties: &'static str,
    metadata: &'static str,
    depends_on: &'static str,
    deletion_policy: &'static str,
    update_policy: &'static str,
    external_id: Option<&'static str>,
    condition: &'static str,
    value: &'static str,
}

const HOT: Keywords = Keywords {
    description: "description",
    parameters: "parameters",
    parameter_groups: "parameter_groups",
    mappings: None,
    conditions: "conditions",
    resources: "resources",
    outputs: "outputs",
    resource_type: "type",
    properties: "properties",
    metadata: "metadata",
    depends_on: "depends_on",
    deletion_policy: "deletion_policy",
    update_policy: "update_policy",
    external_id: Some("external_id"),
    condition: "condition",
    value: "value",
};

const CFN: Keywords = Keywords {
    description: "Description",
    parameters: "Parameters",
    parameter_groups: "ParameterGroups",
    mappings: Some("Mappings"),
    conditions: "Conditions",
    resources: "Resources",
    outputs: "Outputs",
    resource_type: "Type",
    properties: "Properties",
    metadata: "Metadata",
    depends_on: "DependsOn",
    deletion_policy: "DeletionPolicy",
    update_policy: "UpdatePolicy",
    external_id: None,
    condition: "Condition",
    value: "Value",
};

/// Whether the version knows conditions (and with them `external_id`, in HOT).
fn has_conditions(version: Version) -> bool {
    version == Version::Aws20100909 || version >= Version::Newton
}

pub(super) fn read(source: Map) -> Result<Template> {
    let version = read_version(&source)?;
    let words = match version.dialect() {
        Dialect::Hot => &HOT,
        Dialect::Cfn => &CFN,
    };
    check_sections(version, words, &source)?;
    let description = match source.get(words.description) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Object(_) | Value::Array(_)) => {
            // A section indented under the description would otherwise vanish silently (spec 8, complaint 4).
            return Err(error::validation(format!(
                "The {} must be a string; is another section indented under it?",
                words.description
            )));
        }
        Some(other) => Some(python::text(other)),
    };
    let mut patterns = PatternBudget::default();
    let parameters = section(&source, words.parameters)?
        .into_iter()
        .flatten()
        .map(|(name, declaration)| {
            Ok((name.clone(), ParameterSchema::parse_within(version, name, declaration, &mut patterns)?))
        })
        .collect::<Result<IndexMap<_, _>>>()?;
    let parameter_groups = read_groups(source.get(words.parameter_groups), &parameters)?;
    let conditions = if has_conditions(version) { read_conditions(version, words, &source)? } else { IndexMap::new() };
    let resources = section(&source, words.resources)?
        .into_iter()
        .flatten()
        .map(|(name, entry)| Ok((name.clone(), read_resource(version, words, name, entry)?)))
        .collect::<Result<IndexMap<_, _>>>()?;
    let outputs = section(&source, words.outputs)?
        .into_iter()
        .flatten()
        .map(|(name, entry)| Ok((name.clone(), read_output(version, words, name, entry)?)))
        .collect::<Result<IndexMap<_, _>>>()?;
    let mappings = match words.mappings {
        Some(key) => section(&source, key)?.cloned().unwrap_or_default(),
        None => Map::new(),
    };
    Ok(Template {
        version,
        description,
        parameters,
        parameter_groups,
        mappings,
        conditions,
        resources,
        outputs,
        source: Arc::new(source),
    })
}

fn read_version(source: &Map) -> Result<Version> {
    const KEYS: [&str; 3] = ["heat_template_version", "HeatTemplateFormatVersion", "AWSTemplateFormatVersion"];
    let present: Vec<&str> = KEYS.into_iter().filter(|key| source.contains_key(*key)).collect();
    let key = match present.as_slice() {
        [] => return Err(error::bad_request("Template format version not found.")),
        [key] => *key,
        several => return Err(error::version(format!("Ambiguous versions ({})", several.join(", ")))),
    };
    let given = match source.get(key) {
        Some(Value::String(text)) => text,
        _ => return Err(error::version("Template version was not provided")),
    };
    let candidates = || Version::ALL.into_iter().filter(|version| version.key() == key);
    candidates().find(|version| given == version.date() || version.alias() == Some(given.as_str())).ok_or_else(|| {
        let mut names: Vec<&str> =
            candidates().flat_map(|version| [Some(version.date()), version.alias()]).flatten().collect();
        names.sort_unstable();
        let should = if names.len() > 1 { "should be one of" } else { "should be" };
        error::version(format!("\"{key}: {given}\". \"{key}\" {should}: {}", names.join(", ")))
    })
}

fn check_sections(version: Version, words: &Keywords, source: &Map) -> Result<()> {
    let known = [
        Some(version.key()),
        Some(words.description),
        Some(words.parameters),
        Some(words.parameter_groups),
        words.mappings,
        has_conditions(version).then_some(words.conditions),
        Some(words.resources),
        Some(words.outputs),
    ];
    match source.keys().find(|key| !known.contains(&Some(key.as_str()))) {
        Some(key) => Err(error::section(key)),
        None => Ok(()),
    }
}

/// A section that has to be a map; null counts as empty.
fn section<'s>(source: &'s Map, key: &str) -> Result<Option<&'s Map>> {
    match source.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(other) => Err(error::validation(format!(
            "\"{key}\" must contain a map of {} maps. Found a [<class '{}'>] instead",
            key.strip_suffix('s').unwrap_or(key),
            python::type_name(other)
        ))),
    }
}

/// An entry of a section that has to be a map with a required key and none but known keys.
fn entry<'s>(section: &str, required: &str, allowed: &[Option<&str>], value: &'s Value) -> Result<&'s Map> {
    let object = section.strip_suffix('s').unwrap_or(section);
    let missing = || error::validation(format!("Each {object} must contain a {required} key."));
    let map = match value {
        Value::Object(map) => map,
        other if !python::is_truthy(other) => return Err(missing()),
        other => {
            return Err(error::validation(format!(
                "\"{section}\" must contain a map of {object} maps. Found a [<class '{}'>] instead",
                python::type_name(other)
            )));
        }
    };
    if let Some(key) = map.keys().find(|key| !allowed.contains(&Some(key.as_str()))) {
        return Err(error::validation(format!("\"{key}\" is not a valid keyword inside a {object} definition")));
    }
    if map.contains_key(required) { Ok(map) } else { Err(missing()) }
}

fn read_conditions(version: Version, words: &Keywords, source: &Map) -> Result<IndexMap<String, Expression>> {
    let definitions = match source.get(words.conditions) {
        None | Some(Value::Null) => return Ok(IndexMap::new()),
        Some(Value::Object(map)) => map,
        Some(other) => {
            return Err(error::validation_at(
                Some("Conditions validation error"),
                "",
                format!("Condition definitions must be a map. Found a {} instead", python::type_name(other)),
            ));
        }
    };
    definitions
        .iter()
        .map(|(name, value)| {
            let path = format!("{}.{name}", words.conditions);
            let definition = Expression::parse_condition(version, value, &path)?;
            conditions::check_definition(name, &definition)?;
            Ok((name.clone(), definition))
        })
        .collect()
}

fn read_resource(version: Version, words: &Keywords, name: &str, value: &Value) -> Result<ResourceDefinition> {
    let conditional = has_conditions(version);
    let allowed = [
        Some(words.resource_type),
        Some(words.properties),
        Some(words.metadata),
        Some(words.depends_on),
        Some(words.deletion_policy),
        Some(words.update_policy),
        Some(words.description),
        words.external_id.filter(|_| conditional),
        conditional.then_some(words.condition),
    ];
    let map = entry(words.resources, words.resource_type, &allowed, value)?;
    if name.is_empty() || name.contains('/') {
        return Err(error::validation("Resource name may not contain \"/\""));
    }
    let wrong = |key: &str, kind: &str| error::validation(format!("Resource {name} {key} type must be {kind}"));
    let place = |key: &str| format!("{}.{name}.{key}", words.resources);
    // A null section counts as empty, as a null top-level section does.
    let given = |key: &str| map.get(key).filter(|value| !value.is_null());
    let parse = |key: &str| given(key).map(|value| Expression::parse(version, value, &place(key))).transpose();
    let map_section = |key: &str| match parse(key)? {
        Some(section @ (Expression::Map(_) | Expression::Call(_))) => Ok(Some(section)),
        None => Ok(None),
        Some(_) => Err(wrong(key, "object")),
    };
    let text_section = |key: &str| match parse(key)? {
        Some(section @ (Expression::Literal(Value::String(_)) | Expression::Call(_))) => Ok(Some(section)),
        None => Ok(None),
        Some(_) => Err(wrong(key, "string")),
    };
    let type_name = match map.get(words.resource_type) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::String(_)) => return Err(error::validation(format!("Resource \"{name}\" has no type"))),
        Some(Value::Null) | None => {
            return Err(error::validation(format!("Non-empty resource type is required for resource \"{name}\"")));
        }
        Some(_) => return Err(wrong(words.resource_type, "string")),
    };
    let description = match given(words.description) {
        None => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => return Err(wrong(words.description, "string")),
    };
    let depends_on = match given(words.depends_on) {
        None => Vec::new(),
        Some(Value::String(name)) => vec![name.clone()],
        Some(Value::Array(names)) => {
            names.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>().ok_or_else(|| {
                error::validation(format!("Resource {name} {} must be a list of strings", words.depends_on))
            })?
        }
        Some(_) => return Err(wrong(words.depends_on, "list or string")),
    };
    let condition = match given(words.condition) {
        None => None,
        Some(value) => match Expression::parse_condition(version, value, &place(words.condition))? {
            condition @ (Expression::Literal(Value::String(_) | Value::Bool(_)) | Expression::Call(_)) => {
                Some(condition)
            }
            _ => return Err(wrong(words.condition, "string or boolean")),
        },
    };
    Ok(ResourceDefinition {
        name: name.to_owned(),
        type_name,
        description,
        properties: map_section(words.properties)?,
        metadata: map_section(words.metadata)?,
        depends_on,
        deletion_policy: text_section(words.deletion_policy)?,
        update_policy: map_section(words.update_policy)?,
        external_id: match words.external_id {
            Some(key) => text_section(key)?,
            None => None,
        },
        condition,
    })
}

fn read_output(version: Version, words: &Keywords, name: &str, value: &Value) -> Result<OutputDefinition> {
    let allowed = [Some(words.value), Some(words.description), has_conditions(version).then_some(words.condition)];
    let map = entry(words.outputs, words.value, &allowed, value)?;
    let place = |key: &str| format!("{}.{name}.{key}", words.outputs);
    Ok(OutputDefinition {
        name: name.to_owned(),
        description: map.get(words.description).filter(|value| !value.is_null()).map(python::text),
        value: Expression::parse(version, map.get(words.value).unwrap_or(&Value::Null), &place(words.value))?,
        condition: map
            .get(words.condition)
            .filter(|value| !value.is_null())
            .map(|value| Expression::parse_condition(version, value, &place(words.condition)))
            .transpose()?,
    })
}

fn read_groups(section: Option<&Value>, parameters: &IndexMap<String, ParameterSchema>) -> Result<Vec<ParameterGroup>> {
    let wrong = |path: &str, message: String| error::validation_at(Some("Parameter Groups error"), path, message);
    let groups = match section {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(groups)) => groups,
        Some(_) => return Err(wrong("parameter_groups", "The parameter_groups should be a list.".into())),
    };
    let mut grouped: Vec<&str> = Vec::new();
    groups
        .iter()
        .map(|group| {
            let Value::Object(group) = group else {
                return Err(wrong("parameter_groups", "Each parameter group should be a map.".into()));
            };
            let text = |key: &str| group.get(key).filter(|value| !value.is_null()).map(python::text);
            let label = text("label");
            let path = match label.as_deref() {
                Some(label) if !label.is_empty() => format!("parameter_groups.{label}"),
                _ => "parameter_groups.".to_owned(),
            };
            let names = match group.get("parameters") {
                None | Some(Value::Null) => {
                    return Err(wrong(&path, "The parameters must be provided for each parameter group.".into()));
                }
                Some(Value::Array(names)) => names,
                Some(_) => return Err(wrong(&path, "The parameters of parameter group should be a list.".into())),
            };
            let mut members = Vec::with_capacity(names.len());
            for name in names {
                let shown = python::text(name);
                match name.as_str().filter(|name| parameters.contains_key(*name)) {
                    Some(name) if grouped.contains(&name) => {
                        return Err(wrong(
                            &path,
                            format!("The {shown} parameter must be assigned to one parameter group only."),
                        ));
                    }
                    Some(name) => grouped.push(name),
                    None => {
                        return Err(wrong(
                            &path,
                            format!("The grouped parameter {shown} does not reference a valid parameter."),
                        ));
                    }
                }
                members.push(shown);
            }
            Ok(ParameterGroup { label, description: text("description"), parameters: members })
        })
        .collect()
}
