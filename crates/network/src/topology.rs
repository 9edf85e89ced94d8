//! "Get me a network": a network, subnet and router made on first request.

use sahab_contract::{Error, RequestContext, Result, cloud::Call};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::{
    NetworkService,
    db::{network_table, router_table, subnetpool},
    error::not_authorized,
};

const NETWORK: &str = "auto_allocated_network";
const SUBNET: &str = "auto_allocated_subnet_v4";
const ROUTER: &str = "auto_allocated_router";

fn failure(reason: &str) -> Error {
    Error::conflict("AutoAllocationFailure", format!("Deployment error: {reason}"))
}

fn authorize(service: &NetworkService, context: &RequestContext, project: &str, rule: &str) -> Result<()> {
    context.auth()?;
    if service.enforcer.allows(context, rule, &json!({"project_id": project})) {
        return Ok(());
    }
    match rule {
        "get_auto_allocated_topology" => Err(Error::forbidden("NotAuthorized", "Not authorized.")),
        other => Err(not_authorized(other)),
    }
}

/// What it needs: a default external network and a default IPv4 pool.
async fn prerequisites(service: &NetworkService) -> Result<String> {
    let connection = service.database.read();
    let external = network_table::Entity::find()
        .filter(network_table::Column::IsDefault.eq(true))
        .filter(network_table::Column::External.eq(true))
        .one(connection)
        .await?
        .ok_or_else(|| failure("No default router:external network."))?;
    let pool = subnetpool::Entity::find()
        .filter(subnetpool::Column::IsDefault.eq(true))
        .filter(subnetpool::Column::IpVersion.eq(4))
        .one(connection)
        .await?;
    match pool {
        Some(_) => Ok(external.id),
        None => Err(failure("No default subnetpools defined.")),
    }
}

/// Whether it could be made.
pub async fn dry_run(service: &NetworkService, context: &RequestContext, project: &str) -> Result<Value> {
    authorize(service, context, project, "get_auto_allocated_topology")?;
    prerequisites(service).await?;
    Ok(json!({"id": "dry-run=pass", "project_id": project, "tenant_id": project}))
}

async fn existing(service: &NetworkService, project: &str) -> Result<Option<String>> {
    let row = network_table::Entity::find()
        .filter(network_table::Column::ProjectId.eq(project))
        .filter(network_table::Column::Name.eq(NETWORK))
        .one(service.database.read())
        .await?;
    Ok(row.map(|row| row.id))
}

/// Returns the project's network, or makes all of it. Each step is done once: a second request after a failure goes on
/// where the first stopped.
pub async fn get(service: &NetworkService, context: &RequestContext, project: &str) -> Result<Value> {
    authorize(service, context, project, "get_auto_allocated_topology")?;
    let answer = |id: &str| json!({"id": id, "project_id": project, "tenant_id": project});
    let router = router_table::Entity::find()
        .filter(router_table::Column::ProjectId.eq(project))
        .filter(router_table::Column::Name.eq(ROUTER))
        .one(service.database.read())
        .await?;
    let network = existing(service, project).await?;
    if let (Some(network), Some(_)) = (&network, &router) {
        return Ok(answer(network));
    }
    let external = prerequisites(service).await?;
    // Rights were checked; the objects belong to the project.
    let as_owner = context.elevated();
    let post = |path: &str, key: &str, mut body: Value| {
        body["project_id"] = json!(project);
        Call::post("network", path.to_owned(), json!({ key: body }))
    };
    let network = match network {
        Some(id) => id,
        None => {
            let made =
                service.cloud.call(&as_owner, post("/v2.0/networks", "network", json!({"name": NETWORK}))).await?;
            made.body["network"]["id"].as_str().unwrap_or_default().to_owned()
        }
    };
    let subnets = crate::subnet::of_network(service.database.read(), &network).await?;
    let subnet = match subnets.first() {
        Some(subnet) => subnet.id.clone(),
        None => {
            let body = json!({"name": SUBNET, "network_id": network, "ip_version": 4, "use_default_subnetpool": true});
            let made = service.cloud.call(&as_owner, post("/v2.0/subnets", "subnet", body)).await?;
            made.body["subnet"]["id"].as_str().unwrap_or_default().to_owned()
        }
    };
    let body = json!({"name": ROUTER, "external_gateway_info": {"network_id": external}});
    let made = service.cloud.call(&as_owner, post("/v2.0/routers", "router", body)).await?;
    let router = made.body["router"]["id"].as_str().unwrap_or_default().to_owned();
    let path = format!("/v2.0/routers/{router}/add_router_interface");
    service.cloud.call(&as_owner, Call::put("network", path, json!({"subnet_id": subnet}))).await?;
    Ok(answer(&network))
}

/// Removes it again; nothing there is fine.
pub async fn delete(service: &NetworkService, context: &RequestContext, project: &str) -> Result<()> {
    authorize(service, context, project, "delete_auto_allocated_topology")?;
    let Some(network) = existing(service, project).await? else { return Ok(()) };
    let as_owner = context.elevated();
    let routers = router_table::Entity::find()
        .filter(router_table::Column::ProjectId.eq(project))
        .filter(router_table::Column::Name.eq(ROUTER))
        .all(service.database.read())
        .await?;
    for router in routers {
        for leg in crate::router::interfaces(service.database.read(), &router.id).await? {
            let path = format!("/v2.0/routers/{}/remove_router_interface", router.id);
            service.cloud.call(&as_owner, Call::put("network", path, json!({"port_id": leg.id}))).await?;
        }
        service.cloud.call(&as_owner, Call::delete("network", format!("/v2.0/routers/{}", router.id))).await?;
    }
    service.cloud.call(&as_owner, Call::delete("network", format!("/v2.0/networks/{network}"))).await?;
    Ok(())
}
