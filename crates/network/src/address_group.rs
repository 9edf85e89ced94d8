//! Address groups: named lists of prefixes that rules refer to.

use std::collections::BTreeSet;

use ipnet::IpNet;
use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};
use serde_json::{Map, Value};

use crate::{
    NetworkService,
    attribute::{Attribute, Attributes, Check, Default, Filter, common},
    db::{self, address_group as table, lists::Prefixes, rule},
    error::{address_group_not_found, bad_request, invalid_attribute},
    rbac,
    resource::{Change, Resource, View, find, render, save_changed},
    view,
};

pub struct AddressGroup;

impl Resource for AddressGroup {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "address_group";
    const PLURAL: &'static str = "address_groups";
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        common::NAME,
        Attribute::new("description").post(Default::Text(""), Check::Text(1024)).put().filter(Filter::Text),
        common::TENANT,
        common::PROJECT,
        Attribute::new("shared").post(Default::Bool(false), Check::Bool).put().filter(Filter::Special),
        Attribute::new("addresses").post(Default::List, Check::CidrList),
        common::CREATED,
        common::UPDATED,
        common::REVISION,
    ];

    fn not_found(id: &str) -> Error {
        address_group_not_found(id)
    }

    fn visible(context: &RequestContext) -> Condition {
        rbac::visible(context, "address_group", table::Column::Id, table::Column::ProjectId)
    }

    fn special_filter(context: &RequestContext, key: &str, values: &[&str]) -> Result<Condition> {
        rbac::shared_filter(context, "address_group", table::Column::Id, key, values)
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        let now = now();
        let addresses: Prefixes = attributes.structure("addresses")?;
        let distinct: BTreeSet<IpNet> = addresses.0.into_iter().collect();
        let model = table::Model {
            id: change.new_id(),
            project_id: attributes.text("project_id"),
            name: attributes.text("name"),
            description: attributes.text("description"),
            addresses: Prefixes(distinct.into_iter().collect()),
            created_at: now,
            updated_at: now,
            revision_number: 0,
        };
        db::insert(&change.txn, model.clone()).await?;
        if attributes.flag("shared") {
            rbac::share(&change.txn, "address_group", &model.id, rbac::SHARED, &model.project_id).await?;
        }
        Ok(model)
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        let mut model = before.clone();
        attributes.update_text("name", &mut model.name);
        attributes.update_text("description", &mut model.description);
        rbac::set_shared(change, "address_group", &model.id, &model.project_id, &attributes).await?;
        save_changed(change, &before, model).await
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        let rules = rule::Entity::find().filter(rule::Column::RemoteAddressGroupId.eq(&model.id));
        if rules.count(&change.txn).await? > 0 {
            return Err(Error::conflict(
                "AddressGroupInUse",
                format!("Address group {} is in use on one or more security group rules.", model.id),
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
            view::put(&mut out, "description", &model.description);
            view::owner(&mut out, &model.project_id);
            view::put(&mut out, "shared", shared.contains(&model.id));
            view::put(&mut out, "addresses", &model.addresses);
            view::times(&mut out, model.created_at, model.updated_at, model.revision_number);
            out
        });
        Ok(views.collect())
    }
}

/// Adds prefixes to a group or takes them away.
pub async fn change_addresses(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    body: &Map<String, Value>,
    add: bool,
) -> Result<View> {
    context.auth()?;
    let Some(value) = body.get("addresses").filter(|_| body.len() == 1) else {
        return Err(bad_request("The body must have 'addresses' and nothing else."));
    };
    let value = Check::CidrList.apply("addresses", value.clone()).map_err(|fault| match fault {
        crate::attribute::check::Fault::Reason(reason) => invalid_attribute("addresses", reason),
        crate::attribute::check::Fault::Conversion(text) => invalid_attribute("addresses", text),
        crate::attribute::check::Fault::Error(error) => error,
    })?;
    let wanted: Vec<IpNet> = serde_json::from_value(value)?;
    let mut change = Change::begin(service, context).await?;
    let before = find::<AddressGroup>(&change.txn, context, id).await?;
    let target = AddressGroup::target(&mut change, &before).await?;
    change.enforce("update_address_group", &target)?;
    let mut addresses: BTreeSet<IpNet> = before.addresses.0.iter().copied().collect();
    let unfit = wanted.iter().find(|net| addresses.contains(net) == add);
    if let Some(net) = unfit {
        let (code, text) = match add {
            true => ("AddressesAlreadyExist", format!("Addresses {net} already exist in the address group {id}.")),
            false => ("AddressesNotFound", format!("Addresses {net} not found in the address group {id}.")),
        };
        return Err(if add { Error::invalid(code, text) } else { Error::not_found(code, text) });
    }
    for net in wanted {
        match add {
            true => addresses.insert(net),
            false => addresses.remove(&net),
        };
    }
    let mut model = before.clone();
    model.addresses = Prefixes(addresses.into_iter().collect());
    let referring: Vec<String> = rule::Entity::find()
        .select_only()
        .column(rule::Column::SecurityGroupId)
        .distinct()
        .filter(rule::Column::RemoteAddressGroupId.eq(id))
        .into_tuple()
        .all(&change.txn)
        .await?;
    change.effects.groups(referring);
    let model = save_changed(&change, &before, model).await?;
    change.commit().await?;
    let mut views = render::<AddressGroup>(service, context, std::slice::from_ref(&model)).await?;
    views.pop().ok_or_else(|| address_group_not_found(id))
}
