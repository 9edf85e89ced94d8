//! Security groups of a plan, with their remote groups resolved to addresses.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use ipnet::IpNet;
use sahab_contract::{
    Result,
    network::{Direction, GroupPlan, Remote, RulePlan},
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use super::network::sort_addresses;
use crate::{
    db::{CHUNK, address_group, allocation, group, port_group, port_table, rule},
    security_rule::protocol,
};

/// Plans of the groups, in the order of their ids.
pub async fn plans(connection: &impl ConnectionTrait, groups: Vec<String>) -> Result<Vec<GroupPlan>> {
    let wanted: Vec<String> = groups.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let mut stateful: BTreeMap<String, bool> = BTreeMap::new();
    let mut rules: Vec<rule::Model> = Vec::new();
    for ids in wanted.chunks(CHUNK) {
        let ids = || ids.iter().map(String::as_str);
        let rows = group::Entity::find().filter(group::Column::Id.is_in(ids())).all(connection).await?;
        stateful.extend(rows.into_iter().map(|row| (row.id, row.stateful)));
        let rows = rule::Entity::find().filter(rule::Column::SecurityGroupId.is_in(ids()));
        rules.extend(rows.order_by_asc(rule::Column::Id).all(connection).await?);
    }
    let remotes: BTreeSet<String> = rules.iter().filter_map(|row| row.remote_group_id.clone()).collect();
    let members = members_of(connection, remotes.into_iter().collect()).await?;
    let named: BTreeSet<String> = rules.iter().filter_map(|row| row.remote_address_group_id.clone()).collect();
    let prefixes = prefixes_of(connection, named.into_iter().collect()).await?;
    let mut by_group: HashMap<String, Vec<RulePlan>> = HashMap::new();
    for row in rules {
        if let Some(plan) = rule_plan(&row, &members, &prefixes) {
            by_group.entry(row.security_group_id).or_default().push(plan);
        }
    }
    let plan =
        |(id, stateful): (String, bool)| GroupPlan { rules: by_group.remove(&id).unwrap_or_default(), id, stateful };
    Ok(stateful.into_iter().map(plan).collect())
}

/// `None` for a rule that can match nothing.
fn rule_plan(
    row: &rule::Model,
    members: &HashMap<String, Vec<IpNet>>,
    prefixes: &HashMap<String, Vec<IpNet>>,
) -> Option<RulePlan> {
    let ipv6 = row.ethertype == "IPv6";
    let family = |nets: Option<&Vec<IpNet>>| -> Vec<IpNet> {
        nets.into_iter().flatten().copied().filter(|net| matches!(net, IpNet::V6(_)) == ipv6).collect()
    };
    let remote = if let Some(id) = &row.remote_group_id {
        Remote::Group { id: id.clone(), members: family(members.get(id)) }
    } else if let Some(id) = &row.remote_address_group_id {
        Remote::Prefixes(family(prefixes.get(id)))
    } else if let Some(prefix) = &row.remote_ip_prefix {
        match prefix.parse::<IpNet>().ok()?.trunc() {
            net if net.prefix_len() == 0 => Remote::Any,
            net => Remote::Prefix(net),
        }
    } else {
        Remote::Any
    };
    let protocol = row.protocol.as_deref().and_then(protocol::number);
    let number = |value: Option<i32>| value.and_then(|value| u16::try_from(value).ok());
    Some(RulePlan {
        direction: if row.direction == "ingress" { Direction::Ingress } else { Direction::Egress },
        ipv6,
        // Number 1 in an IPv6 packet is nothing; users mean ICMPv6.
        protocol: if ipv6 && protocol == Some(1) { Some(protocol::ICMP6) } else { protocol },
        range: number(row.port_range_min).map(|min| (min, number(row.port_range_max))),
        remote,
    })
}

/// Addresses and allowed pairs of every port in each group, wherever it is.
async fn members_of(connection: &impl ConnectionTrait, groups: Vec<String>) -> Result<HashMap<String, Vec<IpNet>>> {
    let mut out: HashMap<String, Vec<IpNet>> = HashMap::new();
    for ids in groups.chunks(CHUNK) {
        let ids = || ids.iter().map(String::as_str);
        let members =
            port_group::Entity::find().filter(port_group::Column::GroupId.is_in(ids())).all(connection).await?;
        let ports = || {
            port_group::Entity::find()
                .select_only()
                .column(port_group::Column::PortId)
                .filter(port_group::Column::GroupId.is_in(ids()))
                .into_query()
        };
        let mut addresses: HashMap<String, Vec<IpNet>> = HashMap::new();
        let rows = allocation::Entity::find().filter(allocation::Column::PortId.in_subquery(ports()));
        for row in rows.all(connection).await? {
            if let Ok(ip) = row.ip_address.parse::<IpAddr>() {
                addresses.entry(row.port_id).or_default().push(IpNet::from(ip));
            }
        }
        let rows = port_table::Entity::find().filter(port_table::Column::Id.in_subquery(ports()));
        for row in rows.all(connection).await? {
            for pair in &row.allowed_address_pairs.0 {
                let net =
                    pair.ip_address.parse::<IpNet>().or_else(|_| pair.ip_address.parse::<IpAddr>().map(IpNet::from));
                if let Ok(net) = net {
                    addresses.entry(row.id.clone()).or_default().push(net);
                }
            }
        }
        for member in members {
            let nets = addresses.get(&member.port_id).cloned().unwrap_or_default();
            out.entry(member.group_id).or_default().extend(nets);
        }
    }
    for nets in out.values_mut() {
        sort_addresses(nets);
        nets.dedup();
    }
    Ok(out)
}

async fn prefixes_of(connection: &impl ConnectionTrait, groups: Vec<String>) -> Result<HashMap<String, Vec<IpNet>>> {
    let mut out = HashMap::new();
    for ids in groups.chunks(CHUNK) {
        let rows = address_group::Entity::find()
            .filter(address_group::Column::Id.is_in(ids.iter().map(String::as_str)))
            .all(connection)
            .await?;
        out.extend(rows.into_iter().map(|row| (row.id, row.addresses.0)));
    }
    Ok(out)
}
