//! A nested template seen as a resource type: parameters become properties, outputs become attributes (spec 2.10).

use sahab_contract::Result;
use serde_json::{Map, Value};

use super::{AttributeSchema, AttributeSchemas, PropertyKind, PropertySchema, PropertySchemas, ResolvedProperties};
use crate::{
    parameters::{ConstraintKind, ParameterKind},
    template::{Template, error},
};

/// The properties and attributes of a nested template.
pub fn nested_schemas(template: &Template) -> (PropertySchemas, AttributeSchemas) {
    let properties = template.parameters().values().map(|parameter| {
        let kind = match parameter.kind {
            ParameterKind::String => PropertyKind::String,
            ParameterKind::Number => PropertyKind::Number,
            ParameterKind::CommaDelimitedList => PropertyKind::List,
            ParameterKind::Json => PropertyKind::Map,
            ParameterKind::Boolean => PropertyKind::Boolean,
        };
        let mut schema = PropertySchema::new(kind, parameter.description.clone().unwrap_or_default()).updatable();
        schema.required = parameter.default.is_none();
        schema.converts = matches!(kind, PropertyKind::List | PropertyKind::Map);
        // The nested stack checks everything once more; a JSON text has no length to compare here.
        schema.constraints = parameter
            .constraints
            .iter()
            .filter(|constraint| kind != PropertyKind::Map || !matches!(constraint.kind, ConstraintKind::Length { .. }))
            .cloned()
            .collect();
        (parameter.name.clone().into(), schema)
    });
    let attributes = template.outputs().values().map(|output| {
        (output.name.clone().into(), AttributeSchema::new(output.description.clone().unwrap_or_default()))
    });
    (properties.collect(), attributes.collect())
}

/// The parameters of the nested stack: what the resource was given, without nulls.
pub fn nested_parameters(properties: &ResolvedProperties) -> Map<String, Value> {
    properties
        .values
        .iter()
        .filter(|(name, value)| !value.is_null() && properties.given.contains(*name))
        .map(|(name, value)| {
            let value = match value {
                // A reference that gave nothing must not become the text "None" in the list.
                Value::Array(items) => Value::Array(
                    items.iter().map(|item| if item.is_null() { "".into() } else { item.clone() }).collect(),
                ),
                other => other.clone(),
            };
            (name.clone(), value)
        })
        .collect()
}

/// Checks that a nested template can stand for the implemented type it shadows.
///
/// # Errors
/// `Required property x for facade T missing in provider` and its siblings.
pub fn check_facade(
    type_name: &str,
    nested: (&PropertySchemas, &AttributeSchemas),
    facade: (&PropertySchemas, &AttributeSchemas),
) -> Result<()> {
    let (properties, attributes) = nested;
    let (facade_properties, facade_attributes) = facade;
    for (name, wanted) in facade_properties {
        match properties.get(name) {
            None if wanted.required => {
                return Err(error::validation(format!(
                    "Required property {name} for facade {type_name} missing in provider"
                )));
            }
            None => {}
            Some(found) => {
                let accepted = if wanted.kind == PropertyKind::Integer { PropertyKind::Number } else { wanted.kind };
                if wanted.kind != PropertyKind::Any && found.kind != accepted {
                    return Err(error::validation(format!(
                        "Property {name} type mismatch between facade {type_name} ({}) and provider ({})",
                        wanted.kind.title(),
                        found.kind.title()
                    )));
                }
            }
        }
    }
    if let Some((name, _)) =
        properties.iter().find(|(name, schema)| schema.required && !facade_properties.contains_key(*name))
    {
        return Err(error::validation(format!("Provider requires property {name} unknown in facade {type_name}")));
    }
    match facade_attributes.keys().find(|name| !attributes.contains_key(*name)) {
        Some(name) => Err(error::validation(format!("Attribute {name} for facade {type_name} missing in provider"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: &str = "
heat_template_version: rocky
parameters:
  image: {type: string}
  ports: {type: comma_delimited_list, default: ''}
  labels: {type: json, default: {}}
outputs:
  address: {value: 1, description: where}
";

    #[test]
    fn parameters_become_properties_and_outputs_attributes() {
        let (properties, attributes) = nested_schemas(&Template::parse(NESTED).unwrap());
        assert!(properties["image"].required && properties["image"].update_allowed);
        assert!(properties["ports"].converts && !properties["ports"].required);
        assert_eq!(properties["labels"].kind, PropertyKind::Map);
        assert_eq!(attributes["address"].description, "where");
    }

    #[test]
    fn a_provider_has_to_offer_what_the_facade_promises() {
        let (properties, attributes) = nested_schemas(&Template::parse(NESTED).unwrap());
        let facade = |schemas: PropertySchemas, names: AttributeSchemas| {
            check_facade("OS::X", (&properties, &attributes), (&schemas, &names)).map_err(|e| e.message().to_owned())
        };
        let image = || ("image".into(), PropertySchema::string("").required());
        let address = || AttributeSchemas::from([("address".into(), AttributeSchema::new(""))]);
        assert_eq!(facade([image()].into(), address()), Ok(()));
        assert_eq!(
            facade([image(), ("size".into(), PropertySchema::integer("").required())].into(), address()),
            Err("Required property size for facade OS::X missing in provider".into())
        );
        assert_eq!(
            facade([("image".into(), PropertySchema::map(""))].into(), address()),
            Err("Property image type mismatch between facade OS::X (Map) and provider (String)".into())
        );
        assert_eq!(
            facade(PropertySchemas::new(), address()),
            Err("Provider requires property image unknown in facade OS::X".into())
        );
        assert_eq!(
            facade([image()].into(), [("name".into(), AttributeSchema::new(""))].into()),
            Err("Attribute name for facade OS::X missing in provider".into())
        );
    }
}
