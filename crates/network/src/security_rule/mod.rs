//! Rules of security groups: what traffic the group's ports may send and receive.

pub mod protocol;
mod rules;

use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService,
    attribute::{Attribute, Attributes, Check, Default, Filter, common},
    db::{self, group, rule as table},
    resource::{Change, Resource, View, owned, save_changed},
    security_group, view,
};

pub use rules::{Draft, same_rule};

pub struct SecurityRule;

impl Resource for SecurityRule {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "security_group_rule";
    const PLURAL: &'static str = "security_group_rules";
    const QUOTA: Option<&'static str> = Some("security_group_rule");
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        Attribute::new("security_group_id").post(Default::Required, Check::Uuid).filter(Filter::Text).sort(),
        Attribute::new("direction")
            .post(Default::Required, Check::OneOf(&["ingress", "egress"]))
            .filter(Filter::Text)
            .sort(),
        Attribute::new("ethertype")
            .post(Default::Text("IPv4"), Check::Custom(rules::ethertype))
            .filter(Filter::Text)
            .sort(),
        Attribute::new("protocol").post(Default::Null, Check::Custom(protocol::parse)).filter(Filter::Text).sort(),
        Attribute::new("port_range_min").post(Default::Null, Check::Custom(rules::port)).filter(Filter::Int).sort(),
        Attribute::new("port_range_max").post(Default::Null, Check::Custom(rules::port)).filter(Filter::Int).sort(),
        Attribute::new("remote_ip_prefix")
            .post(Default::Null, Check::Custom(rules::prefix))
            .filter(Filter::Text)
            .sort(),
        Attribute::new("remote_group_id").post(Default::Null, Check::TextOrNull(255)).filter(Filter::Text).sort(),
        Attribute::new("remote_address_group_id").post(Default::Null, Check::UuidOrNull).filter(Filter::Text).sort(),
        Attribute::new("normalized_cidr").filter(Filter::Special),
        Attribute::new("belongs_to_default_sg").filter(Filter::Special),
        common::TENANT,
        common::PROJECT,
        common::DESCRIPTION,
        common::CREATED,
        common::UPDATED,
        common::REVISION,
    ];

    fn not_found(id: &str) -> Error {
        Error::not_found("SecurityGroupRuleNotFound", format!("Security group rule {id} does not exist"))
    }

    /// Rules of visible groups.
    fn visible(context: &RequestContext) -> Condition {
        if context.is_admin() {
            return Condition::all();
        }
        let groups = group::Entity::find()
            .select_only()
            .column(group::Column::Id)
            .filter(security_group::SecurityGroup::visible(context))
            .into_query();
        Condition::any()
            .add(owned(context, Some(table::Column::ProjectId)))
            .add(table::Column::SecurityGroupId.in_subquery(groups))
    }

    fn special_filter(_: &RequestContext, key: &str, values: &[&str]) -> Result<Condition> {
        rules::filter(key, values)
    }

    /// An unknown group is not found, a foreign one is forbidden.
    async fn create_target(change: &mut Change<'_>, attributes: &Attributes) -> Result<Value> {
        let parent = security_group::get(&change.txn, &attributes.text("security_group_id")).await?;
        Ok(json!({"project_id": attributes.text("project_id"), "group:project_id": parent.project_id}))
    }

    async fn target(change: &mut Change<'_>, model: &table::Model) -> Result<Value> {
        let parent = security_group::get(&change.txn, &model.security_group_id).await?;
        Ok(json!({"project_id": model.project_id, "group:project_id": parent.project_id}))
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        let draft = Draft::parse(&attributes)?;
        draft.check_remotes(change).await?;
        let group = attributes.text("security_group_id");
        let model = insert(change, &group, &attributes.text("project_id"), draft).await?;
        security_group::bump(&change.txn, &group).await?;
        change.effects.groups([group]);
        Ok(model)
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        let mut model = before.clone();
        attributes.update_text("description", &mut model.description);
        save_changed(change, &before, model).await
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        db::remove(&change.txn, &model).await?;
        security_group::bump(&change.txn, &model.security_group_id).await?;
        change.effects.groups([model.security_group_id]);
        Ok(())
    }

    async fn views(service: &NetworkService, _: &RequestContext, models: &[table::Model]) -> Result<Vec<View>> {
        let defaults = rules::default_groups(service.database.read(), models).await?;
        Ok(models.iter().map(|row| render(row, defaults.contains(&row.security_group_id))).collect())
    }
}

/// Writes a checked rule; 409 when the group has the same one.
pub async fn insert(change: &mut Change<'_>, group: &str, project: &str, draft: Draft) -> Result<table::Model> {
    let now = now();
    let model = table::Model {
        id: change.new_id(),
        project_id: project.to_owned(),
        description: draft.description,
        security_group_id: group.to_owned(),
        direction: draft.direction,
        ethertype: draft.ethertype,
        protocol: draft.protocol,
        port_range_min: draft.port_range_min,
        port_range_max: draft.port_range_max,
        remote_ip_prefix: draft.remote_ip_prefix,
        remote_group_id: draft.remote_group_id,
        remote_address_group_id: draft.remote_address_group_id,
        created_at: now,
        updated_at: now,
        revision_number: 0,
    };
    let siblings = table::Entity::find()
        .filter(table::Column::SecurityGroupId.eq(group))
        .filter(table::Column::Direction.eq(&model.direction))
        .all(&change.txn)
        .await?;
    if let Some(same) = siblings.iter().find(|other| same_rule(other, &model)) {
        return Err(Error::conflict(
            "SecurityGroupRuleExists",
            format!("Security group rule already exists. Rule id is {}.", same.id),
        ));
    }
    db::insert(&change.txn, model.clone()).await?;
    Ok(model)
}

pub fn render(model: &table::Model, of_default: bool) -> View {
    let mut out = Map::new();
    view::put(&mut out, "id", &model.id);
    view::owner(&mut out, &model.project_id);
    view::put(&mut out, "security_group_id", &model.security_group_id);
    view::put(&mut out, "ethertype", &model.ethertype);
    view::put(&mut out, "direction", &model.direction);
    view::put(&mut out, "protocol", &model.protocol);
    view::put(&mut out, "port_range_min", model.port_range_min);
    view::put(&mut out, "port_range_max", model.port_range_max);
    view::put(&mut out, "remote_ip_prefix", &model.remote_ip_prefix);
    view::put(&mut out, "remote_group_id", &model.remote_group_id);
    view::put(&mut out, "remote_address_group_id", &model.remote_address_group_id);
    view::put(&mut out, "normalized_cidr", rules::normalized(model));
    view::put(&mut out, "belongs_to_default_sg", of_default);
    view::put(&mut out, "description", &model.description);
    view::times(&mut out, model.created_at, model.updated_at, model.revision_number);
    out
}
