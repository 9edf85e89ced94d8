//! Outputs, computed from the living resources whenever they are shown.

use sahab_contract::{Error, RequestContext, Result};
use serde_json::Value;

use crate::{
    core::Core,
    db::{Action, Status, resource, stack},
    engine::reader::{self, Reader},
    plan::Plan,
    template::error,
};

/// Bytes of JSON that all outputs of one answer may have together. Each has a budget of its own when it is computed, but a
/// small template can have a thousand.
const ALL_OUTPUTS: usize = 16 * 1024 * 1024;

/// One computed output.
pub struct Output {
    pub name: String,
    pub description: Option<String>,
    pub value: Value,
    /// Why there is no value.
    pub error: Option<String>,
}

/// A stack that was not even begun, or is gone, has none.
pub fn are_present(row: &stack::Model) -> bool {
    !(row.is_deleted() || (row.action, row.status) == (Action::Delete, Status::Complete))
}

pub async fn resolve_all(
    core: &Core,
    context: &RequestContext,
    row: &stack::Model,
    plan: &Plan,
) -> Result<Vec<Output>> {
    let names: Vec<String> = plan.bound.outputs().map(|(output, _)| output.name.clone()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    resolve(core, context, row, plan, &names).await
}

pub async fn resolve(
    core: &Core,
    context: &RequestContext,
    row: &stack::Model,
    plan: &Plan,
    names: &[String],
) -> Result<Vec<Output>> {
    let act = super::reading_act(core, context, row).await?;
    let rows = reader::current(resource::of_stack(core.database.read(), &row.id).await?);
    let reader = Reader { core, act: &act, plan, rows: &rows, project_id: &row.project_id };
    let mut outputs = Vec::new();
    let mut left = ALL_OUTPUTS;
    for (definition, is_on) in plan.bound.outputs() {
        if !names.contains(&definition.name) {
            continue;
        }
        let value = match is_on {
            true if left == 0 => Err(too_large()),
            true => one(&reader, plan, &definition.name).await,
            false => Ok(Value::Null),
        };
        let value = value.and_then(|value| {
            left = left.saturating_sub(value.to_string().len());
            if left == 0 { Err(too_large()) } else { Ok(value) }
        });
        let (value, error) = match value {
            Ok(value) => (value, None),
            Err(error) => (Value::Null, Some(error.message().to_owned())),
        };
        outputs.push(Output {
            name: definition.name.clone(),
            description: definition.description.clone(),
            value,
            error,
        });
    }
    Ok(outputs)
}

async fn one(reader: &Reader<'_>, plan: &Plan, name: &str) -> Result<Value> {
    let references = plan.bound.output_references(name)?;
    let fetched = reader.fetch(&references).await?;
    plan.bound.resolve_output(name, &fetched)
}

fn too_large() -> Error {
    error::limit(format!(
        "The outputs of the stack exceed the maximum allowed size ({ALL_OUTPUTS} bytes); show this one by its name."
    ))
}
