//! Static routes of routers.

use std::net::IpAddr;

use ipnet::IpNet;
use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Map, Value, json};

use super::Router;
use crate::{
    NetworkService,
    attribute::{Check, check::Fault},
    db::{
        allocation,
        lists::{Route, Routes},
        port_table, router_table as table,
    },
    error::{bad_request, invalid_attribute, invalid_input},
    port, quota,
    resource::{Change, Resource, find, render, save_changed},
    subnet,
};

/// Next hops are neighbours of the router, not the router itself.
pub async fn check(change: &Change<'_>, router: &table::Model, routes: &Routes) -> Result<()> {
    let limits = quota::limits(change.service, &change.txn, &router.project_id).await?;
    let most = usize::try_from(limits.get("router_route").copied().unwrap_or(30)).unwrap_or(usize::MAX);
    if routes.0.len() > most {
        return Err(Error::invalid(
            "RoutesExhausted",
            format!("Unable to complete operation for {}. The number of routes exceeds the maximum {most}.", router.id),
        ));
    }
    if routes.0.is_empty() {
        return Ok(());
    }
    let legs: Vec<String> = port_table::Entity::find()
        .filter(port_table::Column::DeviceId.eq(&router.id))
        .filter(port_table::Column::DeviceOwner.is_in([port::ROUTER_INTERFACE, port::ROUTER_GATEWAY]))
        .all(&change.txn)
        .await?
        .into_iter()
        .map(|leg| leg.id)
        .collect();
    let rows = allocation::Entity::find().filter(allocation::Column::PortId.is_in(legs)).all(&change.txn).await?;
    let own: Vec<IpAddr> = rows.iter().filter_map(|row| row.ip_address.parse().ok()).collect();
    let ids: Vec<String> = rows.into_iter().map(|row| row.subnet_id).collect();
    let connected: Vec<IpNet> =
        subnet::by_ids(&change.txn, &ids).await?.values().filter_map(|row| row.cidr.parse().ok()).collect();
    for route in &routes.0 {
        let reason = if !connected.iter().any(|net| net.contains(&route.nexthop)) {
            "the nexthop is not connected with router"
        } else if own.contains(&route.nexthop) {
            "the nexthop is used by router"
        } else {
            continue;
        };
        return Err(Error::invalid("InvalidRoutes", format!("Invalid format for routes: {}, {reason}", json!(routes))));
    }
    Ok(())
}

/// Adds routes or takes them away, in one step; those there already, or not there, do not matter.
pub async fn change(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    mut body: Map<String, Value>,
    add: bool,
) -> Result<Value> {
    context.auth()?;
    let Some(Value::Object(mut inner)) = body.shift_remove("router") else {
        return Err(bad_request("Unable to find 'router' in request body"));
    };
    let Some(value) = inner.shift_remove("routes") else {
        return Err(bad_request("Unable to find 'routes' in request body"));
    };
    let value = Check::HostRoutes.apply("routes", value).map_err(|fault| match fault {
        Fault::Reason(reason) => invalid_attribute("routes", reason),
        Fault::Conversion(text) => invalid_input(text),
        Fault::Error(error) => error,
    })?;
    let wanted: Vec<Route> = serde_json::from_value(value)?;
    let mut change = Change::begin(service, context).await?;
    let before = find::<Router>(&change.txn, context, id).await?;
    let target = Router::target(&mut change, &before).await?;
    change.enforce(if add { "add_extraroutes" } else { "remove_extraroutes" }, &target)?;
    let mut model = before.clone();
    if add {
        for route in wanted {
            if !model.routes.0.contains(&route) {
                model.routes.0.push(route);
            }
        }
        check(&change, &model, &model.routes).await?;
    } else {
        model.routes.0.retain(|route| !wanted.contains(route));
    }
    change.effects.router(id);
    let model = save_changed(&change, &before, model).await?;
    change.commit().await?;
    let view = render::<Router>(service, context, std::slice::from_ref(&model)).await?.pop();
    Ok(json!({"router": view}))
}
