//! Tags below taggable resources.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use sea_orm::{ActiveModelTrait, EntityTrait};
use serde_json::json;

use super::{State, collection::bare};
use crate::{resource::Resource, security_group::SecurityGroup, tag as domain};

pub async fn list<R: Resource>(service: State, request: Request) -> Result<Response> {
    let tags = domain::list::<R>(&service, &request.context, request.param("id")).await?;
    Ok(Response::ok(json!({"tags": tags})))
}

pub async fn has<R: Resource>(service: State, request: Request) -> Result<Response> {
    domain::has::<R>(&service, &request.context, request.param("id"), request.param("tag")).await?;
    Ok(Response::no_content())
}

pub async fn replace<R: Resource>(service: State, mut request: Request) -> Result<Response>
where
    <R::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = R::Entity> + Send,
{
    let body = bare(&mut request)?;
    let tags = domain::put::<R>(&service, &request.context, request.param("id"), &body, true).await?;
    Ok(Response::ok(json!({"tags": tags})))
}

pub async fn add<R: Resource>(service: State, mut request: Request) -> Result<Response>
where
    <R::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = R::Entity> + Send,
{
    let body = bare(&mut request)?;
    let tags = domain::put::<R>(&service, &request.context, request.param("id"), &body, false).await?;
    Ok(Response::ok(json!({"tags": tags})))
}

pub async fn put_one<R: Resource>(service: State, request: Request) -> Result<Response>
where
    <R::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = R::Entity> + Send,
{
    domain::put_one::<R>(&service, &request.context, request.param("id"), request.param("tag")).await?;
    Ok(Response::empty(201))
}

pub async fn remove<R: Resource>(service: State, request: Request) -> Result<Response>
where
    <R::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = R::Entity> + Send,
{
    let tag = request.param("tag");
    domain::remove::<R>(&service, &request.context, request.param("id"), Some(tag)).await?;
    Ok(Response::no_content())
}

pub async fn clear<R: Resource>(service: State, request: Request) -> Result<Response>
where
    <R::Entity as EntityTrait>::ActiveModel: ActiveModelTrait<Entity = R::Entity> + Send,
{
    domain::remove::<R>(&service, &request.context, request.param("id"), None).await?;
    Ok(Response::no_content())
}

/// Security groups register their verbs one by one, so their tags too.
pub fn register_groups(table: &mut Table<State>) {
    table.get("/v2.0/security-groups/{id}/tags", list::<SecurityGroup>);
    table.put("/v2.0/security-groups/{id}/tags", replace::<SecurityGroup>);
    table.post("/v2.0/security-groups/{id}/tags", add::<SecurityGroup>);
    table.delete("/v2.0/security-groups/{id}/tags", clear::<SecurityGroup>);
    table.get("/v2.0/security-groups/{id}/tags/{tag}", has::<SecurityGroup>);
    table.put("/v2.0/security-groups/{id}/tags/{tag}", put_one::<SecurityGroup>);
    table.delete("/v2.0/security-groups/{id}/tags/{tag}", remove::<SecurityGroup>);
}
