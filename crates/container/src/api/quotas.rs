//! `/v1/quotas/{project}` and `/v1/quota_classes/{class}`.

use sahab_api::{Request, Response};
use sahab_contract::Result;
use serde_json::Value;

use crate::{ContainerService, request::Arguments};

pub async fn show(service: ContainerService, request: Request) -> Result<Response> {
    let arguments = Arguments::query(&request);
    arguments.only(&["usages"])?;
    let usages = arguments.flag("usages", false)?;
    Ok(Response::ok(service.quota_show(&request.context, request.param("project"), usages).await?))
}

pub async fn defaults(service: ContainerService, request: Request) -> Result<Response> {
    Ok(Response::ok(service.quota_defaults(&request.context, request.param("project")).await?))
}

pub async fn update(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    Ok(Response::ok(service.quota_update(&request.context, request.param("project"), &arguments).await?))
}

pub async fn delete(service: ContainerService, request: Request) -> Result<Response> {
    service.quota_delete(&request.context, request.param("project")).await?;
    Ok(Response::ok(Value::Null))
}

pub async fn class_show(service: ContainerService, request: Request) -> Result<Response> {
    Ok(Response::ok(service.quota_class_show(&request.context, request.param("class")).await?))
}

pub async fn class_update(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    Ok(Response::ok(service.quota_class_update(&request.context, request.param("class"), &arguments).await?))
}
