//! Schemas as `GET /resource_types/{type}` and `…/template` show them (spec 1.17).

use sahab_contract::Result;
use serde_json::{Map, Value, json};

use super::{AttributeSchemas, PropertyKind, PropertySchema, PropertySchemas, Schema, SupportStatus};
use crate::{
    parameters::{Constraint, ConstraintKind, ParameterKind},
    template::Dialect,
};

/// The attribute that every type has.
const SHOW: &str = "show";
const SHOW_DESCRIPTION: &str = "Detailed information about resource.";

/// The body of `GET /resource_types/{type}`; `description` is shown when asked for.
pub fn schema_view(
    type_name: &str,
    properties: &PropertySchemas,
    attributes: &AttributeSchemas,
    status: &SupportStatus,
    description: Option<&str>,
) -> Map<String, Value> {
    let mut shown_attributes: Map<String, Value> = attributes
        .iter()
        .map(|(name, attribute)| {
            let mut view = Map::new();
            view.insert("description".into(), attribute.description.as_ref().into());
            if let Some(kind) = attribute.kind {
                view.insert("type".into(), kind.name().into());
            }
            (name.to_string(), Value::Object(view))
        })
        .collect();
    shown_attributes.insert(SHOW.into(), json!({"description": SHOW_DESCRIPTION, "type": "map"}));

    let mut view = Map::new();
    view.insert("resource_type".into(), type_name.into());
    view.insert("properties".into(), Value::Object(properties_view(properties)));
    view.insert("attributes".into(), Value::Object(shown_attributes));
    view.insert("support_status".into(), status_view(status));
    if let Some(description) = description {
        view.insert("description".into(), description.into());
    }
    view
}

fn status_view(status: &SupportStatus) -> Value {
    json!({
        "status": status.status,
        "message": status.message,
        "version": status.version,
        "previous_status": status.previous.as_deref().map(status_view),
    })
}

fn properties_view(properties: &PropertySchemas) -> Map<String, Value> {
    visible(properties).map(|(name, schema)| (name.to_owned(), Value::Object(property_view(schema)))).collect()
}

/// Legacy names and hidden properties are accepted, but not shown.
fn visible(properties: &PropertySchemas) -> impl Iterator<Item = (&str, &PropertySchema)> {
    properties
        .iter()
        .filter(|(_, schema)| schema.alias_of.is_none() && schema.support_status.status != "HIDDEN")
        .map(|(name, schema)| (name.as_ref(), schema))
}

fn property_view(schema: &PropertySchema) -> Map<String, Value> {
    let mut view = Map::new();
    view.insert("type".into(), schema.kind.name().into());
    if !schema.description.is_empty() {
        view.insert("description".into(), schema.description.as_ref().into());
    }
    if let Some(default) = &schema.default {
        view.insert("default".into(), default.clone());
    }
    match &schema.schema {
        Schema::Open => {}
        Schema::Items(item) => {
            view.insert("schema".into(), json!({"*": property_view(item)}));
        }
        Schema::Keys(keys) => {
            view.insert("schema".into(), Value::Object(properties_view(keys)));
        }
    }
    view.insert("required".into(), schema.required.into());
    if !schema.constraints.is_empty() {
        view.insert("constraints".into(), schema.constraints.iter().map(constraint_view).collect());
    }
    view.insert("update_allowed".into(), schema.update_allowed.into());
    view.insert("immutable".into(), schema.immutable.into());
    view
}

fn constraint_view(constraint: &Constraint) -> Value {
    let mut view = Map::new();
    if let Some(description) = &constraint.description {
        view.insert("description".into(), description.as_str().into());
    }
    let bounds = |min: Option<Value>, max: Option<Value>| {
        let both = [("min", min), ("max", max)];
        Value::Object(both.into_iter().filter_map(|(key, bound)| Some((key.to_owned(), bound?))).collect())
    };
    let (key, value) = match &constraint.kind {
        ConstraintKind::Range { min, max } => {
            ("range", bounds(min.clone().map(Value::Number), max.clone().map(Value::Number)))
        }
        ConstraintKind::Length { min, max } => ("length", bounds(min.map(Value::from), max.map(Value::from))),
        ConstraintKind::Modulo { step, offset } => ("modulo", json!({"step": step, "offset": offset})),
        ConstraintKind::AllowedValues(allowed) => ("allowed_values", Value::Array(allowed.clone())),
        ConstraintKind::AllowedPattern(pattern) => ("allowed_pattern", pattern.as_str().into()),
        ConstraintKind::Custom(name) => ("custom_constraint", name.as_str().into()),
    };
    view.insert(key.into(), value);
    Value::Object(view)
}

/// A provider template with one parameter per property and one output per attribute.
pub fn generated_template(
    type_name: &str,
    properties: &PropertySchemas,
    attributes: &AttributeSchemas,
    dialect: Dialect,
) -> Result<Map<String, Value>> {
    let resource = type_name.rsplit("::").next().unwrap_or(type_name);
    let is_hot = dialect == Dialect::Hot;
    let mut parameters = Map::new();
    let mut values = Map::new();
    for (name, schema) in visible(properties) {
        let (parameter, value) = match dialect {
            Dialect::Hot => (hot_parameter(schema), json!({"get_param": name})),
            Dialect::Cfn if schema.kind == PropertyKind::List => {
                (cfn_parameter(schema), json!({"Fn::Split": [",", {"Ref": name}]}))
            }
            Dialect::Cfn => (cfn_parameter(schema), json!({"Ref": name})),
        };
        parameters.insert(name.to_owned(), Value::Object(parameter));
        values.insert(name.to_owned(), value);
    }
    let described = attributes.iter().map(|(name, attribute)| (name.as_ref(), attribute.description.as_ref()));
    let mut outputs: Map<String, Value> = described
        .chain([(SHOW, SHOW_DESCRIPTION)])
        .map(|(name, description)| {
            let output = if is_hot {
                json!({"value": {"get_attr": [resource, name]}, "description": description})
            } else {
                json!({"Value": {"Fn::GetAtt": [resource, name]}, "Description": description})
            };
            (name.to_owned(), output)
        })
        .collect();
    let stack_id =
        if is_hot { json!({"value": {"get_resource": resource}}) } else { json!({"Value": {"Ref": resource}}) };
    outputs.insert("OS::stack_id".into(), stack_id);

    let description = format!("Initial template of {resource}");
    let sections = if is_hot {
        [
            ("heat_template_version", json!("2016-10-14")),
            ("description", json!(description)),
            ("parameters", Value::Object(parameters)),
            ("resources", json!({resource: {"type": type_name, "properties": values}})),
            ("outputs", Value::Object(outputs)),
        ]
    } else {
        [
            ("HeatTemplateFormatVersion", json!("2012-12-12")),
            ("Description", json!(description)),
            ("Parameters", Value::Object(parameters)),
            ("Resources", json!({resource: {"Type": type_name, "Properties": values}})),
            ("Outputs", Value::Object(outputs)),
        ]
    };
    Ok(sections.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A property's parameter type. `any` becomes JSON, where upstream fails.
fn parameter_kind(kind: PropertyKind) -> ParameterKind {
    match kind {
        PropertyKind::String => ParameterKind::String,
        PropertyKind::Integer | PropertyKind::Number => ParameterKind::Number,
        PropertyKind::Boolean => ParameterKind::Boolean,
        PropertyKind::List => ParameterKind::CommaDelimitedList,
        PropertyKind::Map | PropertyKind::Any => ParameterKind::Json,
    }
}

fn hot_parameter(schema: &PropertySchema) -> Map<String, Value> {
    let kind = parameter_kind(schema.kind);
    let mut parameter = Map::new();
    parameter.insert("type".into(), kind.name(Dialect::Hot).into());
    if !schema.description.is_empty() {
        parameter.insert("description".into(), schema.description.as_ref().into());
    }
    if let Some(default) = &schema.default {
        parameter.insert("default".into(), default.clone());
    }
    // A constraint that a parameter of that type cannot have would make the template invalid.
    let constraints: Vec<Value> = schema
        .constraints
        .iter()
        .filter(|constraint| constraint.kind.applies_to(kind.value_kind()))
        .map(constraint_view)
        .collect();
    if !constraints.is_empty() {
        parameter.insert("constraints".into(), Value::Array(constraints));
    }
    parameter
}

fn cfn_parameter(schema: &PropertySchema) -> Map<String, Value> {
    let mut parameter = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            parameter.insert(key.into(), value);
        }
    };
    put("Type", Some(parameter_kind(schema.kind).api_name().into()));
    put("Description", (!schema.description.is_empty()).then(|| schema.description.as_ref().into()));
    put("Default", schema.default.clone());
    for constraint in &schema.constraints {
        match &constraint.kind {
            ConstraintKind::Length { min, max } => {
                put("MinLength", min.map(Value::from));
                put("MaxLength", max.map(Value::from));
            }
            ConstraintKind::Range { min, max } => {
                put("MinValue", min.clone().map(Value::Number));
                put("MaxValue", max.clone().map(Value::Number));
            }
            ConstraintKind::AllowedValues(allowed) => put("AllowedValues", Some(Value::Array(allowed.clone()))),
            ConstraintKind::AllowedPattern(pattern) => put("AllowedPattern", Some(pattern.as_str().into())),
            ConstraintKind::Modulo { .. } | ConstraintKind::Custom(_) => {}
        }
    }
    if schema.kind == PropertyKind::Boolean {
        put("AllowedValues", Some(json!(["True", "true", "False", "false"])));
    }
    parameter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{properties::AttributeSchema, template::Template};

    fn example() -> (PropertySchemas, AttributeSchemas) {
        let network = PropertySchema::string("Name or id").custom("neutron.network");
        let properties = PropertySchemas::from([
            ("image".into(), PropertySchema::string("The image").required().length(Some(1), None)),
            ("memory".into(), PropertySchema::integer("MiB").updatable().range(Some(4), None)),
            ("tty".into(), PropertySchema::boolean("A terminal").default_value(false)),
            ("value".into(), PropertySchema::any("Anything")),
            ("image_ref".into(), PropertySchema::string("Old name").alias_of("image")),
            (
                "networks".into(),
                PropertySchema::list("Networks").of(PropertySchema::map("One").with([("network", network)])),
            ),
        ]);
        let attributes = AttributeSchemas::from([
            ("name".into(), AttributeSchema::new("Its name")),
            ("addresses".into(), AttributeSchema::typed(PropertyKind::Map, "By network")),
        ]);
        (properties, attributes)
    }

    #[test]
    fn the_schema_view_shows_types_constraints_and_nested_schemas() {
        let (properties, attributes) = example();
        let view = Value::Object(schema_view("OS::A::B", &properties, &attributes, &SupportStatus::default(), None));
        assert_eq!(
            view["properties"]["image"],
            json!({
                "type": "string", "description": "The image", "required": true,
                "constraints": [{"length": {"min": 1}}], "update_allowed": false, "immutable": false
            })
        );
        assert_eq!(
            view["properties"]["networks"]["schema"]["*"]["schema"]["network"]["constraints"],
            json!([{"custom_constraint": "neutron.network"}])
        );
        assert_eq!(view["properties"]["tty"]["default"], json!(false));
        assert_eq!(view["properties"].get("image_ref"), None);
        assert_eq!(view["attributes"]["addresses"], json!({"description": "By network", "type": "map"}));
        assert_eq!(view["attributes"]["show"]["type"], json!("map"));
        assert_eq!(
            view["support_status"],
            json!({"status": "SUPPORTED", "message": null, "version": null, "previous_status": null})
        );
        assert_eq!(view.get("description"), None);
    }

    #[test]
    fn generated_templates_are_valid_templates_of_both_dialects() {
        let (properties, attributes) = example();
        for dialect in [Dialect::Hot, Dialect::Cfn] {
            let generated = generated_template("OS::A::B", &properties, &attributes, dialect).unwrap();
            let template = Template::from_map(generated).unwrap();
            assert_eq!(template.parameters().len(), 5);
            assert_eq!(template.parameters()["value"].kind, ParameterKind::Json);
            assert_eq!(template.outputs().len(), 4);
            assert_eq!(template.resources()["B"].type_name, "OS::A::B");
        }
    }
}
