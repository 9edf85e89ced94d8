//! Templates of the rules that new security groups start with.

use sahab_contract::{Error, RequestContext, Result};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService,
    attribute::{
        Attribute, Attributes, Check, Default, Filter,
        check::{self, Fault},
        common,
    },
    db::{self, default_rule as table, group},
    resource::{Change, Resource, View},
    security_rule::{self, Draft},
    view,
};

/// Stands for the group that is being created.
const PARENT: &str = "PARENT";

pub struct DefaultRule;

impl Resource for DefaultRule {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "default_security_group_rule";
    const PLURAL: &'static str = "default_security_group_rules";
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        Attribute::new("direction")
            .post(Default::Required, Check::OneOf(&["ingress", "egress"]))
            .filter(Filter::Text)
            .sort(),
        Attribute::new("ethertype")
            .post(Default::Text("IPv4"), Check::OneOf(&["IPv4", "IPv6"]))
            .filter(Filter::Text)
            .sort(),
        Attribute::new("protocol")
            .post(Default::Null, Check::Custom(security_rule::protocol::parse))
            .filter(Filter::Text)
            .sort(),
        Attribute::new("port_range_min").post(Default::Null, Check::RangeOrNull(0, 65535)).filter(Filter::Int).sort(),
        Attribute::new("port_range_max").post(Default::Null, Check::RangeOrNull(0, 65535)).filter(Filter::Int).sort(),
        Attribute::new("remote_ip_prefix").post(Default::Null, Check::CidrOrNull).filter(Filter::Text).sort(),
        Attribute::new("remote_group_id").post(Default::Null, Check::Custom(remote_group)).filter(Filter::Text).sort(),
        Attribute::new("remote_address_group_id").post(Default::Null, Check::UuidOrNull).filter(Filter::Text).sort(),
        Attribute::new("used_in_default_sg").post(Default::Required, Check::Bool).filter(Filter::Bool),
        Attribute::new("used_in_non_default_sg").post(Default::Required, Check::Bool).filter(Filter::Bool),
        common::DESCRIPTION,
    ];

    fn not_found(id: &str) -> Error {
        Error::not_found("DefaultSecurityGroupRuleNotFound", format!("Default Security Group rule {id} does not exist"))
    }

    /// Everybody reads them.
    fn visible(_: &RequestContext) -> Condition {
        Condition::all()
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        let draft = Draft::parse(&attributes)?;
        let model = table::Model {
            id: change.new_id(),
            project_id: String::new(),
            description: draft.description,
            direction: draft.direction,
            ethertype: draft.ethertype,
            protocol: draft.protocol,
            port_range_min: draft.port_range_min,
            port_range_max: draft.port_range_max,
            remote_ip_prefix: draft.remote_ip_prefix,
            remote_group_id: draft.remote_group_id,
            remote_address_group_id: draft.remote_address_group_id,
            used_in_default_sg: attributes.flag("used_in_default_sg"),
            used_in_non_default_sg: attributes.flag("used_in_non_default_sg"),
        };
        for other in table::Entity::find().all(&change.txn).await? {
            let same = table::Model { id: model.id.clone(), description: model.description.clone(), ..other.clone() };
            if same == model {
                return Err(Error::conflict(
                    "DefaultSecurityGroupRuleExists",
                    format!("Default Security group rule already exists. Rule id is {}.", other.id),
                ));
            }
        }
        db::insert(&change.txn, model.clone()).await?;
        Ok(model)
    }

    async fn update(_: &mut Change<'_>, model: table::Model, _: Attributes) -> Result<table::Model> {
        Ok(model)
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        db::remove(&change.txn, &model).await
    }

    async fn views(_: &NetworkService, _: &RequestContext, models: &[table::Model]) -> Result<Vec<View>> {
        let views = models.iter().map(|model| {
            let mut out = Map::new();
            view::put(&mut out, "id", &model.id);
            view::put(&mut out, "direction", &model.direction);
            view::put(&mut out, "ethertype", &model.ethertype);
            view::put(&mut out, "protocol", &model.protocol);
            view::put(&mut out, "port_range_min", model.port_range_min);
            view::put(&mut out, "port_range_max", model.port_range_max);
            view::put(&mut out, "remote_ip_prefix", &model.remote_ip_prefix);
            view::put(&mut out, "remote_group_id", &model.remote_group_id);
            view::put(&mut out, "remote_address_group_id", &model.remote_address_group_id);
            view::put(&mut out, "used_in_default_sg", model.used_in_default_sg);
            view::put(&mut out, "used_in_non_default_sg", model.used_in_non_default_sg);
            view::put(&mut out, "description", &model.description);
            out
        });
        Ok(views.collect())
    }
}

fn remote_group(_: &str, value: Value) -> std::result::Result<Value, Fault> {
    match value.as_str() {
        None if value.is_null() => Ok(value),
        Some(PARENT) => Ok(value),
        Some(text) if check::is_uuid(text) => Ok(json!(text.to_ascii_lowercase())),
        _ => Err(Fault::Reason(format!("'{}' is not a valid UUID", check::shown(&value)))),
    }
}

/// The four templates that every cloud starts with.
pub fn initial() -> Vec<table::Model> {
    let template = |direction: &str, ethertype: &str, parent: bool, everywhere: bool| table::Model {
        id: uuid::Uuid::new_v4().to_string(),
        project_id: String::new(),
        description: "Legacy default SG rule for egress traffic".replace("egress", direction),
        direction: direction.to_owned(),
        ethertype: ethertype.to_owned(),
        protocol: None,
        port_range_min: None,
        port_range_max: None,
        remote_ip_prefix: None,
        remote_group_id: parent.then(|| PARENT.to_owned()),
        remote_address_group_id: None,
        used_in_default_sg: true,
        used_in_non_default_sg: everywhere,
    };
    vec![
        template("egress", "IPv4", false, true),
        template("egress", "IPv6", false, true),
        template("ingress", "IPv4", true, false),
        template("ingress", "IPv6", true, false),
    ]
}

/// The templates for default groups, or for others.
pub async fn templates(connection: &impl ConnectionTrait, for_default: bool) -> Result<Vec<table::Model>> {
    let column = if for_default { table::Column::UsedInDefaultSg } else { table::Column::UsedInNonDefaultSg };
    let query = table::Entity::find().filter(column.eq(true));
    Ok(query.order_by_asc(table::Column::Direction).order_by_asc(table::Column::Ethertype).all(connection).await?)
}

/// Gives a new group its rules.
pub async fn apply(change: &mut Change<'_>, group: &group::Model, templates: Vec<table::Model>) -> Result<()> {
    for template in templates {
        let remote = template.remote_group_id.map(|id| if id == PARENT { group.id.clone() } else { id });
        let draft = Draft {
            description: String::new(),
            direction: template.direction,
            ethertype: template.ethertype,
            protocol: template.protocol,
            port_range_min: template.port_range_min,
            port_range_max: template.port_range_max,
            remote_ip_prefix: template.remote_ip_prefix,
            remote_group_id: remote,
            remote_address_group_id: template.remote_address_group_id,
        };
        security_rule::insert(change, &group.id, &group.project_id, draft).await?;
    }
    Ok(())
}
