//! Properties and attributes of resource types: declarations, resolution of a resource's properties against them,
//! differences between two resolutions, and how the API shows them.
//!
//! Declare a schema in builder style:
//! ```ignore
//! PropertySchema::string("The image's name").required()
//! PropertySchema::list("Networks").updatable().of(PropertySchema::map("One").with([("network", PropertySchema::string("…").custom("neutron.network"))]))
//! ```

mod diff;
mod resolve;
mod schema;
mod view;

pub use diff::{PropertyChange, PropertyDiff};
pub use resolve::{ResolvedProperties, resolve};
pub use schema::{
    AttributeSchema, AttributeSchemas, PropertyKind, PropertySchema, PropertySchemas, Schema, SupportStatus, Text,
};
pub use view::{generated_template, schema_view};
