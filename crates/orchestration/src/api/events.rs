//! Events of a stack or of one resource.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, all, nested_depth, number, stack_of};
use crate::{
    db::{Status, event, state},
    stacks::{self as domain, events},
    view,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v1/{tenant}/stacks/{name}/{id}/events", index);
    table.get("/v1/{tenant}/stacks/{name}/{id}/resources/{resource}/events", index);
    table.get("/v1/{tenant}/stacks/{name}/{id}/resources/{resource}/events/{event}", show);
}

async fn index(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "events:index").await?;
    let depth = nested_depth(&core, &request)?;
    let mut filter = event::Filter {
        resource_names: all(&request, "resource_name"),
        resource_types: all(&request, "resource_type"),
        limit: number(&request, "limit")?.filter(|limit| *limit > 0),
        marker: request.query.get("marker").map(str::to_owned),
        is_ascending: request.query.get("sort_dir") == Some("asc"),
        by_type: request.query.all("sort_keys").any(|key| key == "resource_type"),
        ..Default::default()
    };
    filter.actions = all(&request, "resource_action").into_iter().map(|text| text.to_uppercase()).collect();
    for text in all(&request, "resource_status") {
        let text = text.to_uppercase();
        match (Status::parse(&text), state::split(&text)) {
            (Some(status), _) => filter.statuses.push(status),
            (None, Some((action, status))) => {
                filter.actions.push(action.as_str().to_owned());
                filter.statuses.push(status);
            }
            (None, None) => filter.resource_names.push(String::new()),
        }
    }
    let of_resource = Some(request.param("resource")).filter(|name| !name.is_empty());
    let listed = events::list(&core, &request.context, &row, filter, depth, of_resource).await?;
    let base = &request.meta.base_url;
    let root = (depth > 0).then_some(&row);
    let items: Vec<Value> = listed
        .events
        .iter()
        .filter_map(|event| Some(view::event::shown(base, event, listed.stacks.get(&event.stack_id)?, root)))
        .collect();
    Ok(Response::ok(json!({"events": items})))
}

async fn show(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "events:show").await?;
    let event = events::show(&core, &request.context, &row, request.param("resource"), request.param("event")).await?;
    let rows = domain::resources::current_rows(&core, &row).await?;
    let properties = rows.get(&event.resource_name).map(|row| row.properties.clone()).unwrap_or_else(|| json!({}));
    Ok(Response::ok(view::event::detailed(&request.meta.base_url, &event, &row, properties)))
}
