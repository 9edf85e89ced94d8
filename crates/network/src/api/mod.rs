//! The endpoint table.

mod agent;
mod collection;
mod forwarding;
mod quota;
mod report;
mod router;
mod subnetpool;
mod tag;
mod version;

use std::sync::Arc;

use sahab_api::{Endpoint, Table};

use crate::{
    NetworkService, address_group::AddressGroup, address_scope::AddressScope, default_rule::DefaultRule,
    floatingip::FloatingIp, metering, network::Network, port::Port, rbac::Rbac, router::Router,
    security_group::SecurityGroup, security_rule::SecurityRule, subnet::Subnet, subnetpool::SubnetPool,
};

pub type State = Arc<NetworkService>;

/// Registers a collection with all verbs; `tagged` adds the tags' paths below its members.
macro_rules! collection {
    ($table:ident, $resource:ty, $path:literal) => {
        $table.get($path, collection::list::<$resource>);
        $table.post($path, collection::create::<$resource>);
        $table.get(concat!($path, "/{id}"), collection::show::<$resource>);
        $table.put(concat!($path, "/{id}"), collection::update::<$resource>);
        $table.delete(concat!($path, "/{id}"), collection::delete::<$resource>);
    };
    ($table:ident, $resource:ty, $path:literal, tagged) => {
        collection!($table, $resource, $path);
        $table.get(concat!($path, "/{id}/tags"), tag::list::<$resource>);
        $table.put(concat!($path, "/{id}/tags"), tag::replace::<$resource>);
        $table.post(concat!($path, "/{id}/tags"), tag::add::<$resource>);
        $table.delete(concat!($path, "/{id}/tags"), tag::clear::<$resource>);
        $table.get(concat!($path, "/{id}/tags/{tag}"), tag::has::<$resource>);
        $table.put(concat!($path, "/{id}/tags/{tag}"), tag::put_one::<$resource>);
        $table.delete(concat!($path, "/{id}/tags/{tag}"), tag::remove::<$resource>);
    };
}

/// Registers a collection whose members never change.
macro_rules! constant {
    ($table:ident, $resource:ty, $path:literal) => {
        $table.get($path, collection::list::<$resource>);
        $table.post($path, collection::create::<$resource>);
        $table.get(concat!($path, "/{id}"), collection::show::<$resource>);
        $table.delete(concat!($path, "/{id}"), collection::delete::<$resource>);
    };
}

pub fn endpoints(service: State) -> Vec<Endpoint> {
    let mut table = Table::new(service);
    version::register(&mut table);
    collection!(table, Network, "/v2.0/networks", tagged);
    collection!(table, Subnet, "/v2.0/subnets", tagged);
    collection!(table, Port, "/v2.0/ports", tagged);
    collection!(table, SubnetPool, "/v2.0/subnetpools", tagged);
    collection!(table, AddressScope, "/v2.0/address-scopes");
    collection!(table, AddressGroup, "/v2.0/address-groups");
    table.get("/v2.0/security-groups", collection::list_groups);
    table.post("/v2.0/security-groups", collection::create::<SecurityGroup>);
    table.get("/v2.0/security-groups/{id}", collection::show::<SecurityGroup>);
    table.put("/v2.0/security-groups/{id}", collection::update::<SecurityGroup>);
    table.delete("/v2.0/security-groups/{id}", collection::delete::<SecurityGroup>);
    tag::register_groups(&mut table);
    collection!(table, SecurityRule, "/v2.0/security-group-rules");
    constant!(table, DefaultRule, "/v2.0/default-security-group-rules");
    collection!(table, Router, "/v2.0/routers", tagged);
    collection!(table, FloatingIp, "/v2.0/floatingips", tagged);
    collection!(table, Rbac, "/v2.0/rbac-policies");
    router::register(&mut table);
    subnetpool::register(&mut table);
    quota::register(&mut table);
    agent::register(&mut table);
    forwarding::register(&mut table);
    report::register(&mut table);
    constant!(table, metering::Label, "/v2.0/metering/metering-labels");
    constant!(table, metering::Rule, "/v2.0/metering/metering-label-rules");
    table.finish()
}
