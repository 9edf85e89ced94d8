//! Subnet pools: ranges from which subnets are cut so that none overlap.

use ipnet::IpNet;
use sahab_contract::{Error, RequestContext, Result, context::now};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};
use serde_json::{Map, Value, json};

use crate::{
    NetworkService, address_scope,
    attribute::{Attribute, Attributes, Check, Default, Filter, check, common},
    db::{self, address_scope as scope_table, lists::Prefixes, subnet, subnetpool as table},
    error::{bad_request, bad_resource, invalid_attribute, invalid_input},
    network, rbac,
    resource::{Change, Resource, View, find, save_changed},
    view,
};

pub struct SubnetPool;

impl Resource for SubnetPool {
    type Entity = table::Entity;
    type Model = table::Model;
    const SINGULAR: &'static str = "subnetpool";
    const PLURAL: &'static str = "subnetpools";
    const TAGGED: bool = true;
    const QUOTA: Option<&'static str> = Some("subnetpool");
    const ATTRIBUTES: &'static [Attribute] = &[
        common::ID,
        Attribute::new("name").post(Default::Required, Check::NotEmptyName(255)).put().filter(Filter::Text).sort(),
        common::TENANT,
        common::PROJECT,
        Attribute::new("prefixes").post(Default::Required, Check::CidrList).put(),
        Attribute::new("default_quota")
            .post(Default::Null, Check::RangeOrNull(0, i32::MAX as i64))
            .put()
            .filter(Filter::Int)
            .sort(),
        Attribute::new("ip_version").filter(Filter::Int).sort(),
        Attribute::new("default_prefixlen").post(Default::Unset, Check::Range(0, 128)).put().filter(Filter::Int).sort(),
        Attribute::new("min_prefixlen").post(Default::Unset, Check::Range(0, 128)).put().filter(Filter::Int).sort(),
        Attribute::new("max_prefixlen").post(Default::Unset, Check::Range(0, 128)).put().filter(Filter::Int).sort(),
        Attribute::new("is_default").post(Default::Bool(false), Check::Bool).put().filter(Filter::Bool),
        Attribute::new("shared").post(Default::Bool(false), Check::Bool).filter(Filter::Special),
        Attribute::new("address_scope_id").post(Default::Null, Check::UuidOrNull).put().filter(Filter::Text).sort(),
        common::DESCRIPTION,
        common::CREATED,
        common::UPDATED,
        common::REVISION,
        common::TAGS,
    ];

    fn not_found(id: &str) -> Error {
        Error::not_found("SubnetPoolNotFound", format!("Subnet pool {id} could not be found."))
    }

    fn visible(context: &RequestContext) -> Condition {
        rbac::visible(context, "subnetpool", table::Column::Id, table::Column::ProjectId)
    }

    fn special_filter(context: &RequestContext, key: &str, values: &[&str]) -> Result<Condition> {
        rbac::shared_filter(context, "subnetpool", table::Column::Id, key, values)
    }

    async fn create(change: &mut Change<'_>, attributes: Attributes) -> Result<table::Model> {
        let prefixes: Prefixes = attributes.structure("prefixes")?;
        let version = version_of(&prefixes.0)?;
        let (least, most) = if version == 4 { (8, 32) } else { (64, 128) };
        let min = attributes.int("min_prefixlen").unwrap_or(least);
        let now = now();
        let model = table::Model {
            id: change.new_id(),
            project_id: attributes.text("project_id"),
            name: attributes.text("name"),
            description: attributes.text("description"),
            prefixes: Prefixes(IpNet::aggregate(&prefixes.0)),
            ip_version: version,
            default_prefixlen: attributes.int("default_prefixlen").unwrap_or(min),
            min_prefixlen: min,
            max_prefixlen: attributes.int("max_prefixlen").unwrap_or(most),
            is_default: attributes.flag("is_default"),
            default_quota: attributes.int("default_quota"),
            address_scope_id: attributes.maybe_text("address_scope_id"),
            created_at: now,
            updated_at: now,
            revision_number: 0,
        };
        check(change, &model).await?;
        db::insert(&change.txn, model.clone()).await?;
        if attributes.flag("shared") {
            rbac::share(&change.txn, "subnetpool", &model.id, rbac::SHARED, &model.project_id).await?;
        }
        Ok(model)
    }

    async fn update(change: &mut Change<'_>, before: table::Model, attributes: Attributes) -> Result<table::Model> {
        let mut model = before.clone();
        attributes.update_text("name", &mut model.name);
        attributes.update_text("description", &mut model.description);
        attributes.update_flag("is_default", &mut model.is_default);
        for (name, column) in [
            ("default_prefixlen", &mut model.default_prefixlen),
            ("min_prefixlen", &mut model.min_prefixlen),
            ("max_prefixlen", &mut model.max_prefixlen),
        ] {
            if let Some(length) = attributes.int(name) {
                *column = length;
            }
        }
        if attributes.was_given("default_quota") {
            model.default_quota = attributes.int("default_quota");
        }
        if attributes.was_given("address_scope_id") {
            model.address_scope_id = attributes.maybe_text("address_scope_id");
        }
        if attributes.was_given("prefixes") {
            let prefixes: Prefixes = attributes.structure("prefixes")?;
            let merged = IpNet::aggregate(&prefixes.0);
            let dropped = before.prefixes.0.iter().find(|old| !merged.iter().any(|new| new.contains(*old)));
            if let Some(dropped) = dropped {
                return Err(Error::invalid(
                    "IllegalSubnetPoolPrefixUpdate",
                    format!(
                        "Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes; {dropped} is missing."
                    ),
                ));
            }
            version_of(&prefixes.0)?;
            model.prefixes = Prefixes(merged);
        }
        check(change, &model).await?;
        save_changed(change, &before, model).await
    }

    async fn delete(change: &mut Change<'_>, model: table::Model) -> Result<()> {
        let subnets = subnet::Entity::find().filter(subnet::Column::SubnetpoolId.eq(&model.id));
        if subnets.count(&change.txn).await? > 0 {
            return Err(Error::invalid(
                "SubnetPoolDeleteError",
                "Unable to delete subnet pool: Subnet pool has existing allocations.",
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
            view::put(&mut out, "prefixes", &model.prefixes);
            view::put(&mut out, "ip_version", model.ip_version);
            view::put(&mut out, "default_prefixlen", model.default_prefixlen);
            view::put(&mut out, "min_prefixlen", model.min_prefixlen);
            view::put(&mut out, "max_prefixlen", model.max_prefixlen);
            view::put(&mut out, "default_quota", model.default_quota);
            view::put(&mut out, "is_default", model.is_default);
            view::put(&mut out, "shared", shared.contains(&model.id));
            view::put(&mut out, "address_scope_id", &model.address_scope_id);
            view::put(&mut out, "description", &model.description);
            view::times(&mut out, model.created_at, model.updated_at, model.revision_number);
            out
        });
        Ok(views.collect())
    }
}

fn version_of(prefixes: &[IpNet]) -> Result<i32> {
    let Some(first) = prefixes.first() else {
        return Err(Error::invalid("EmptySubnetPoolPrefixList", "Empty subnet pool prefix list."));
    };
    let four = matches!(first, IpNet::V4(_));
    if prefixes.iter().any(|net| matches!(net, IpNet::V4(_)) != four) {
        return Err(Error::invalid("PrefixVersionMismatch", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool."));
    }
    Ok(if four { 4 } else { 6 })
}

async fn check(change: &Change<'_>, model: &table::Model) -> Result<()> {
    let longest = if model.ip_version == 4 { 32 } else { 128 };
    let bounds = |kind: &str, length: i32, base: &str, other: i32| {
        Err(Error::invalid(
            "IllegalSubnetPoolPrefixBounds",
            format!("Illegal prefix bounds: {kind}={length}, {base}={other}."),
        ))
    };
    if model.min_prefixlen > model.max_prefixlen {
        return bounds("min_prefixlen", model.min_prefixlen, "max_prefixlen", model.max_prefixlen);
    }
    if model.max_prefixlen > longest {
        return bounds("max_prefixlen", model.max_prefixlen, "ip_version", model.ip_version);
    }
    if model.default_prefixlen < model.min_prefixlen {
        return bounds("default_prefixlen", model.default_prefixlen, "min_prefixlen", model.min_prefixlen);
    }
    if model.default_prefixlen > model.max_prefixlen {
        return bounds("default_prefixlen", model.default_prefixlen, "max_prefixlen", model.max_prefixlen);
    }
    if model.is_default {
        let other = table::Entity::find()
            .filter(table::Column::IsDefault.eq(true))
            .filter(table::Column::IpVersion.eq(model.ip_version))
            .filter(table::Column::Id.ne(&model.id))
            .one(&change.txn)
            .await?;
        if other.is_some() {
            return Err(invalid_input(
                "A default subnetpool for this IP family has already been set. Only one default may exist per IP family",
            ));
        }
    }
    let Some(scope) = &model.address_scope_id else { return Ok(()) };
    let scope = find::<address_scope::AddressScope>(&change.txn, change.context, scope).await?;
    if scope.ip_version != model.ip_version {
        return Err(Error::invalid(
            "IllegalSubnetPoolIpVersionAssociationToAddressScope",
            format!(
                "Illegal subnetpool association: subnetpool {} cannot associate with address scope {} because \
                 subnetpool ip_version is not {}.",
                model.id, scope.id, scope.ip_version
            ),
        ));
    }
    let others = table::Entity::find()
        .filter(table::Column::AddressScopeId.eq(&scope.id))
        .filter(table::Column::Id.ne(&model.id))
        .all(&change.txn)
        .await?;
    let clash = others
        .iter()
        .flat_map(|pool| &pool.prefixes.0)
        .any(|one| model.prefixes.0.iter().any(|other| crate::subnet::overlaps(*one, *other)));
    if clash {
        return Err(Error::conflict(
            "AddressScopePrefixConflict",
            "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.",
        ));
    }
    Ok(())
}

/// The address scope of a pool.
pub async fn scope_of(connection: &impl ConnectionTrait, id: &str) -> Result<Option<String>> {
    let scope: Option<Option<String>> = table::Entity::find_by_id(id)
        .select_only()
        .column(table::Column::AddressScopeId)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(scope.flatten())
}

/// The pool that a new subnet is cut from, if any.
pub async fn choose(change: &Change<'_>, attributes: &Attributes, version: i32) -> Result<Option<table::Model>> {
    let default = attributes.flag("use_default_subnetpool");
    match attributes.maybe_text("subnetpool_id") {
        Some(_) if default => {
            Err(bad_resource("subnets", "subnetpool_id and use_default_subnetpool cannot both be specified"))
        }
        Some(id) => {
            let pool = find::<SubnetPool>(&change.txn, change.context, &id).await?;
            if pool.ip_version != version {
                return Err(bad_resource("subnets", "ip_version does not match subnetpool ip_version"));
            }
            Ok(Some(pool))
        }
        None if default => {
            let pool = table::Entity::find()
                .filter(table::Column::IsDefault.eq(true))
                .filter(table::Column::IpVersion.eq(version))
                .one(&change.txn)
                .await?;
            match pool {
                Some(pool) => Ok(Some(pool)),
                None => Err(bad_resource("subnets", format!("No default subnetpool found for IPv{version}"))),
            }
        }
        None => Ok(None),
    }
}

/// The next free prefix of the wanted length, or the wanted prefix itself.
pub async fn allocate(change: &Change<'_>, pool: &table::Model, attributes: &Attributes) -> Result<IpNet> {
    let taken: Vec<IpNet> = subnet::Entity::find()
        .filter(subnet::Column::SubnetpoolId.eq(&pool.id))
        .all(&change.txn)
        .await?
        .iter()
        .filter_map(|row| row.cidr.parse().ok())
        .collect();
    let wanted = attributes.parsed::<IpNet>("cidr").map(|net| net.trunc());
    if wanted.is_some() && attributes.get("prefixlen").is_some() {
        return Err(bad_resource("subnets", "cidr and prefixlen must not be supplied together"));
    }
    let length = match wanted {
        Some(net) => i32::from(net.prefix_len()),
        None => attributes.int("prefixlen").unwrap_or(pool.default_prefixlen),
    };
    if length < pool.min_prefixlen {
        return Err(Error::invalid(
            "MinPrefixSubnetAllocationError",
            format!(
                "Unable to allocate subnet with prefix length {length}, minimum allowed prefix is {}.",
                pool.min_prefixlen
            ),
        ));
    }
    if length > pool.max_prefixlen {
        return Err(Error::invalid(
            "MaxPrefixSubnetAllocationError",
            format!(
                "Unable to allocate subnet with prefix length {length}, maximum allowed prefix is {}.",
                pool.max_prefixlen
            ),
        ));
    }
    let free = |net: &IpNet| !taken.iter().any(|other| crate::subnet::overlaps(*net, *other));
    let found = match wanted {
        Some(net) => pool.prefixes.0.iter().any(|prefix| prefix.contains(&net)).then_some(net).filter(free),
        None => {
            let length = u8::try_from(length).unwrap_or(u8::MAX);
            pool.prefixes.0.iter().filter_map(|prefix| next_free(*prefix, length, &taken)).next()
        }
    };
    found.ok_or_else(|| {
        let reason = match wanted {
            Some(_) => "Cannot allocate requested subnet from the available set of prefixes",
            None => "Insufficient prefix space to allocate subnet size",
        };
        Error::conflict("SubnetAllocationError", format!("Failed to allocate subnet: {reason}."))
    })
}

/// The lowest subnet of the length that meets none of the taken ones; jumps over them instead of trying each.
fn next_free(prefix: IpNet, length: u8, taken: &[IpNet]) -> Option<IpNet> {
    let mut candidate = IpNet::new(prefix.network(), length).ok().filter(|net| prefix.contains(net))?;
    loop {
        let Some(blocker) = taken.iter().find(|other| crate::subnet::overlaps(candidate, **other)) else {
            return Some(candidate);
        };
        let past = crate::ipam::number(blocker.broadcast()).max(crate::ipam::number(candidate.broadcast()));
        let next = crate::ipam::address(past.checked_add(1)?, matches!(prefix, IpNet::V4(_)));
        candidate = IpNet::new(next, length).ok()?.trunc();
        if candidate.network() < next || !prefix.contains(&candidate) {
            return None;
        }
    }
}

/// Adds prefixes to a pool, or takes unused ones away; answers all that remain.
pub async fn change_prefixes(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    body: &Map<String, Value>,
    add: bool,
) -> Result<Value> {
    context.auth()?;
    let Some(value) = body.get("prefixes") else {
        return Err(bad_request("Unable to find 'prefixes' in request body"));
    };
    let list = check::list(value).map_err(|_| invalid_attribute("prefixes", "not a list"))?;
    let mut wanted = Vec::new();
    for item in list {
        wanted.push(
            check::cidr(item)
                .map_err(|_| {
                    invalid_attribute("prefixes", format!("'{}' is not a valid IP subnet", check::shown(item)))
                })?
                .trunc(),
        );
    }
    let mut change = Change::begin(service, context).await?;
    let before = find::<SubnetPool>(&change.txn, context, id).await?;
    let target = SubnetPool::target(&mut change, &before).await?;
    change.enforce("update_subnetpool", &target)?;
    let mut model = before.clone();
    if add {
        model.prefixes.0.extend(wanted);
        version_of(&model.prefixes.0)?;
    } else {
        let taken: Vec<IpNet> = subnet::Entity::find()
            .filter(subnet::Column::SubnetpoolId.eq(id))
            .all(&change.txn)
            .await?
            .iter()
            .filter_map(|row| row.cidr.parse().ok())
            .collect();
        if wanted.iter().any(|net| taken.iter().any(|used| crate::subnet::overlaps(*net, *used))) {
            return Err(Error::invalid(
                "IllegalSubnetPoolPrefixUpdate",
                "Illegal update to prefixes: a prefix with allocations cannot be removed.",
            ));
        }
        model.prefixes.0 = model.prefixes.0.iter().flat_map(|have| without(*have, &wanted)).collect();
    }
    model.prefixes.0 = IpNet::aggregate(&model.prefixes.0);
    check(&change, &model).await?;
    let model = save_changed(&change, &before, model).await?;
    change.commit().await?;
    Ok(json!({"prefixes": model.prefixes}))
}

/// What is left of a prefix when others are cut out.
fn without(net: IpNet, cuts: &[IpNet]) -> Vec<IpNet> {
    if cuts.iter().any(|cut| cut.contains(&net)) {
        return Vec::new();
    }
    if !cuts.iter().any(|cut| net.contains(cut)) {
        return vec![net];
    }
    match net.subnets(net.prefix_len() + 1) {
        Ok(halves) => halves.flat_map(|half| without(half, cuts)).collect(),
        Err(_) => Vec::new(),
    }
}

/// Takes the subnets of a network, as far as they are in no pool, into this one.
pub async fn onboard(
    service: &NetworkService,
    context: &RequestContext,
    id: &str,
    body: &Map<String, Value>,
) -> Result<Value> {
    context.auth()?;
    let Some(network) = body.get("network_id").and_then(Value::as_str) else {
        return Err(bad_request("network_id must be specified"));
    };
    let mut change = Change::begin(service, context).await?;
    let before = find::<SubnetPool>(&change.txn, context, id).await?;
    let target = SubnetPool::target(&mut change, &before).await?;
    change.enforce("update_subnetpool", &target)?;
    let network = find::<network::Network>(&change.txn, context, network).await?;
    let mut model = before.clone();
    let mut out = Vec::new();
    for mut row in crate::subnet::of_network(&change.txn, &network.id).await? {
        if row.ip_version != model.ip_version {
            continue;
        }
        let cidr: IpNet = row.cidr.parse()?;
        if row.subnetpool_id.is_some() || model.prefixes.0.iter().any(|have| crate::subnet::overlaps(*have, cidr)) {
            return Err(Error::invalid(
                "IllegalSubnetPoolUpdate",
                format!("Illegal subnetpool update: subnet {} cannot be onboarded.", row.id),
            ));
        }
        model.prefixes.0.push(cidr);
        row.subnetpool_id = Some(model.id.clone());
        db::Stored::touch(&mut row);
        db::save(&change.txn, &row).await?;
        out.push(json!({"id": row.id, "cidr": row.cidr}));
    }
    model.prefixes.0 = IpNet::aggregate(&model.prefixes.0);
    check(&change, &model).await?;
    save_changed(&change, &before, model).await?;
    change.commit().await?;
    Ok(Value::Array(out))
}

/// Pools of a scope.
pub async fn in_scope(connection: &impl ConnectionTrait, scope: &scope_table::Model) -> Result<u64> {
    Ok(table::Entity::find().filter(table::Column::AddressScopeId.eq(&scope.id)).count(connection).await?)
}
