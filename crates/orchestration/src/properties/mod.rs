//! Properties and attributes of resource types: declarations, resolution of a resource's properties against them,
//! differences between two resolutions, and how the API shows them.
//!
//! Declare a schema in builder style:
//! ```ignore
//! let network = PropertySchema::string("Name or id.").custom("neutron.network");
//! PropertySchemas::from([
//!     ("image".into(), PropertySchema::string("The image's name.").required()),
//!     ("networks".into(), PropertySchema::list("Networks.").updatable()
//!         .of(PropertySchema::map("One network.").with([("network", network)]))),
//!     ("network_id".into(), PropertySchema::string("Old name.").alias_of("network")),
//! ])
//! ```
//! A property is replace-on-change unless it is `updatable()`.

mod convert;
mod diff;
mod nested;
mod resolve;
mod schema;
mod view;

pub use diff::{PropertyChange, PropertyDiff};
pub use nested::{check_facade, nested_parameters, nested_schemas};
pub use resolve::{ResolvedProperties, resolve};
pub use schema::{
    AttributeSchema, AttributeSchemas, PropertyKind, PropertySchema, PropertySchemas, Schema, SupportStatus, Text,
};
pub use view::{generated_template, schema_view};
