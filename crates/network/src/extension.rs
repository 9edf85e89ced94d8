//! What this service can do beyond the core, by the names that clients look for. Only what works is listed.

use sahab_contract::{Error, Result};
use serde_json::{Value, json};

/// Alias, name, description.
const EXTENSIONS: &[(&str, &str, &str)] = &[
    ("address-group", "Address group", "Support address group"),
    ("address-scope", "Address scope", "Address scopes extension."),
    ("agent", "agent", "The agent management extension."),
    ("allowed-address-pairs", "Allowed Address Pairs", "Provides allowed address pairs"),
    ("auto-allocated-topology", "Auto Allocated Topology Services", "Auto Allocated Topology Services."),
    ("availability_zone", "Availability Zone", "The availability zone extension."),
    (
        "availability_zone_filter",
        "Availability Zone Filter Extension",
        "Add filter parameters to AvailabilityZone resource",
    ),
    ("binding", "Port Binding", "Expose port bindings of a virtual port to external application"),
    ("data-plane-status", "Data plane status for ports", "Status of the underlying data plane."),
    ("default-subnetpools", "Default Subnetpools", "Provides ability to mark and use a subnetpool as the default."),
    ("dhcp_agent_scheduler", "DHCP Agent Scheduler", "Schedule networks among dhcp agents"),
    ("dns-domain-ports", "dns_domain for ports", "Allows the DNS domain to be specified for a network port."),
    ("dns-integration", "DNS Integration", "Provides integration with DNS."),
    (
        "empty-string-filtering",
        "Empty String Filtering Extension",
        "Allow filtering by attributes with empty string value",
    ),
    (
        "expose-port-forwarding-in-fip",
        "Expose Port Forwarding in Floating IP",
        "Expose port forwardings in floating IP",
    ),
    (
        "ext-gw-mode",
        "Neutron L3 Configurable external gateway mode",
        "Extension of the router abstraction for specifying whether SNAT should occur on the external gateway",
    ),
    ("external-net", "Neutron external network", "Adds external network attribute to network resource."),
    ("extra_dhcp_opt", "Neutron Extra DHCP options", "Extra options configuration for DHCP."),
    ("extraroute", "Neutron Extra Route", "Extra routes configuration for L3 router"),
    (
        "extraroute-atomic",
        "Atomically add/remove extra routes",
        "Edit extra routes of a router on server side by atomically adding/removing extra routes",
    ),
    ("filter-validation", "Filter parameters validation", "Provides validation on filter parameters."),
    ("fip-port-details", "Floating IP Port Details Extension", "Add port_details attribute to Floating IP resource"),
    ("flavors", "Neutron Service Flavors", "Flavor specification for Neutron advanced services."),
    ("floating-ip-port-forwarding", "Floating IP Port Forwarding", "Expose floating IP port forwarding"),
    (
        "floating-ip-port-forwarding-description",
        "Floating IP Port Forwarding new attribute description",
        "Add a new attribute description on floating IP port forwarding",
    ),
    (
        "floating-ip-port-forwarding-detail",
        "Floating IP Port Forwarding detail",
        "Show the full details of port forwardings",
    ),
    (
        "floating-ip-port-forwarding-port-ranges",
        "Floating IP Port Forwarding support for port ranges",
        "Add support to port ranges on floating IP port forwarding",
    ),
    ("floatingip-pools", "Floating IP Pools Extension", "Provides a floating IP pools API."),
    (
        "ip-substring-filtering",
        "IP address substring filtering",
        "Provides IP address substring filtering when listing ports",
    ),
    ("ip_allocation", "IP Allocation", "IP allocation extension."),
    ("l2_adjacency", "L2 Adjacency", "Display L2 Adjacency for Neutron Networks."),
    ("l3_agent_scheduler", "L3 Agent Scheduler", "Schedule routers among l3 agents"),
    ("metering", "Neutron Metering", "Neutron Metering extension."),
    ("multi-provider", "Multi Provider Network", "Expose mapping of virtual networks to multiple physical networks"),
    ("net-mtu", "Network MTU", "Provides MTU attribute for a network resource."),
    ("net-mtu-writable", "Network MTU (writable)", "Provides a writable MTU attribute for a network resource."),
    (
        "network-ip-availability",
        "Network IP Availability",
        "Provides IP availability data for each network and subnet.",
    ),
    ("network_availability_zone", "Network Availability Zone", "Availability zone support for network."),
    ("pagination", "Pagination support", "Extension that indicates that pagination is enabled."),
    ("port-security", "Port Security", "Provides port security"),
    (
        "port-security-groups-filtering",
        "Port filtering on security groups",
        "Provides security groups filtering when listing ports",
    ),
    ("project-id", "project_id field enabled", "Extension that indicates that project_id field is enabled."),
    ("provider", "Provider Network", "Expose mapping of virtual networks to physical networks"),
    (
        "quota-check-limit-default",
        "Quota engine limit check by default",
        "By default, check the resource usage before setting a new quota limit",
    ),
    ("quota_details", "Quota details management support", "Expose functions for quotas usage statistics per project"),
    ("quotas", "Quota management support", "Expose functions for quotas management per project"),
    ("rbac-address-group", "Add address_group type to RBAC", "Add address_group type to RBAC"),
    ("rbac-address-scope", "Address scope RBAC", "Allow address scope access via RBAC"),
    (
        "rbac-policies",
        "RBAC Policies",
        "Allows creation and modification of policies that control tenant access to resources.",
    ),
    ("rbac-security-groups", "Add security_group type to network RBAC", "Add security_group type to network RBAC"),
    ("rbac-subnetpool", "Add subnetpool type to RBAC", "Add subnetpool type to RBAC"),
    (
        "revision-if-match",
        "If-Match constraints based on revision_number",
        "Extension indicating that If-Match based on revision_number is supported.",
    ),
    (
        "router",
        "Neutron L3 Router",
        "Router abstraction for basic L3 forwarding between L2 Neutron networks and access to external networks via a NAT gateway.",
    ),
    ("router_availability_zone", "Router Availability Zone", "Availability zone support for router."),
    ("security-group", "security-group", "The security groups extension."),
    (
        "security-groups-default-rules",
        "Default rules for security groups",
        "Configure set of security group rules used as default rules.",
    ),
    (
        "security-groups-normalized-cidr",
        "Normalized CIDR field for security group rules",
        "Add new field with normalized remote_ip_prefix cidr in SG rule",
    ),
    (
        "security-groups-remote-address-group",
        "Remote address group id field for security group rules",
        "Add new field of remote address group id in SG rules",
    ),
    (
        "security-groups-rules-belongs-to-default-sg",
        "Security group rules belongs to the project's default security group",
        "Flag to determine if the security group rule belongs to the project's default security group",
    ),
    (
        "security-groups-shared-filtering",
        "Security group filtering on the shared field",
        "Support filtering security groups on the shared field",
    ),
    ("segment", "Segment", "Segments extension."),
    (
        "service-type",
        "Neutron Service Type Management",
        "API for retrieving service providers for Neutron advanced services",
    ),
    ("sorting", "Sorting support", "Extension that indicates that sorting is enabled."),
    ("standard-attr-description", "standard-attr-description", "Extension to add descriptions to standard attributes"),
    (
        "standard-attr-revisions",
        "Resource revision numbers",
        "This extension will display the revision number of neutron resources.",
    ),
    (
        "standard-attr-tag",
        "Tag support for resources with standard attribute: network, port, subnet, subnetpool, security_group, router, floatingip",
        "Enables to set tag on resources with standard attribute.",
    ),
    (
        "standard-attr-timestamp",
        "Resource timestamps",
        "Adds created_at and updated_at fields to all Neutron resources that have Neutron standard attributes.",
    ),
    ("stateful-security-group", "Stateful security group", "Indicates if the security group is stateful or not"),
    (
        "subnet-dns-publish-fixed-ip",
        "Subnet DNS Publish Fixed IP",
        "Indicates if the fixed IPs of the subnet are published in DNS",
    ),
    (
        "subnet-external-network",
        "Subnet belongs to an external network",
        "Informs if the subnet belongs to an external network",
    ),
    ("subnet-service-types", "Subnet service types", "Provides ability to set the subnet service_types field"),
    ("subnet_allocation", "Subnet Allocation", "Enables allocation of subnets from a subnet pool"),
    (
        "subnetpool-prefix-ops",
        "Subnet Pool Prefix Operations",
        "Provides support for adjusting the prefix list of subnet pools",
    ),
    ("subnet_onboard", "Subnet Onboard", "Provides support for onboarding subnets into subnet pools"),
    ("tag", "Tag support", "Enables to set tag on resources."),
    (
        "tag-ext",
        "Tag support for resources: subnet, subnetpool, port, router",
        "Extends tag support to more L2 and L3 resources.",
    ),
    ("tag-ports-during-bulk-creation", "Tag Ports During Bulk Creation", "Allow to tag ports during bulk creation"),
    (
        "uplink-status-propagation",
        "Port uplink status propagation",
        "Indicates that the port has the uplink status propagated",
    ),
    (
        "uplink-status-propagation-updatable",
        "Port uplink status propagation updatable",
        "The uplink status propagation of a port can be changed",
    ),
];

fn render(row: &(&str, &str, &str)) -> Value {
    json!({
        "name": row.1, "alias": row.0, "description": row.2, "updated": "2026-01-01T00:00:00-00:00", "links": [],
    })
}

pub fn list() -> Vec<Value> {
    EXTENSIONS.iter().map(render).collect()
}

pub fn show(alias: &str) -> Result<Value> {
    EXTENSIONS.iter().find(|row| row.0 == alias).map(render).ok_or_else(|| {
        Error::not_found("HTTPNotFound", format!("Extension with alias {} does not exist", alias.escape_default()))
    })
}
