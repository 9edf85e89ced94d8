//! Routers: they join subnets with each other and with an external network.
//!
//! Every leg is a port whose `device_id` is the router; the gateway leg belongs to nobody.

mod gateway;
mod interface;
mod routes;

use std::collections::HashSet;

pub use gateway::leg;
pub use interface::{add as add_interface, remove as remove_interface};
pub use routes::change as change_routes;
use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService, agent,
    attribute::{Attribute, Attributes, Check, Default, common},
    db::{
        self,
        lists::{Routes, Texts},
        port_table, router_table as table,
    },
    error::{router_not_found, zone_not_found},
    port,
    resource::{Change, Resource, View, save_changed},
    view,
};

pub struct Router;

impl Resource for Router {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "router";
    const PLURAL: &'static str = "routers";
    const TAGGED: bool = true;
    const QUOTA: Option<&'static str> = Some("router");
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        common::NAME,
        common::TENANT,
        common::PROJECT,
        common::ADMIN_STATE,
        Attribute::new("status").sort(),
        Attribute::new("external_gateway_info").post(Default::Null, Check::Custom(gateway::parse)).put(),
        Attribute::new("routes").put_only(Check::HostRoutes),
        Attribute::new("availability_zone_hints").post(Default::List, Check::TextList),
        Attribute::new("availability_zones"),
        common::DESCRIPTION,
        common::CREATED,
        common::UPDATED,
        common::REVISION,
        common::TAGS,
    ];

    fn not_found(id: &str) -> Error {
        router_not_found(id)
    }

    fn further_rules(action: &str, attributes: &Attributes) -> Vec<String> {
        let Some(Value::Object(info)) = attributes.get("external_gateway_info") else { return Vec::new() };
        ["enable_snat", "external_fixed_ips"]
            .iter()
            .filter(|key| info.contains_key(**key))
            .map(|key| format!("{action}:external_gateway_info:{key}"))
            .collect()
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        let hints = attributes.texts("availability_zone_hints");
        if let Some(unknown) = hints.iter().find(|zone| **zone != change.service.settings.availability_zone) {
            return Err(zone_not_found(unknown));
        }
        let now = now();
        let mut model = table::Model {
            id: change.new_id(),
            project_id: attributes.text("project_id"),
            name: attributes.text("name"),
            description: attributes.text("description"),
            status: "ACTIVE".into(),
            admin_state_up: attributes.flag("admin_state_up"),
            gateway_port_id: None,
            gateway_network_id: None,
            enable_snat: true,
            routes: Routes::default(),
            availability_zone_hints: Texts(hints),
            created_at: now,
            updated_at: now,
            revision_number: 1,
        };
        db::insert(&change.txn, model.clone()).await?;
        agent::host_router(change, &model.id).await?;
        if let Some(info) = gateway::wanted(&attributes) {
            gateway::set(change, &mut model, &info).await?;
            db::save(&change.txn, &model).await?;
        }
        change.effects.router(&model.id);
        Ok(model)
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        let mut model = before.clone();
        attributes.update_text("name", &mut model.name);
        attributes.update_text("description", &mut model.description);
        attributes.update_flag("admin_state_up", &mut model.admin_state_up);
        if attributes.was_given("external_gateway_info") {
            match gateway::wanted(&attributes) {
                Some(info) => gateway::set(change, &mut model, &info).await?,
                None => gateway::clear(change, &mut model).await?,
            }
        }
        if attributes.was_given("routes") {
            let wanted: Routes = attributes.structure("routes")?;
            routes::check(change, &model, &wanted).await?;
            model.routes = wanted;
        }
        change.effects.router(&model.id);
        save_changed(change, &before, model).await
    }

    async fn delete(change: &mut Change<'_>, mut model: table::Model) -> Result<()> {
        let interfaces = port_table::Entity::find()
            .filter(port_table::Column::DeviceId.eq(&model.id))
            .filter(port_table::Column::DeviceOwner.eq(port::ROUTER_INTERFACE))
            .count(&change.txn)
            .await?;
        if interfaces > 0 {
            return Err(Error::conflict("RouterInUse", format!("Router {} still has ports", model.id)));
        }
        gateway::clear(change, &mut model).await?;
        agent::forget(&change.txn, &model.id).await?;
        change.effects.router(&model.id);
        db::remove(&change.txn, &model).await
    }

    async fn views(service: &NetworkService, _: &RequestContext, models: &[table::Model]) -> Result<Vec<View>> {
        let connection = service.database.read();
        let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        let hosted: HashSet<String> = agent::hosted(connection, &service.agents().l3, &ids).await?;
        let gateways: Vec<&str> = models.iter().filter_map(|model| model.gateway_port_id.as_deref()).collect();
        let addresses = port::addresses_of(connection, &gateways).await?;
        let views = models.iter().map(|model| {
            let mut out = Map::new();
            view::put(&mut out, "id", &model.id);
            view::put(&mut out, "name", &model.name);
            view::owner(&mut out, &model.project_id);
            view::put(&mut out, "admin_state_up", model.admin_state_up);
            view::put(&mut out, "status", &model.status);
            let info = model.gateway_port_id.as_ref().map(|port| {
                let fixed: Vec<Value> = addresses
                    .get(port)
                    .into_iter()
                    .flatten()
                    .map(|row| json!({"subnet_id": row.subnet_id, "ip_address": row.ip_address}))
                    .collect();
                json!({
                    "network_id": model.gateway_network_id,
                    "external_fixed_ips": fixed,
                    "enable_snat": model.enable_snat,
                })
            });
            view::put(&mut out, "external_gateway_info", info);
            view::put(&mut out, "routes", &model.routes);
            view::put(&mut out, "availability_zone_hints", &model.availability_zone_hints);
            let zones: &[&str] =
                if hosted.contains(&model.id) { &[service.settings.availability_zone.as_str()] } else { &[] };
            view::put(&mut out, "availability_zones", zones);
            view::put(&mut out, "description", &model.description);
            view::times(&mut out, model.created_at, model.updated_at, model.revision_number);
            out
        });
        Ok(views.collect())
    }
}

pub async fn get(connection: &impl ConnectionTrait, id: &str) -> Result<table::Model> {
    table::Entity::find_by_id(id).one(connection).await?.ok_or_else(|| router_not_found(id))
}

/// The interface ports of a router.
pub async fn interfaces(connection: &impl ConnectionTrait, router: &str) -> Result<Vec<port_table::Model>> {
    Ok(port_table::Entity::find()
        .filter(port_table::Column::DeviceId.eq(router))
        .filter(port_table::Column::DeviceOwner.eq(port::ROUTER_INTERFACE))
        .all(connection)
        .await?)
}
