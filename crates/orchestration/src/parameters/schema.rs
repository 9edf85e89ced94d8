//! A parameter's declaration.

use sahab_contract::{Error, Result};
use serde_json::{Map, Number, Value};

use super::{
    Constraint, ConstraintKind,
    constraint::{ValueKind, boolean},
    pattern::PatternBudget,
};
use crate::template::{Dialect, Version, error, python};

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    String,
    Number,
    CommaDelimitedList,
    Json,
    Boolean,
}

impl ParameterKind {
    /// The CloudFormation spelling, which the API uses for both dialects.
    pub fn api_name(self) -> &'static str {
        match self {
            ParameterKind::String => "String",
            ParameterKind::Number => "Number",
            ParameterKind::CommaDelimitedList => "CommaDelimitedList",
            ParameterKind::Json => "Json",
            ParameterKind::Boolean => "Boolean",
        }
    }

    fn hot_name(self) -> &'static str {
        match self {
            ParameterKind::String => "string",
            ParameterKind::Number => "number",
            ParameterKind::CommaDelimitedList => "comma_delimited_list",
            ParameterKind::Json => "json",
            ParameterKind::Boolean => "boolean",
        }
    }

    pub(crate) fn name(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Hot => self.hot_name(),
            Dialect::Cfn => self.api_name(),
        }
    }

    pub(crate) fn value_kind(self) -> ValueKind {
        match self {
            ParameterKind::String => ValueKind::String,
            ParameterKind::Number => ValueKind::Number,
            ParameterKind::CommaDelimitedList => ValueKind::List,
            ParameterKind::Json => ValueKind::Map,
            ParameterKind::Boolean => ValueKind::Boolean,
        }
    }

    /// A given value in the parameter's type.
    ///
    /// # Errors
    /// Upstream's text.
    pub(crate) fn convert(self, value: &Value) -> Result<Value, String> {
        match self {
            ParameterKind::String => Ok(Value::String(python::text(value))),
            ParameterKind::Number => python::to_number(value).map(Value::Number),
            ParameterKind::Boolean => boolean(value).map(Value::Bool),
            ParameterKind::CommaDelimitedList => match value {
                Value::Array(items) => Ok(items.iter().map(python::text).collect::<Vec<_>>().into()),
                Value::String(text) => Ok(split_list(text)),
                other => Err(format!(
                    "Value must be a comma-delimited list string: '{}' object has no attribute 'split'",
                    python::type_name(other)
                )),
            },
            ParameterKind::Json => match value {
                Value::String(text) if text.is_empty() => Ok(value.clone()),
                Value::String(text) => {
                    serde_json::from_str(text).map_err(|cause| format!("Value must be valid JSON: {cause}"))
                }
                other => Ok(other.clone()),
            },
        }
    }
}

/// `a, b` → `["a", "b"]`; the empty string is the empty list.
pub(crate) fn split_list(text: &str) -> Value {
    if text.is_empty() {
        return Value::Array(Vec::new());
    }
    text.split(',').map(str::trim).collect::<Vec<_>>().into()
}

/// One entry of `parameters`.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSchema {
    pub name: String,
    pub kind: ParameterKind,
    pub description: Option<String>,
    pub label: Option<String>,
    /// As written in the template.
    pub default: Option<Value>,
    pub hidden: bool,
    pub immutable: bool,
    pub tags: Vec<Value>,
    pub constraints: Vec<Constraint>,
}

/// The keywords of a declaration.
struct Keywords {
    kind: &'static str,
    description: &'static str,
    default: &'static str,
    hidden: &'static str,
    label: &'static str,
}

const HOT: Keywords =
    Keywords { kind: "type", description: "description", default: "default", hidden: "hidden", label: "label" };
const CFN: Keywords =
    Keywords { kind: "Type", description: "Description", default: "Default", hidden: "NoEcho", label: "Label" };

impl ParameterSchema {
    /// Reads a declaration of either dialect and validates its default.
    ///
    /// # Errors
    /// `InvalidSchemaError` with upstream's text.
    pub fn parse(version: Version, name: &str, declaration: &Value) -> Result<ParameterSchema> {
        Self::parse_within(version, name, declaration, &mut PatternBudget::default())
    }

    /// As [`Self::parse`], for one of the many parameters of a template.
    pub(crate) fn parse_within(
        version: Version,
        name: &str,
        declaration: &Value,
        patterns: &mut PatternBudget,
    ) -> Result<ParameterSchema> {
        let (words, allowed): (_, &[&str]) = match version.dialect() {
            Dialect::Hot if version >= Version::Queens => (
                &HOT,
                &["type", "description", "default", "schema", "constraints", "hidden", "label", "immutable", "tags"],
            ),
            Dialect::Hot => {
                (&HOT, &["type", "description", "default", "schema", "constraints", "hidden", "label", "immutable"])
            }
            Dialect::Cfn => (
                &CFN,
                &[
                    "Type",
                    "Default",
                    "NoEcho",
                    "AllowedValues",
                    "AllowedPattern",
                    "MaxLength",
                    "MinLength",
                    "MaxValue",
                    "MinValue",
                    "Description",
                    "ConstraintDescription",
                    "Label",
                ],
            ),
        };
        let map = checked_map(declaration, allowed, &format!("parameter ({name})"))?;
        let given = |key: &str| map.get(key).filter(|value| !value.is_null());
        let kind = match map.get(words.kind) {
            None => return Err(error::schema(format!("Missing parameter type for parameter: {name}"))),
            Some(value) => [
                ParameterKind::String,
                ParameterKind::Number,
                ParameterKind::CommaDelimitedList,
                ParameterKind::Json,
                ParameterKind::Boolean,
            ]
            .into_iter()
            .find(|kind| value.as_str() == Some(kind.name(version.dialect())))
            .ok_or_else(|| error::schema(format!("Invalid type ({})", python::text(value))))?,
        };
        let tags = match given("tags") {
            None => Vec::new(),
            Some(Value::Array(tags)) => tags.clone(),
            Some(_) => {
                return Err(error::schema(format!("Tags property should be a list for parameter: {name}")));
            }
        };
        let constraints = match version.dialect() {
            Dialect::Hot => hot_constraints(version, name, given("constraints"), patterns)?,
            Dialect::Cfn => cfn_constraints(map, patterns)?,
        };
        let schema = ParameterSchema {
            name: name.to_owned(),
            kind,
            description: given(words.description).map(python::text),
            label: given(words.label).map(python::text),
            default: given(words.default).cloned(),
            hidden: flag(given(words.hidden)),
            immutable: flag(given("immutable")),
            tags,
            constraints,
        };
        schema.check_constraints(version.dialect())?;
        Ok(schema)
    }

    fn check_constraints(&self, dialect: Dialect) -> Result<()> {
        let invalid = |text: String| error::schema(format!("Parameter '{}' is invalid: {text}", self.name));
        for constraint in &self.constraints {
            if !constraint.kind.applies_to(self.kind.value_kind()) {
                return Err(invalid(format!(
                    "{} constraint invalid for {}",
                    constraint.kind.class_name(),
                    self.kind.name(dialect)
                )));
            }
        }
        if let Some(default) = &self.default {
            let wrong = |text: String| invalid(format!("Invalid default {} ({text})", python::text(default)));
            match self.kind.convert(default) {
                Ok(converted) => self.meets_constraints(default, &converted).map_err(wrong)?,
                // Without constraints upstream notices a default of the wrong type only when it is used.
                Err(text) if !self.constraints.is_empty() => return Err(wrong(text)),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Checks a value against the constraints; `given` is what messages show.
    pub(crate) fn meets_constraints(&self, given: &Value, converted: &Value) -> Result<(), String> {
        let shown = match self.kind {
            ParameterKind::CommaDelimitedList | ParameterKind::Json | ParameterKind::String => converted,
            ParameterKind::Number | ParameterKind::Boolean => given,
        };
        self.constraints.iter().try_for_each(|constraint| constraint.check(shown, self.kind.value_kind()))
    }
}

fn flag(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        Some(other) => python::is_truthy(other),
        None => false,
    }
}

fn checked_map<'v>(value: &'v Value, allowed: &[&str], what: &str) -> Result<&'v Map<String, Value>> {
    let Value::Object(map) = value else {
        return Err(error::schema(format!("Invalid {what}, expected a mapping")));
    };
    match map.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(key) => Err(error::schema(format!("Invalid key '{key}' for {what}"))),
        None => Ok(map),
    }
}

fn number(map: &Map<String, Value>, key: &str) -> Result<Option<Number>> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => python::to_number(value).map(Some).map_err(|text| error::schema(format!("{key}: {text}"))),
    }
}

fn range(min: Option<Number>, max: Option<Number>) -> Result<ConstraintKind> {
    if min.is_none() && max.is_none() {
        return Err(error::schema("A range constraint must have a min value and/or a max value specified."));
    }
    Ok(ConstraintKind::Range { min, max })
}

fn length(min: Option<Number>, max: Option<Number>) -> Result<ConstraintKind> {
    if min.is_none() && max.is_none() {
        return Err(error::schema("A length constraint must have a min value and/or a max value specified."));
    }
    let whole = |bound: Option<Number>| match bound {
        None => Ok(None),
        Some(number) if number.is_f64() => Err(error::schema("min/max length must be integral")),
        // Every length is at least zero.
        Some(number) => Ok(Some(number.as_u64().unwrap_or_default())),
    };
    Ok(ConstraintKind::Length { min: whole(min)?, max: whole(max)? })
}

fn allowed_values(value: &Value) -> Result<ConstraintKind> {
    match value {
        Value::Array(items) => Ok(ConstraintKind::AllowedValues(items.clone())),
        _ => Err(error::schema("AllowedValues must be a list")),
    }
}

fn allowed_pattern(value: &Value, patterns: &mut PatternBudget) -> Result<ConstraintKind> {
    let Value::String(pattern) = value else {
        return Err(error::schema("AllowedPattern must be a string"));
    };
    patterns.check(pattern).map_err(error::schema)?;
    Ok(ConstraintKind::AllowedPattern(pattern.clone()))
}

fn modulo(step: Option<Number>, offset: Option<Number>) -> Result<ConstraintKind> {
    let (Some(step), Some(offset)) = (step, offset) else {
        return Err(error::schema("A modulo constraint must have a step value and an offset value specified."));
    };
    let whole = |number: Number| -> Result<i64> {
        number
            .as_i64()
            .or_else(|| number.as_f64().filter(|value| value.fract() == 0.0).map(|value| value as i64))
            .ok_or_else(|| error::schema("step/offset must be integer"))
    };
    let (step, offset) = (whole(step)?, whole(offset)?);
    if step == 0 {
        return Err(error::schema("step cannot be 0."));
    }
    if offset.unsigned_abs() >= step.unsigned_abs() {
        return Err(error::schema("offset must be smaller (by absolute value) than step."));
    }
    if offset != 0 && (step < 0) != (offset < 0) {
        return Err(error::schema("step and offset must be both positive or both negative."));
    }
    Ok(ConstraintKind::Modulo { step, offset })
}

fn hot_constraints(
    version: Version,
    name: &str,
    section: Option<&Value>,
    patterns: &mut PatternBudget,
) -> Result<Vec<Constraint>> {
    let items = match section {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(_) => {
            return Err(error::schema(format!("Invalid parameter constraints for parameter {name}, expected a list")));
        }
    };
    items.iter().map(|item| hot_constraint(version, item, patterns)).collect()
}

fn hot_constraint(version: Version, item: &Value, patterns: &mut PatternBudget) -> Result<Constraint> {
    const KINDS: [&str; 6] = ["modulo", "range", "length", "allowed_values", "allowed_pattern", "custom_constraint"];
    let mut allowed: Vec<&str> = KINDS.to_vec();
    allowed.push("description");
    let map = checked_map(item, &allowed, "parameter constraints")?;
    let usable = KINDS.into_iter().filter(|kind| *kind != "modulo" || version >= Version::Ocata);
    let present: Vec<(&str, &Value)> = usable.filter_map(|kind| Some((kind, map.get(kind)?))).collect();
    let (kind, value) = match present.as_slice() {
        [] => return Err(error::schema("No constraint expressed")),
        [one] => *one,
        // Upstream silently takes the first and forgets the others.
        _ => return Err(error::schema("Each item of constraints must express exactly one constraint")),
    };
    let two = |keys: [&str; 2]| -> Result<(Option<Number>, Option<Number>)> {
        let map = checked_map(value, &keys, &format!("{kind} constraint"))?;
        Ok((number(map, keys[0])?, number(map, keys[1])?))
    };
    let kind = match kind {
        "modulo" => two(["step", "offset"]).and_then(|(step, offset)| modulo(step, offset))?,
        "range" => two(["min", "max"]).and_then(|(min, max)| range(min, max))?,
        "length" => two(["min", "max"]).and_then(|(min, max)| length(min, max))?,
        "allowed_values" => allowed_values(value)?,
        "allowed_pattern" => allowed_pattern(value, patterns)?,
        _ => ConstraintKind::Custom(custom_name(value)?),
    };
    Ok(Constraint { kind, description: map.get("description").filter(|value| !value.is_null()).map(python::text) })
}

fn custom_name(value: &Value) -> Result<String, Error> {
    value.as_str().map(str::to_owned).ok_or_else(|| error::schema("custom_constraint must be a string"))
}

fn cfn_constraints(map: &Map<String, Value>, patterns: &mut PatternBudget) -> Result<Vec<Constraint>> {
    let description = map.get("ConstraintDescription").filter(|value| !value.is_null()).map(python::text);
    let mut kinds = Vec::new();
    if map.contains_key("MinValue") || map.contains_key("MaxValue") {
        kinds.push(range(number(map, "MinValue")?, number(map, "MaxValue")?)?);
    }
    if map.contains_key("MinLength") || map.contains_key("MaxLength") {
        kinds.push(length(number(map, "MinLength")?, number(map, "MaxLength")?)?);
    }
    if let Some(values) = map.get("AllowedValues") {
        kinds.push(allowed_values(values)?);
    }
    if let Some(pattern) = map.get("AllowedPattern") {
        kinds.push(allowed_pattern(pattern, patterns)?);
    }
    Ok(kinds.into_iter().map(|kind| Constraint { kind, description: description.clone() }).collect())
}
