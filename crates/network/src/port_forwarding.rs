//! Port forwardings: single ports of a floating IP that lead to ports of containers.

use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService,
    attribute::{
        Attribute, Attributes, Check, Default, Filter,
        check::{Fault, shown},
        common,
    },
    db::{self, floatingip, port_forwarding as table},
    error::{bad_request, bad_resource},
    floatingip::{FloatingIp, router_towards, settle_router},
    ipam,
    port::Port,
    resource::{Change, Resource, View, find},
    view,
};

const PROTOCOLS: &[&str] = &["tcp", "udp", "sctp", "dccp"];

/// Attributes; the resource itself hangs below a floating IP, so its verbs are here and not in [`crate::resource`].
pub const ATTRIBUTES: &[Attribute] = &[
    common::ID,
    Attribute::new("internal_port_id").post(Default::Required, Check::Uuid).put().filter(Filter::Text),
    Attribute::new("internal_ip_address").post(Default::Unset, Check::IpOrNull).put(),
    Attribute::new("internal_port").post(Default::Unset, Check::RangeOrNull(1, 65535)).put(),
    Attribute::new("internal_port_range").post(Default::Unset, Check::Custom(range)).put(),
    Attribute::new("external_port").post(Default::Unset, Check::RangeOrNull(1, 65535)).put().filter(Filter::Int),
    Attribute::new("external_port_range").post(Default::Unset, Check::Custom(range)).put(),
    Attribute::new("protocol").post(Default::Required, Check::Custom(protocol)).put().filter(Filter::Text),
    common::DESCRIPTION,
];

fn protocol(_: &str, value: Value) -> std::result::Result<Value, Fault> {
    let text = value.as_str().map(str::to_ascii_lowercase).unwrap_or_default();
    if PROTOCOLS.contains(&text.as_str()) {
        return Ok(json!(text));
    }
    Err(Fault::Reason(format!("{} is not in valid_values", shown(&value))))
}

/// `90` or `90:95`
fn range(_: &str, value: Value) -> std::result::Result<Value, Fault> {
    let text = shown(&value);
    let (first, last) = text.split_once(':').unwrap_or((&text, &text));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if first > 0 && first <= last => Ok(json!(format!("{first}:{last}"))),
        _ => Err(Fault::Reason(format!("'{text}' is not a valid port range"))),
    }
}

/// First and last port from the single-port and the range attribute.
fn ports_of(attributes: &Attributes, side: &str) -> Result<Option<(i32, i32)>> {
    let single = attributes.int(&format!("{side}_port"));
    let range = attributes.maybe_text(&format!("{side}_port_range")).and_then(|text| {
        let (first, last) = text.split_once(':')?;
        Some((first.parse::<i32>().ok()?, last.parse::<i32>().ok()?))
    });
    match (single, range) {
        (Some(port), Some((first, last))) if port != first || first != last => {
            Err(bad_request(format!("{side}_port and {side}_port_range do not match")))
        }
        (_, Some(range)) => Ok(Some(range)),
        (Some(port), None) => Ok(Some((port, port))),
        (None, None) => Ok(None),
    }
}

fn not_found(id: &str) -> Error {
    Error::not_found("PortForwardingNotFound", format!("Port Forwarding {id} could not be found."))
}

async fn begin<'a>(
    service: &'a NetworkService,
    context: &'a RequestContext,
    parent: &str,
    rule: &str,
) -> Result<(Change<'a>, floatingip::Model)> {
    context.auth()?;
    let mut change = Change::begin(service, context).await?;
    let parent = find::<FloatingIp>(&change.txn, context, parent).await?;
    let target = FloatingIp::target(&mut change, &parent).await?;
    change.enforce(rule, &target)?;
    Ok((change, parent))
}

async fn row(change: &Change<'_>, parent: &str, id: &str) -> Result<table::Model> {
    let query = table::Entity::find_by_id(id).filter(table::Column::FloatingipId.eq(parent));
    query.one(&change.txn).await?.ok_or_else(|| not_found(id))
}

pub async fn list(service: &NetworkService, context: &RequestContext, parent: &str) -> Result<Vec<View>> {
    context.auth()?;
    let connection = service.database.read();
    find::<FloatingIp>(connection, context, parent).await?;
    let rows = table::Entity::find().filter(table::Column::FloatingipId.eq(parent));
    Ok(rows.order_by_asc(table::Column::Id).all(connection).await?.iter().map(render).collect())
}

pub async fn show(service: &NetworkService, context: &RequestContext, parent: &str, id: &str) -> Result<View> {
    let all = list(service, context, parent).await?;
    all.into_iter().find(|row| row["id"] == id).ok_or_else(|| not_found(id))
}

pub async fn create(
    service: &NetworkService,
    context: &RequestContext,
    parent: &str,
    body: Map<String, Value>,
) -> Result<View> {
    let attributes = Attributes::for_create(ATTRIBUTES, context, body)?;
    let (mut change, parent) = begin(service, context, parent, "create_floatingip_port_forwarding").await?;
    let external = ports_of(&attributes, "external")?.ok_or_else(|| missing("external_port"))?;
    let internal = ports_of(&attributes, "internal")?.ok_or_else(|| missing("internal_port"))?;
    let now = now();
    let model = table::Model {
        id: change.new_id(),
        project_id: parent.project_id.clone(),
        description: attributes.text("description"),
        floatingip_id: parent.id.clone(),
        protocol: attributes.text("protocol"),
        internal_port_id: attributes.text("internal_port_id"),
        internal_ip_address: attributes.text("internal_ip_address"),
        internal_port: internal.0,
        internal_port_end: internal.1,
        external_port: external.0,
        external_port_end: external.1,
        created_at: now,
        updated_at: now,
        revision_number: 0,
    };
    let model = settle(&mut change, parent, model).await?;
    db::insert(&change.txn, model.clone()).await?;
    change.commit().await?;
    Ok(render(&model))
}

pub async fn update(
    service: &NetworkService,
    context: &RequestContext,
    parent: &str,
    id: &str,
    body: Map<String, Value>,
) -> Result<View> {
    let attributes = Attributes::for_update(ATTRIBUTES, context, body)?;
    let (mut change, parent) = begin(service, context, parent, "update_floatingip_port_forwarding").await?;
    let mut model = row(&change, &parent.id, id).await?;
    attributes.update_text("description", &mut model.description);
    attributes.update_text("protocol", &mut model.protocol);
    attributes.update_text("internal_port_id", &mut model.internal_port_id);
    attributes.update_text("internal_ip_address", &mut model.internal_ip_address);
    if let Some((first, last)) = ports_of(&attributes, "external")? {
        (model.external_port, model.external_port_end) = (first, last);
    }
    if let Some((first, last)) = ports_of(&attributes, "internal")? {
        (model.internal_port, model.internal_port_end) = (first, last);
    }
    let mut model = settle(&mut change, parent, model).await?;
    db::Stored::touch(&mut model);
    db::save(&change.txn, &model).await?;
    change.commit().await?;
    Ok(render(&model))
}

pub async fn delete(service: &NetworkService, context: &RequestContext, parent: &str, id: &str) -> Result<()> {
    let (mut change, parent) = begin(service, context, parent, "delete_floatingip_port_forwarding").await?;
    let model = row(&change, &parent.id, id).await?;
    db::remove(&change.txn, &model).await?;
    settle_router(&mut change, &parent.id).await?;
    change.commit().await
}

fn missing(name: &str) -> Error {
    bad_request(format!("Failed to parse request. Required attribute '{name}' not specified"))
}

/// Checks a forwarding against everything around it, fills in its internal address and gives its floating IP the router.
async fn settle(
    change: &mut Change<'_>,
    mut parent: floatingip::Model,
    mut model: table::Model,
) -> Result<table::Model> {
    if parent.port_id.is_some() {
        return Err(Error::conflict(
            "FloatingIPPortAlreadyAssociated",
            format!("Floating IP {} is associated with a port and cannot forward ports.", parent.id),
        ));
    }
    let (outside, inside) =
        (model.external_port_end - model.external_port, model.internal_port_end - model.internal_port);
    if inside != 0 && inside != outside {
        return Err(bad_resource("port_forwarding", "the internal and external port ranges must have the same size"));
    }
    let internal = find::<Port>(&change.txn, change.context, &model.internal_port_id).await?;
    if !change.context.is_admin() && change.context.project_id() != Some(internal.project_id.as_str()) {
        return Err(port_error(&model.internal_port_id));
    }
    let rows = ipam::of_port(&change.txn, &internal.id).await?;
    let address = rows.iter().find(|row| match model.internal_ip_address.as_str() {
        "" => !row.ip_address.contains(':'),
        ip => row.ip_address == ip && !ip.contains(':'),
    });
    let Some(address) = address else {
        return Err(bad_resource(
            "port_forwarding",
            format!("Requested internal IP address {} is not on port {}", model.internal_ip_address, internal.id),
        ));
    };
    model.internal_ip_address.clone_from(&address.ip_address);
    refuse_associated(change, &internal.id, &address.ip_address).await?;
    refuse_collisions(change, &model).await?;
    let router = router_towards(&change.txn, &address.subnet_id, &parent.floating_network_id).await?;
    let Some(router) = router else {
        return Err(bad_resource(
            "port_forwarding",
            format!(
                "External network {} is not reachable from subnet {}",
                parent.floating_network_id, address.subnet_id
            ),
        ));
    };
    if parent.router_id.as_ref().is_some_and(|other| *other != router) {
        return Err(bad_resource("port_forwarding", "the floating IP forwards through another router"));
    }
    parent.router_id = Some(router.clone());
    db::Stored::touch(&mut parent);
    db::save(&change.txn, &parent).await?;
    change.effects.router(router);
    Ok(model)
}

fn port_error(id: &str) -> Error {
    bad_resource("port_forwarding", format!("Port {id} could not be used"))
}

/// A port that has a floating IP of its own forwards nothing.
async fn refuse_associated(change: &Change<'_>, port: &str, ip: &str) -> Result<()> {
    let other = floatingip::Entity::find()
        .filter(floatingip::Column::PortId.eq(port))
        .filter(floatingip::Column::FixedIpAddress.eq(ip))
        .one(&change.txn)
        .await?;
    match other {
        None => Ok(()),
        Some(other) => Err(Error::conflict(
            "FloatingIPPortAlreadyAssociated",
            format!("Port {port} has the floating IP {} already.", other.floating_ip_address),
        )),
    }
}

async fn refuse_collisions(change: &Change<'_>, model: &table::Model) -> Result<()> {
    let meet = |a: i32, b: i32, c: i32, d: i32| a <= d && c <= b;
    let others = table::Entity::find()
        .filter(table::Column::Protocol.eq(&model.protocol))
        .filter(table::Column::Id.ne(&model.id))
        .filter(
            sea_orm::Condition::any()
                .add(table::Column::FloatingipId.eq(&model.floatingip_id))
                .add(table::Column::InternalPortId.eq(&model.internal_port_id)),
        )
        .all(&change.txn)
        .await?;
    for other in others {
        let outside = other.floatingip_id == model.floatingip_id
            && meet(model.external_port, model.external_port_end, other.external_port, other.external_port_end);
        let inside = other.internal_port_id == model.internal_port_id
            && other.internal_ip_address == model.internal_ip_address
            && meet(model.internal_port, model.internal_port_end, other.internal_port, other.internal_port_end);
        if outside || inside {
            return Err(bad_resource(
                "port_forwarding",
                format!("a port forwarding with the same ports exists: {}", other.id),
            ));
        }
    }
    Ok(())
}

fn render(model: &table::Model) -> View {
    let single = |first: i32, last: i32| (first == last).then_some(first);
    let mut out = Map::new();
    view::put(&mut out, "id", &model.id);
    view::put(&mut out, "external_port", single(model.external_port, model.external_port_end));
    view::put(&mut out, "external_port_range", format!("{}:{}", model.external_port, model.external_port_end));
    view::put(&mut out, "protocol", &model.protocol);
    view::put(&mut out, "internal_port_id", &model.internal_port_id);
    view::put(&mut out, "internal_ip_address", &model.internal_ip_address);
    view::put(&mut out, "internal_port", single(model.internal_port, model.internal_port_end));
    view::put(&mut out, "internal_port_range", format!("{}:{}", model.internal_port, model.internal_port_end));
    view::put(&mut out, "description", &model.description);
    out
}
