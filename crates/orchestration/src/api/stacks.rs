//! Stacks: create, look up, list, show, update, delete, preview, validate, and their texts.

use http::{Method, header};
use sahab_api::{Request, Response, Table};
use sahab_contract::{Error, Result};
use serde_json::{Map, Value, json};

use super::{State, all, body, flag, number, optional_body, redirect, stack_of};
use crate::{
    db::{Action, Status, stack, state},
    stacks::{self as domain, create, outputs, preview, preview_update, update, update::Style, validate},
    view,
};

/// Parts of a stack that a lookup by name also finds.
const PARTS: [(&str, &str); 7] = [
    ("/v1/{tenant}/stacks/{name}/resources", "/resources"),
    ("/v1/{tenant}/stacks/{name}/events", "/events"),
    ("/v1/{tenant}/stacks/{name}/template", "/template"),
    ("/v1/{tenant}/stacks/{name}/actions", "/actions"),
    ("/v1/{tenant}/stacks/{name}/environment", "/environment"),
    ("/v1/{tenant}/stacks/{name}/files", "/files"),
    ("/v1/{tenant}/stacks/{name}/outputs", "/outputs"),
];

pub fn routes(table: &mut Table<State>) {
    table.get("/v1/{tenant}/stacks", |core, request| index(core, request, "stacks:index"));
    table.get("/v1/{tenant}/stacks/detail", |core, request| index(core, request, "stacks:detail"));
    table.post("/v1/{tenant}/stacks", create_stack);
    table.post("/v1/{tenant}/stacks/preview", preview_stack);
    table.post("/v1/{tenant}/validate", validate_template);
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        table.route(method, "/v1/{tenant}/stacks/{name}", |core, request| redirect(core, request, ""));
    }
    for (path, rest) in PARTS {
        table.get(path, move |core, request| redirect(core, request, rest));
        if matches!(rest, "/resources" | "/events" | "/template" | "/actions") {
            table.post(path, move |core, request| redirect(core, request, rest));
        }
    }
    table.get("/v1/{tenant}/stacks/{name}/{id}", show);
    table.put("/v1/{tenant}/stacks/{name}/{id}", |core, request| change(core, request, Style::Put));
    table.patch("/v1/{tenant}/stacks/{name}/{id}", |core, request| change(core, request, Style::Patch));
    table.delete("/v1/{tenant}/stacks/{name}/{id}", remove);
    table.put("/v1/{tenant}/stacks/{name}/{id}/preview", |core, request| preview_change(core, request, Style::Put));
    table.patch("/v1/{tenant}/stacks/{name}/{id}/preview", |core, request| preview_change(core, request, Style::Patch));
    table.get("/v1/{tenant}/stacks/{name}/{id}/template", template);
    table.get("/v1/{tenant}/stacks/{name}/{id}/environment", environment);
    table.get("/v1/{tenant}/stacks/{name}/{id}/files", files);
    table.get("/v1/{tenant}/stacks/{name}/{id}/outputs", list_outputs);
    table.get("/v1/{tenant}/stacks/{name}/{id}/outputs/{key}", show_output);
    table.delete("/v1/{tenant}/stacks/{name}/{id}/abandon", |core, request| {
        unsupported(core, request, "Stack Abandon is not supported.")
    });
    table.get("/v1/{tenant}/stacks/{name}/{id}/export", |core, request| {
        unsupported(core, request, "Stack Abandon is not supported.")
    });
    for (method, path) in [
        (Method::GET, "/v1/{tenant}/stacks/{name}/{id}/snapshots"),
        (Method::POST, "/v1/{tenant}/stacks/{name}/{id}/snapshots"),
        (Method::GET, "/v1/{tenant}/stacks/{name}/{id}/snapshots/{snapshot}"),
        (Method::DELETE, "/v1/{tenant}/stacks/{name}/{id}/snapshots/{snapshot}"),
        (Method::POST, "/v1/{tenant}/stacks/{name}/{id}/snapshots/{snapshot}/restore"),
    ] {
        table.route(method, path, |core, request| unsupported(core, request, "Stack Snapshot is not supported."));
    }
}

async fn create_stack(core: State, mut request: Request) -> Result<Response> {
    let body = body(&mut request)?;
    let row = create::create(&core, &request.context, request.param("tenant"), &body).await?;
    let location = view::stack_url_of(&request.meta.base_url, &row);
    Ok(Response::created(view::stack::created(&request.meta.base_url, &row)).header(header::LOCATION, location))
}

async fn preview_stack(core: State, mut request: Request) -> Result<Response> {
    let body = body(&mut request)?;
    let tenant = request.param("tenant");
    Ok(Response::ok(preview::preview(&core, &request.context, tenant, &request.meta.base_url, &body).await?))
}

async fn validate_template(core: State, mut request: Request) -> Result<Response> {
    let body = body(&mut request)?;
    let show_nested = flag(&request, "show_nested")?;
    let ignore = request.query.get("ignore_errors").unwrap_or_default();
    for code in ignore.split(',').map(str::trim).filter(|code| !code.is_empty()) {
        if code != "99001" {
            return Err(crate::template::error::bad_request(format!("Invalid codes in ignore_errors : ['{code}']")));
        }
    }
    let tenant = request.param("tenant");
    Ok(Response::ok(validate::validate(&core, &request.context, tenant, &body, show_nested, !ignore.is_empty()).await?))
}

async fn index(core: State, request: Request, rule: &str) -> Result<Response> {
    let tenant = request.param("tenant").to_owned();
    let is_global = flag(&request, "global_tenant")?;
    let (mut filter, show_hidden) = filter(&request)?;
    filter.project_id = (!is_global).then(|| tenant.clone());
    let limit = number(&request, "limit")?.filter(|limit| *limit > 0);
    let page = stack::Page {
        limit,
        marker: request.query.get("marker").map(str::to_owned),
        sort: request
            .query
            .all("sort_keys")
            .flat_map(|keys| keys.split(','))
            .filter_map(|key| match key {
                "stack_name" | "name" => Some(stack::SortKey::Name),
                "stack_status" | "status" => Some(stack::SortKey::Status),
                "creation_time" | "created_at" => Some(stack::SortKey::CreatedAt),
                "updated_time" | "updated_at" => Some(stack::SortKey::UpdatedAt),
                _ => None,
            })
            .collect(),
        is_ascending: request.query.get("sort_dir") == Some("asc"),
    };
    let rule = if is_global { "stacks:global_index" } else { rule };
    let with_count = flag(&request, "with_count")?;
    let listed = domain::list(&core, &request.context, rule, filter, &page, show_hidden, with_count).await?;
    let base = &request.meta.base_url;
    let items: Vec<Value> =
        listed.stacks.iter().map(|(row, tags)| view::stack::summary(base, row, tags, is_global)).collect();
    let mut out = Map::new();
    let is_full = limit.is_some_and(|limit| u64::try_from(items.len()).is_ok_and(|length| length == limit));
    if is_full && let Some((last, _)) = listed.stacks.last() {
        let query = request.query.with(&[("marker", Some(&last.id))]);
        out.insert("links".into(), json!([view::link("next", format!("{base}{}?{query}", request.meta.path))]));
    }
    out.insert("stacks".into(), Value::Array(items));
    if let Some(count) = listed.count {
        out.insert("count".into(), json!(count));
    }
    Ok(Response::ok(Value::Object(out)))
}

fn filter(request: &Request) -> Result<(stack::Filter, bool)> {
    let commas = |name: &str| -> Vec<String> {
        let values = request.query.all(name).flat_map(|text| text.split(','));
        values.map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
    };
    let mut filter = stack::Filter {
        ids: all(request, "id"),
        names: all(request, "name").into_iter().chain(all(request, "stack_name")).collect(),
        owners: all(request, "owner_id"),
        user_names: all(request, "username").into_iter().chain(all(request, "stack_owner")).collect(),
        show_deleted: flag(request, "show_deleted")?,
        show_nested: flag(request, "show_nested")?,
        tags: commas("tags"),
        tags_any: commas("tags_any"),
        not_tags: commas("not_tags"),
        not_tags_any: commas("not_tags_any"),
        ..Default::default()
    };
    for text in all(request, "status").into_iter().chain(all(request, "stack_status")) {
        let text = text.to_uppercase();
        if let Some(status) = Status::parse(&text) {
            filter.statuses.push(status);
        } else if let Some(pair) = state::split(&text) {
            filter.states.push(pair);
        } else {
            // A state that does not exist matches nothing.
            filter.ids.push(String::new());
        }
    }
    for text in all(request, "action") {
        match Action::parse(&text.to_uppercase()) {
            Some(action) => filter.actions.push(action),
            None => filter.ids.push(String::new()),
        }
    }
    Ok((filter, flag(request, "show_hidden")?))
}

async fn show(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "stacks:show").await?;
    let with_outputs = match request.query.get("resolve_outputs") {
        Some(text) => domain::request::boolean("resolve_outputs", &Value::String(text.to_owned()))?,
        None => true,
    };
    let tags = domain::tags(&core, &row).await?;
    let base = &request.meta.base_url;
    let plan = core.plan_of(&row, core.files(&row).await?, None);
    let (parameters, outputs) = match &plan {
        Ok(plan) => {
            let outputs = if with_outputs && outputs::are_present(&row) {
                Some(outputs::resolve_all(&core, &request.context, &row, plan).await?)
            } else {
                None
            };
            (plan.bound.parameters().to_strings(), outputs)
        }
        // A template that can no longer be read (its files are gone with the stack) still has its pseudo parameters.
        Err(_) => {
            let own = json!({"OS::stack_id": row.id, "OS::project_id": row.project_id, "OS::stack_name": row.name});
            (own.as_object().cloned().unwrap_or_default(), None)
        }
    };
    Ok(Response::ok(view::stack::shown(base, &row, &tags, parameters, outputs.as_deref())))
}

async fn change(core: State, mut request: Request, style: Style) -> Result<Response> {
    let body = match (style, optional_body(&mut request)?) {
        (_, Some(body)) => body,
        (Style::Patch, None) => json!({}),
        (Style::Put, None) => return Err(crate::template::error::bad_request("The body must be a JSON object.")),
    };
    let row = domain::find(&core, request.param("tenant"), request.param("name"), request.param("id")).await?;
    update::update(&core, &request.context, row, style, &body).await?;
    Ok(Response::empty(202))
}

async fn preview_change(core: State, mut request: Request, style: Style) -> Result<Response> {
    let body = match (style, optional_body(&mut request)?) {
        (_, Some(body)) => body,
        (Style::Patch, None) => json!({}),
        (Style::Put, None) => return Err(crate::template::error::bad_request("The body must be a JSON object.")),
    };
    let row = domain::find(&core, request.param("tenant"), request.param("name"), request.param("id")).await?;
    let show_nested = flag(&request, "show_nested")?;
    let changes = preview_update::preview_update(&core, &request.context, row, style, show_nested, &body).await?;
    Ok(Response::ok(changes))
}

async fn remove(core: State, request: Request) -> Result<Response> {
    let row = domain::find(&core, request.param("tenant"), request.param("name"), request.param("id")).await?;
    update::delete(&core, &request.context, row).await?;
    Ok(Response::no_content())
}

async fn template(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "stacks:template").await?;
    Ok(Response::ok(row.template))
}

async fn environment(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "stacks:environment").await?;
    Ok(Response::ok(Value::Object(domain::resources::environment(&core, &request.context, &row).await?)))
}

async fn files(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "stacks:files").await?;
    let files = core.files(&row).await?;
    Ok(Response::ok(crate::plan::files_to_value(&files)))
}

async fn list_outputs(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "stacks:list_outputs").await?;
    let plan = core.plan_of(&row, core.files(&row).await?, None)?;
    let outputs = plan.bound.outputs().map(|(output, _)| {
        json!({"output_key": output.name, "description": output.description.as_deref().unwrap_or("No description given")})
    });
    Ok(Response::ok(json!({"outputs": outputs.collect::<Vec<_>>()})))
}

async fn show_output(core: State, request: Request) -> Result<Response> {
    let row = stack_of(&core, &request, "stacks:show_output").await?;
    let key = request.param("key").to_owned();
    let plan = core.plan_of(&row, core.files(&row).await?, None)?;
    let found = outputs::resolve(&core, &request.context, &row, &plan, std::slice::from_ref(&key)).await?;
    match found.first() {
        Some(output) => Ok(Response::ok(json!({"output": view::stack::output(output)}))),
        None => Err(Error::not_found("NotFound", format!("Specified output key {key} not found."))),
    }
}

/// What other releases of the service may offer: refused for members, hidden from others.
async fn unsupported(core: State, request: Request, message: &str) -> Result<Response> {
    stack_of(&core, &request, "stacks:delete").await?;
    Err(domain::not_supported(message))
}
