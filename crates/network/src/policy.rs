//! Policy rules by upstream's names, with upstream's defaults where the specification follows them.
//!
//! Targets carry `project_id` of the object and, for what lives on a network, `network:project_id` and
//! `network:shared`; rules of security groups look at `group:project_id`. Who may *get* an object is a condition in SQL
//! ([`crate::resource::Resource::visible`]): what is not visible is not found.

use sahab_contract::Result;
use sahab_policy::Enforcer;

const ADMIN: &str = "role:admin";
const ADMIN_OR_SERVICE: &str = "role:admin or role:service";
/// Administrator, or a member of the owning project.
const OWNER: &str = "role:admin or (role:member and project_id:%(project_id)s)";
const READER: &str = "role:admin or (role:reader and project_id:%(project_id)s)";
const MANAGER: &str = "role:admin or (role:manager and project_id:%(project_id)s)";
/// Administrator, service, or a member of the project that owns the network.
const NET_OWNER: &str = "role:admin or role:service or (role:member and project_id:%(network:project_id)s)";
const ANY: &str = "@";

const RULES: &[(&str, &str)] = &[
    ("create_network", OWNER),
    ("create_network:shared", ADMIN),
    ("create_network:router:external", ADMIN),
    ("create_network:is_default", ADMIN),
    ("create_network:segments", ADMIN),
    ("create_network:provider:network_type", ADMIN),
    ("create_network:provider:physical_network", ADMIN),
    ("create_network:provider:segmentation_id", ADMIN),
    ("get_network:segments", ADMIN),
    ("get_network:provider:network_type", ADMIN),
    ("get_network:provider:physical_network", ADMIN),
    ("get_network:provider:segmentation_id", ADMIN),
    ("update_network", OWNER),
    ("update_network:shared", ADMIN),
    ("update_network:router:external", ADMIN),
    ("update_network:is_default", ADMIN),
    ("update_network:segments", ADMIN),
    ("update_network:provider:network_type", ADMIN),
    ("update_network:provider:physical_network", ADMIN),
    ("update_network:provider:segmentation_id", ADMIN),
    ("delete_network", OWNER),
    ("create_subnet", "role:admin or (role:member and project_id:%(network:project_id)s)"),
    ("create_subnet:segment_id", ADMIN),
    ("get_subnet:segment_id", ADMIN),
    (
        "update_subnet",
        "role:admin or (role:member and (project_id:%(project_id)s or project_id:%(network:project_id)s))",
    ),
    ("update_subnet:segment_id", ADMIN),
    (
        "delete_subnet",
        "role:admin or (role:member and (project_id:%(project_id)s or project_id:%(network:project_id)s))",
    ),
    ("create_subnetpool", OWNER),
    ("create_subnetpool:shared", ADMIN),
    ("create_subnetpool:is_default", ADMIN),
    ("update_subnetpool", OWNER),
    ("update_subnetpool:is_default", ADMIN),
    ("delete_subnetpool", OWNER),
    ("create_address_scope", OWNER),
    ("create_address_scope:shared", ADMIN),
    ("update_address_scope", OWNER),
    ("update_address_scope:shared", ADMIN),
    ("delete_address_scope", OWNER),
    ("create_address_group", OWNER),
    ("create_address_group:shared", ADMIN),
    ("update_address_group", OWNER),
    ("update_address_group:shared", ADMIN),
    ("delete_address_group", OWNER),
    (
        "create_port",
        "role:admin or role:service or (role:member and (project_id:%(network:project_id)s or \
         True:%(network:shared)s))",
    ),
    ("create_port:device_owner:network", NET_OWNER),
    ("create_port:mac_address", NET_OWNER),
    ("create_port:fixed_ips:ip_address", NET_OWNER),
    ("create_port:port_security_enabled", NET_OWNER),
    ("create_port:allowed_address_pairs", NET_OWNER),
    ("create_port:binding:host_id", ADMIN_OR_SERVICE),
    ("create_port:binding:profile", ADMIN_OR_SERVICE),
    ("get_port:binding:host_id", ADMIN_OR_SERVICE),
    ("get_port:binding:profile", ADMIN_OR_SERVICE),
    ("get_port:binding:vif_type", ADMIN_OR_SERVICE),
    ("get_port:binding:vif_details", ADMIN_OR_SERVICE),
    ("update_port", "role:admin or role:service or (role:member and project_id:%(project_id)s)"),
    ("update_port:device_owner:network", NET_OWNER),
    ("update_port:mac_address", "role:admin or role:service or (role:manager and project_id:%(network:project_id)s)"),
    ("update_port:fixed_ips:ip_address", NET_OWNER),
    ("update_port:port_security_enabled", NET_OWNER),
    ("update_port:allowed_address_pairs", NET_OWNER),
    ("update_port:binding:host_id", ADMIN_OR_SERVICE),
    ("update_port:binding:profile", ADMIN_OR_SERVICE),
    ("update_port:data_plane_status", ADMIN),
    (
        "delete_port",
        "role:admin or role:service or (role:member and (project_id:%(project_id)s or \
         project_id:%(network:project_id)s))",
    ),
    ("create_security_group", OWNER),
    ("update_security_group", OWNER),
    ("delete_security_group", OWNER),
    ("create_security_group_rule", "role:admin or (role:member and project_id:%(group:project_id)s)"),
    ("update_security_group_rule", "role:admin or (role:member and project_id:%(group:project_id)s)"),
    ("delete_security_group_rule", "role:admin or (role:member and project_id:%(group:project_id)s)"),
    ("create_default_security_group_rule", ADMIN),
    ("delete_default_security_group_rule", ADMIN),
    ("create_router", OWNER),
    ("create_router:external_gateway_info:enable_snat", ADMIN),
    ("create_router:external_gateway_info:external_fixed_ips", ADMIN),
    ("update_router", OWNER),
    ("update_router:external_gateway_info:enable_snat", ADMIN),
    ("update_router:external_gateway_info:external_fixed_ips", ADMIN),
    ("delete_router", OWNER),
    ("add_router_interface", OWNER),
    ("remove_router_interface", OWNER),
    ("add_extraroutes", OWNER),
    ("remove_extraroutes", OWNER),
    ("create_floatingip", OWNER),
    ("create_floatingip:floating_ip_address", MANAGER),
    ("update_floatingip", OWNER),
    ("delete_floatingip", OWNER),
    ("create_floatingip_port_forwarding", OWNER),
    ("update_floatingip_port_forwarding", OWNER),
    ("delete_floatingip_port_forwarding", OWNER),
    ("create_rbac_policy", OWNER),
    ("create_rbac_policy:target_tenant", "role:admin or (not '*':%(target_tenant)s)"),
    ("update_rbac_policy", OWNER),
    ("update_rbac_policy:target_tenant", "role:admin or (not '*':%(target_tenant)s)"),
    ("delete_rbac_policy", OWNER),
    ("create_metering_label", "role:admin or role:manager"),
    ("delete_metering_label", "role:admin or role:manager"),
    ("create_metering_label_rule", "role:admin or role:manager"),
    ("delete_metering_label_rule", "role:admin or role:manager"),
    ("get_quota", "role:admin or project_id:%(project_id)s"),
    ("get_quotas", ADMIN),
    ("update_quota", ADMIN),
    ("delete_quota", ADMIN),
    ("get_agent", ADMIN),
    ("update_agent", ADMIN),
    ("delete_agent", ADMIN),
    ("get_dhcp-agents", ADMIN),
    ("get_dhcp-networks", ADMIN),
    ("create_dhcp-network", ADMIN),
    ("delete_dhcp-network", ADMIN),
    ("get_l3-agents", ADMIN),
    ("get_l3-routers", ADMIN),
    ("create_l3-router", ADMIN),
    ("delete_l3-router", ADMIN),
    ("get_segment", ADMIN),
    ("get_network_ip_availability", ADMIN_OR_SERVICE),
    ("get_availability_zone", ANY),
    ("get_auto_allocated_topology", READER),
    ("delete_auto_allocated_topology", OWNER),
];

pub fn enforcer() -> Result<Enforcer> {
    Enforcer::new(RULES)
}
