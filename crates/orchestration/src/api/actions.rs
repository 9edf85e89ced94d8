//! `POST …/actions`

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, optional_body};
use crate::stacks::{self as domain, actions};

pub fn routes(table: &mut Table<State>) {
    table.post("/v1/{tenant}/stacks/{name}/{id}/actions", act);
}

async fn act(core: State, mut request: Request) -> Result<Response> {
    let body = optional_body(&mut request)?.unwrap_or_else(|| json!({}));
    let row = domain::find(&core, request.param("tenant"), request.param("name"), request.param("id")).await?;
    actions::act(&core, &request.context, row, &body).await?;
    Ok(Response::ok(Value::Null))
}
