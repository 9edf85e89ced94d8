//! Address scopes: families of subnet pools whose prefixes never overlap.

use sahab_contract::{Error, RequestContext, Result};
use sea_orm::Condition;
use serde_json::Map;

use crate::{
    NetworkService,
    attribute::{Attribute, Attributes, Check, Default, Filter, common},
    db::{self, address_scope as table},
    rbac,
    resource::{Change, Resource, View, save_changed},
    subnetpool, view,
};

pub struct AddressScope;

impl Resource for AddressScope {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "address_scope";
    const PLURAL: &'static str = "address_scopes";
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        common::NAME,
        common::TENANT,
        common::PROJECT,
        Attribute::new("shared").post(Default::Bool(false), Check::Bool).put().filter(Filter::Special),
        Attribute::new("ip_version").post(Default::Required, Check::IpVersion).filter(Filter::Int).sort(),
    ];

    fn not_found(id: &str) -> Error {
        Error::not_found("AddressScopeNotFound", format!("Address scope {id} could not be found"))
    }

    fn visible(context: &RequestContext) -> Condition {
        rbac::visible(context, "address_scope", table::Column::Id, table::Column::ProjectId)
    }

    fn special_filter(context: &RequestContext, key: &str, values: &[&str]) -> Result<Condition> {
        rbac::shared_filter(context, "address_scope", table::Column::Id, key, values)
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        let model = table::Model {
            id: change.new_id(),
            project_id: attributes.text("project_id"),
            name: attributes.text("name"),
            ip_version: attributes.int("ip_version").unwrap_or(4),
        };
        db::insert(&change.txn, model.clone()).await?;
        if attributes.flag("shared") {
            rbac::share(&change.txn, "address_scope", &model.id, rbac::SHARED, &model.project_id).await?;
        }
        Ok(model)
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        let mut model = before.clone();
        attributes.update_text("name", &mut model.name);
        rbac::set_shared(change, "address_scope", &model.id, &model.project_id, &attributes).await?;
        save_changed(change, &before, model).await
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        if subnetpool::in_scope(&change.txn, &model).await? > 0 {
            return Err(Error::conflict(
                "AddressScopeInUse",
                format!(
                    "Unable to complete operation on address scope {}. There are one or more subnet pools in use on \
                     the address scope.",
                    model.id
                ),
            ));
        }
        rbac::forget(&change.txn, &model.id).await?;
        db::remove(&change.txn, &model).await
    }

    async fn views(service: &NetworkService, context: &RequestContext, models: &[table::Model]) -> Result<Vec<View>> {
        let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
        let shared = rbac::shared_with(service.database.read(), context, &ids).await?;
        let views = models.iter().map(|model| {
            let mut out = Map::new();
            view::put(&mut out, "id", &model.id);
            view::put(&mut out, "name", &model.name);
            view::owner(&mut out, &model.project_id);
            view::put(&mut out, "shared", shared.contains(&model.id));
            view::put(&mut out, "ip_version", model.ip_version);
            out
        });
        Ok(views.collect())
    }
}
