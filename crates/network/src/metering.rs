//! Metering labels: which traffic somebody wants to count. Nothing counts it here; the objects are kept for clients.

use ipnet::IpNet;
use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait};
use serde_json::Map;

use crate::{
    NetworkService,
    attribute::{Attribute, Attributes, Check, Default, Filter, common},
    db::{self, metering_label, metering_rule},
    error::bad_resource,
    resource::{Change, Resource, View, find, owned},
    view,
};

pub struct Label;

fn label_not_found(id: &str) -> Error {
    Error::not_found("MeteringLabelNotFound", format!("Metering label {id} does not exist."))
}

impl Resource for Label {
    type Entity = metering_label::Entity;
    type Model = metering_label::Model;
    const SINGULAR: &'static str = "metering_label";
    const PLURAL: &'static str = "metering_labels";
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        Attribute::new("name").post(Default::Text(""), Check::Name(255)).filter(Filter::Text).sort(),
        Attribute::new("description").post(Default::Text(""), Check::Text(1024)).filter(Filter::Text).sort(),
        Attribute::new("shared").post(Default::Bool(false), Check::Bool).filter(Filter::Bool).sort(),
        common::TENANT,
        common::PROJECT,
    ];

    fn not_found(id: &str) -> Error {
        label_not_found(id)
    }

    fn visible(context: &RequestContext) -> Condition {
        let own = owned(context, Some(metering_label::Column::ProjectId));
        if context.is_admin() { own } else { Condition::any().add(own).add(metering_label::Column::Shared.eq(true)) }
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<metering_label::Model> {
        let model = metering_label::Model {
            id: change.new_id(),
            project_id: attributes.text("project_id"),
            name: attributes.text("name"),
            description: attributes.text("description"),
            shared: attributes.flag("shared"),
        };
        db::insert(&change.txn, model.clone()).await?;
        Ok(model)
    }

    async fn update(_: &mut Change<'_>, model: metering_label::Model, _: Attributes) -> Result<metering_label::Model> {
        Ok(model)
    }

    async fn delete(change: &mut Change<'_>, model: metering_label::Model) -> Result<()> {
        metering_rule::Entity::delete_many()
            .filter(metering_rule::Column::MeteringLabelId.eq(&model.id))
            .exec(&change.txn)
            .await?;
        db::remove(&change.txn, &model).await
    }

    async fn views(_: &NetworkService, _: &RequestContext, models: &[metering_label::Model]) -> Result<Vec<View>> {
        let views = models.iter().map(|model| {
            let mut out = Map::new();
            view::put(&mut out, "id", &model.id);
            view::put(&mut out, "name", &model.name);
            view::put(&mut out, "description", &model.description);
            view::put(&mut out, "shared", model.shared);
            view::owner(&mut out, &model.project_id);
            out
        });
        Ok(views.collect())
    }
}

pub struct Rule;

impl Resource for Rule {
    type Entity = metering_rule::Entity;
    type Model = metering_rule::Model;
    const SINGULAR: &'static str = "metering_label_rule";
    const PLURAL: &'static str = "metering_label_rules";
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        Attribute::new("metering_label_id").post(Default::Required, Check::Uuid).filter(Filter::Text).sort(),
        Attribute::new("direction")
            .post(Default::Text("ingress"), Check::OneOf(&["ingress", "egress"]))
            .filter(Filter::Text)
            .sort(),
        Attribute::new("excluded").post(Default::Bool(false), Check::Bool).filter(Filter::Bool).sort(),
        Attribute::new("remote_ip_prefix").post(Default::Null, Check::CidrOrNull).filter(Filter::Text).sort(),
        Attribute::new("source_ip_prefix").post(Default::Null, Check::CidrOrNull).filter(Filter::Text).sort(),
        Attribute::new("destination_ip_prefix").post(Default::Null, Check::CidrOrNull).filter(Filter::Text).sort(),
        Attribute::new("tenant_id").post(Default::Unset, Check::Project).column("project_id"),
        Attribute::new("project_id").post(Default::Unset, Check::Project),
    ];

    fn not_found(id: &str) -> Error {
        Error::not_found("MeteringLabelRuleNotFound", format!("Metering label rule {id} does not exist."))
    }

    /// Rules of visible labels.
    fn visible(context: &RequestContext) -> Condition {
        let labels = metering_label::Entity::find()
            .select_only()
            .column(metering_label::Column::Id)
            .filter(Label::visible(context))
            .into_query();
        Condition::all().add(metering_rule::Column::MeteringLabelId.in_subquery(labels))
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<metering_rule::Model> {
        let label = find::<Label>(&change.txn, change.context, &attributes.text("metering_label_id")).await?;
        let model = metering_rule::Model {
            id: change.new_id(),
            project_id: label.project_id,
            metering_label_id: label.id,
            direction: attributes.text("direction"),
            remote_ip_prefix: attributes.maybe_text("remote_ip_prefix"),
            source_ip_prefix: attributes.maybe_text("source_ip_prefix"),
            destination_ip_prefix: attributes.maybe_text("destination_ip_prefix"),
            excluded: attributes.flag("excluded"),
        };
        let both = model.source_ip_prefix.is_some() || model.destination_ip_prefix.is_some();
        if model.remote_ip_prefix.is_some() == both {
            return Err(bad_resource(
                "metering_label_rule",
                "either remote_ip_prefix or source_ip_prefix and destination_ip_prefix must be given",
            ));
        }
        refuse_overlap(change, &model).await?;
        db::insert(&change.txn, model.clone()).await?;
        Ok(model)
    }

    async fn update(_: &mut Change<'_>, model: metering_rule::Model, _: Attributes) -> Result<metering_rule::Model> {
        Ok(model)
    }

    async fn delete(change: &mut Change<'_>, model: metering_rule::Model) -> Result<()> {
        db::remove(&change.txn, &model).await
    }

    async fn views(_: &NetworkService, _: &RequestContext, models: &[metering_rule::Model]) -> Result<Vec<View>> {
        let views = models.iter().map(|model| {
            let mut out = Map::new();
            view::put(&mut out, "id", &model.id);
            view::put(&mut out, "metering_label_id", &model.metering_label_id);
            view::put(&mut out, "direction", &model.direction);
            view::put(&mut out, "remote_ip_prefix", &model.remote_ip_prefix);
            view::put(&mut out, "source_ip_prefix", &model.source_ip_prefix);
            view::put(&mut out, "destination_ip_prefix", &model.destination_ip_prefix);
            view::put(&mut out, "excluded", model.excluded);
            out
        });
        Ok(views.collect())
    }
}

/// Prefixes of one label, direction and kind do not meet.
async fn refuse_overlap(change: &Change<'_>, model: &metering_rule::Model) -> Result<()> {
    let others = metering_rule::Entity::find()
        .filter(metering_rule::Column::MeteringLabelId.eq(&model.metering_label_id))
        .filter(metering_rule::Column::Direction.eq(&model.direction))
        .all(&change.txn)
        .await?;
    let net = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<IpNet>().ok());
    let clash = others.iter().any(|other| match (net(&other.remote_ip_prefix), net(&model.remote_ip_prefix)) {
        (Some(one), Some(two)) => crate::subnet::overlaps(one, two),
        (None, None) => {
            other.source_ip_prefix == model.source_ip_prefix
                && other.destination_ip_prefix == model.destination_ip_prefix
        }
        _ => false,
    });
    if clash {
        let prefix = model.remote_ip_prefix.as_deref().unwrap_or_default();
        return Err(Error::conflict(
            "MeteringLabelRuleOverlaps",
            format!("Metering label rule with remote_ip_prefix '{prefix}' overlaps another."),
        ));
    }
    Ok(())
}
