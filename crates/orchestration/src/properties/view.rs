//! Schemas as `GET /resource_types/{type}` and `…/template` show them (spec 1.17).

use sahab_contract::Result;
use serde_json::{Map, Value};

use super::{AttributeSchemas, PropertySchemas, SupportStatus};
use crate::template::Dialect;

/// The body of `GET /resource_types/{type}`; `description` is shown when asked for.
pub fn schema_view(
    type_name: &str,
    properties: &PropertySchemas,
    attributes: &AttributeSchemas,
    status: &SupportStatus,
    description: Option<&str>,
) -> Map<String, Value> {
    let _ = (type_name, properties, attributes, status, description);
    Map::new()
}

/// A provider template with one parameter per property and one output per attribute.
pub fn generated_template(
    type_name: &str,
    properties: &PropertySchemas,
    attributes: &AttributeSchemas,
    dialect: Dialect,
) -> Result<Map<String, Value>> {
    let _ = (type_name, properties, attributes, dialect);
    Err(sahab_contract::Error::internal("not yet written"))
}
