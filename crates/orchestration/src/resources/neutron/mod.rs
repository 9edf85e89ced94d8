//! `OS::Neutron::*`: each type stands for one object of the network service, or for a tie between two.

mod common;
mod extra_route_set;
mod floating_ip;
mod floating_ip_association;
mod net;
mod port;
mod router;
mod router_gateway;
mod router_interface;
mod security_group;
mod security_group_rule;
mod subnet;

use super::Types;

pub fn register(types: &mut Types) {
    types.add(net::Net::new());
    types.add(subnet::Subnet::new());
    types.add(port::Port::new());
    types.add(router::Router::new());
    types.add(router_interface::RouterInterface::new());
    types.add(router_gateway::RouterGateway::new());
    types.add(extra_route_set::ExtraRouteSet::new());
    types.add(floating_ip::FloatingIp::new());
    types.add(floating_ip_association::FloatingIpAssociation::new());
    types.add(security_group::SecurityGroup::new());
    types.add(security_group_rule::SecurityGroupRule::new());
}
