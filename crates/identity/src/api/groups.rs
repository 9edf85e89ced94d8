//! `/v3/groups`

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;

use super::{State, list, wrapped};
use crate::{group::GroupInput, input::Input, view};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/groups", index);
    table.post("/v3/groups", create);
    table.get("/v3/groups/{group_id}", show);
    table.patch("/v3/groups/{group_id}", update);
    table.delete("/v3/groups/{group_id}", delete);
    table.get("/v3/groups/{group_id}/users", users);
    table.put("/v3/groups/{group_id}/users/{user_id}", add);
    table.get("/v3/groups/{group_id}/users/{user_id}", check);
    table.delete("/v3/groups/{group_id}/users/{user_id}", remove);
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.group_list(&request.context, &request.query).await?;
    list(&request, "groups", page, |row| &row.id, view::group)
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let input = Input::read(&mut request, "group")?;
    input.require(&["name"])?;
    let row = service.group_create(&request.context, GroupInput::parse(input)?).await?;
    Ok(Response::created(wrapped("group", view::group(&request.meta.base_url, &row))))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let row = service.group_for(&request.context, "identity:get_group", request.param("group_id")).await?;
    Ok(Response::ok(wrapped("group", view::group(&request.meta.base_url, &row))))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let input = GroupInput::parse(Input::read(&mut request, "group")?)?;
    let row = service.group_update(&request.context, request.param("group_id"), input).await?;
    Ok(Response::ok(wrapped("group", view::group(&request.meta.base_url, &row))))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.group_delete(&request.context, request.param("group_id")).await?;
    Ok(Response::no_content())
}

async fn users(service: State, request: Request) -> Result<Response> {
    let page = service.users_of_group(&request.context, request.param("group_id"), &request.query).await?;
    list(&request, "users", page, |row| &row.id, view::user)
}

async fn add(service: State, request: Request) -> Result<Response> {
    service.member_add(&request.context, request.param("group_id"), request.param("user_id")).await?;
    Ok(Response::no_content())
}

async fn check(service: State, request: Request) -> Result<Response> {
    service.member_check(&request.context, request.param("group_id"), request.param("user_id")).await?;
    Ok(Response::no_content())
}

async fn remove(service: State, request: Request) -> Result<Response> {
    service.member_remove(&request.context, request.param("group_id"), request.param("user_id")).await?;
    Ok(Response::no_content())
}
