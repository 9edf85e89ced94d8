//! `/v3/credentials` and EC2 key pairs.

use sahab_api::{Request, Response, Table};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::{State, auth::own_token, list, whole, wrapped};
use crate::{
    credential::{CredentialInput, Opened},
    input::{self, Input},
    view::resource,
};

pub fn routes(table: &mut Table<State>) {
    table.get("/v3/credentials", index);
    table.post("/v3/credentials", create);
    table.get("/v3/credentials/{credential_id}", show);
    table.patch("/v3/credentials/{credential_id}", update);
    table.delete("/v3/credentials/{credential_id}", delete);
    table.get("/v3/users/{user_id}/credentials/OS-EC2", ec2_index);
    table.post("/v3/users/{user_id}/credentials/OS-EC2", ec2_create);
    table.get("/v3/users/{user_id}/credentials/OS-EC2/{access}", ec2_show);
    table.delete("/v3/users/{user_id}/credentials/OS-EC2/{access}", ec2_delete);
}

fn view(base: &str, opened: &Opened) -> Value {
    let row = &opened.row;
    let own = json!({
        "id": row.id, "type": row.kind, "blob": opened.blob, "user_id": row.user_id, "project_id": row.project_id,
    });
    resource(base, "credentials", &row.extra, own)
}

async fn index(service: State, request: Request) -> Result<Response> {
    let page = service.credential_list(&request.context, &request.query).await?;
    list(&request, "credentials", page, |opened| &opened.row.id, view)
}

async fn create(service: State, mut request: Request) -> Result<Response> {
    let input = Input::read(&mut request, "credential")?;
    input.require(&["blob", "type"])?;
    let input = CredentialInput::parse(input)?;
    let token = own_token(&service, &request).await?;
    let opened = service.credential_create(&request.context, input, token.as_deref()).await?;
    Ok(Response::created(wrapped("credential", view(&request.meta.base_url, &opened))))
}

async fn show(service: State, request: Request) -> Result<Response> {
    let opened = service.credential_get(&request.context, request.param("credential_id")).await?;
    Ok(Response::ok(wrapped("credential", view(&request.meta.base_url, &opened))))
}

async fn update(service: State, mut request: Request) -> Result<Response> {
    let input = CredentialInput::parse(Input::read(&mut request, "credential")?)?;
    let opened = service.credential_update(&request.context, request.param("credential_id"), input).await?;
    Ok(Response::ok(wrapped("credential", view(&request.meta.base_url, &opened))))
}

async fn delete(service: State, request: Request) -> Result<Response> {
    service.credential_delete(&request.context, request.param("credential_id")).await?;
    Ok(Response::no_content())
}

async fn ec2_index(service: State, request: Request) -> Result<Response> {
    let items = service.ec2_list(&request.context, request.param("user_id")).await?;
    Ok(whole(&request, "credentials", items))
}

async fn ec2_create(service: State, mut request: Request) -> Result<Response> {
    let mut input = Input::from_value("credential", Value::Object(input::object(&mut request)?))?;
    input.require(&["tenant_id"])?;
    let project_id = input.id("tenant_id")?.unwrap_or_default();
    let token = own_token(&service, &request).await?;
    let user_id = request.param("user_id");
    let credential = service.ec2_create(&request.context, user_id, &project_id, token.as_deref()).await?;
    Ok(Response::created(wrapped("credential", credential)))
}

async fn ec2_show(service: State, request: Request) -> Result<Response> {
    let credential = service.ec2_get(&request.context, request.param("user_id"), request.param("access")).await?;
    Ok(Response::ok(wrapped("credential", credential)))
}

async fn ec2_delete(service: State, request: Request) -> Result<Response> {
    service.ec2_delete(&request.context, request.param("user_id"), request.param("access")).await?;
    Ok(Response::no_content())
}
