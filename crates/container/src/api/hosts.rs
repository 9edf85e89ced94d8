//! `/v1/hosts`, `/v1/services`, `/v1/availability_zones`, `/v1/networks`.

use sahab_api::{Request, Response};
use sahab_contract::Result;
use serde_json::{Value, json};

use super::paging;
use crate::{
    ContainerService,
    db::host::sortable,
    family,
    request::{Arguments, fields},
    services::ServiceChange,
    texts,
};

pub async fn list(service: ContainerService, request: Request) -> Result<Response> {
    family::require(&request, (1, 4), family::MAXIMUM, "")?;
    let arguments = Arguments::query(&request);
    arguments.only(&paging::KEYS)?;
    let paging = paging::parse(&arguments, sortable, "hostname")?;
    let hosts = service.host_page(&request.context, &paging.page, paging.marker.as_deref(), request.version()).await?;
    let last = hosts.last().and_then(|host| host["uuid"].as_str());
    let next = paging::next(&request, "hosts", &paging.page, hosts.len(), last);
    Ok(Response::ok(json!({"hosts": hosts, "next": next})))
}

pub async fn show(service: ContainerService, request: Request) -> Result<Response> {
    family::require(&request, (1, 4), family::MAXIMUM, "")?;
    Ok(Response::ok(service.host_show(&request.context, request.param("id"), request.version()).await?))
}

pub async fn services(service: ContainerService, request: Request) -> Result<Response> {
    Ok(Response::ok(json!({"services": service.service_list(&request.context).await?})))
}

async fn change(
    service: ContainerService,
    request: Request,
    arguments: Arguments,
    change: ServiceChange,
) -> Result<Response> {
    let (host, binary) = (arguments.required("host")?, arguments.required("binary")?);
    Ok(Response::ok(service.service_change(&request.context, host, binary, change).await?))
}

pub async fn service_enable(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["host", "binary"])?;
    change(service, request, arguments, ServiceChange::Enable).await
}

pub async fn service_disable(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["host", "binary", "disabled_reason"])?;
    let reason =
        arguments.get("disabled_reason").map(|value| fields::text("disabled_reason", value, 0, 255)).transpose()?;
    change(service, request, arguments, ServiceChange::Disable { reason }).await
}

pub async fn service_force_down(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["host", "binary", "forced_down"])?;
    let down = arguments.strict("forced_down")?.ok_or_else(|| texts::missing("forced_down"))?;
    change(service, request, arguments, ServiceChange::ForceDown { down }).await
}

pub async fn service_delete(service: ContainerService, request: Request) -> Result<Response> {
    let arguments = Arguments::query(&request);
    arguments.only(&["host", "binary"])?;
    service.service_delete(&request.context, arguments.required("host")?, arguments.required("binary")?).await?;
    Ok(Response::ok(Value::Null))
}

pub async fn zones(service: ContainerService, request: Request) -> Result<Response> {
    let zones = service.availability_zones(&request.context).await?;
    let zones: Vec<_> = zones.iter().map(|zone| json!({ "availability_zone": zone })).collect();
    Ok(Response::ok(json!({"availability_zones": zones, "next": null})))
}

pub async fn network_create(service: ContainerService, mut request: Request) -> Result<Response> {
    let arguments = Arguments::read(&mut request)?;
    arguments.only(&["name", "neutron_net_id"])?;
    let name = fields::text("name", arguments.get("name").ok_or_else(|| texts::missing("name"))?, 2, 255)?;
    let network = arguments.required("neutron_net_id")?;
    Ok(Response::ok(service.network_create(&request.context, &name, network).await?))
}

pub async fn network_delete(service: ContainerService, request: Request) -> Result<Response> {
    family::require(&request, (1, 27), family::MAXIMUM, "")?;
    service.network_delete(&request.context, request.param("id")).await?;
    Ok(Response::no_content())
}
