//! `/v3/users`

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Map, Value, json};

use super::{State, list, projects::with_tags, wrapped};
use crate::{input::Input, passwords::MAX_PASSWORD, user::UserInput, view};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/users", index);
    table.post("/v3/users", create);
    table.get("/v3/users/{user_id}", show);
    table.patch("/v3/users/{user_id}", update);
    table.delete("/v3/users/{user_id}", delete);
    table.post("/v3/users/{user_id}/password", change_password).open();
    table.get("/v3/users/{user_id}/projects", projects);
    table.get("/v3/users/{user_id}/groups", groups);
    table.delete("/v3/users/{user_id}/tokens", revoke_tokens);
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.user_list(&request.context, &request.query).await?;
    list(&request, "users", page, |row| &row.id, view::user)
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let input = Input::read(&mut request, "user")?;
    input.require(&["name"])?;
    let row = service.user_create(&request.context, UserInput::parse(input)?).await?;
    Ok(Response::created(wrapped("user", view::user(&request.meta.base_url, &row))))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let row = service.user_for(&request.context, "identity:get_user", request.param("user_id")).await?;
    Ok(Response::ok(wrapped("user", view::user(&request.meta.base_url, &row))))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let input = UserInput::parse(Input::read(&mut request, "user")?)?;
    let row = service.user_update(&request.context, request.param("user_id"), input).await?;
    Ok(Response::ok(wrapped("user", with_extra(view::user(&request.meta.base_url, &row), &row.extra))))
}

/// Updates of users and projects show the extras twice.
pub(super) fn with_extra(mut resource: Value, extra: &Value) -> Value {
    resource["extra"] = extra.as_object().map_or_else(|| json!({}), |extra| Value::Object(Map::clone(extra)));
    resource
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.user_delete(&request.context, request.param("user_id")).await?;
    Ok(Response::no_content())
}

async fn change_password(service: State, mut request: Request) -> Result<Response> {
    let mut input = Input::read(&mut request, "user")?;
    input.require(&["original_password", "password"])?;
    let original = input.text("original_password", MAX_PASSWORD)?.unwrap_or_default();
    let password = input.text("password", MAX_PASSWORD)?.unwrap_or_default();
    service.user_change_password(request.param("user_id"), &original, &password).await?;
    Ok(Response::no_content())
}

async fn projects(service: State, request: Request) -> Result<Response> {
    let user_id = request.param("user_id");
    service.user_for(&request.context, "identity:list_user_projects", user_id).await?;
    let page = service.projects_of(user_id, &request.query).await?;
    with_tags(&service, &request, page).await
}

async fn groups(service: State, request: Request) -> Result<Response> {
    let page = service.groups_of_user(&request.context, request.param("user_id"), &request.query).await?;
    list(
        &request,
        "groups",
        page,
        |row| &row.id,
        |base, row| {
            let mut group = view::group(base, row);
            group["membership_expires_at"] = Value::Null;
            group
        },
    )
}

async fn revoke_tokens(service: State, request: Request) -> Result<Response> {
    service.user_revoke_tokens(&request.context, request.param("user_id")).await?;
    Ok(Response::no_content())
}
