//! Parameters of a stack: schemas from the template, values from user, environment and defaults, checked.
//!
//! Custom constraints (`neutron.network`…) need other services: they are collected as [`CustomCheck`]s which the engine
//! asks about; see [`Parameters::custom_checks`].

pub mod constraint;
mod pattern;
mod schema;
mod values;
mod view;

pub(crate) use constraint::ValueKind;
pub use constraint::{Constraint, ConstraintKind, CustomCheck};
pub(crate) use pattern::PatternBudget;
pub(crate) use schema::split_list;
pub use schema::{ParameterKind, ParameterSchema};
pub use values::{Parameters, PseudoParameters};
pub use view::validate_parameters;
