//! Merging of `environment_files` by the service (spec 2.5).

use sahab_contract::Result;

use super::Environment;
use crate::template::{Files, Template};

/// Merges the named files, first to last, by each parameter's strategy.
pub fn merge_files(template: &Template, files: &Files, names: &[String]) -> Result<Environment> {
    let _ = (template, files, names);
    Err(sahab_contract::Error::internal("not yet written"))
}
