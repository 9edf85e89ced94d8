//! A parameter's declaration.

use sahab_contract::Result;
use serde_json::Value;

use super::Constraint;
use crate::template::Version;

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterKind {
    String,
    Number,
    CommaDelimitedList,
    Json,
    Boolean,
}

/// One entry of `parameters`.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterSchema {
    pub name: String,
    pub kind: ParameterKind,
    pub description: Option<String>,
    pub label: Option<String>,
    pub default: Option<Value>,
    pub hidden: bool,
    pub immutable: bool,
    pub tags: Vec<Value>,
    pub constraints: Vec<Constraint>,
}

impl ParameterSchema {
    /// Reads a declaration of either dialect and validates its default.
    pub fn parse(version: Version, name: &str, declaration: &Value) -> Result<ParameterSchema> {
        let _ = (version, name, declaration);
        Err(sahab_contract::Error::internal("not yet written"))
    }
}
