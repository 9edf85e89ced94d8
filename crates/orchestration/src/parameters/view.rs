//! Parameters as `POST /validate` shows them (spec 1.16).

use serde_json::{Map, Value};

use super::Parameters;

/// The `Parameters` object of the validate answer.
pub fn validate_parameters(parameters: &Parameters) -> Map<String, Value> {
    let _ = parameters;
    Map::new()
}
