//! The protocol's messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Driver options given with `-o` at network creation.
pub(crate) const GENERIC: &str = "com.docker.network.generic";
pub(crate) const NETWORK_OPTION: &str = "sahab.network";
pub(crate) const PORT_OPTION: &str = "sahab.port";
pub(crate) const PRIMARY_OPTION: &str = "sahab.primary";

pub(crate) type Options = BTreeMap<String, Value>;

#[derive(Debug, Deserialize)]
pub(crate) struct CreateNetwork {
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    #[serde(rename = "Options", default)]
    pub options: Option<Options>,
    #[serde(rename = "IPv4Data", default)]
    pub ipv4: Option<Vec<Pool>>,
    #[serde(rename = "IPv6Data", default)]
    pub ipv6: Option<Vec<Pool>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Pool {
    #[serde(rename = "Pool", default)]
    pub pool: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct NetworkOnly {
    #[serde(rename = "NetworkID")]
    pub network_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CreateEndpoint {
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    #[serde(rename = "Interface", default)]
    pub interface: Option<Interface>,
    #[serde(rename = "Options", default)]
    pub options: Option<Options>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct EndpointOnly {
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
}

/// In an answer only those that were empty in the request may be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Interface {
    #[serde(rename = "Address", skip_serializing_if = "String::is_empty")]
    pub address: String,
    #[serde(rename = "AddressIPv6", skip_serializing_if = "String::is_empty")]
    pub address6: String,
    #[serde(rename = "MacAddress", skip_serializing_if = "String::is_empty")]
    pub mac: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct CreateEndpointAnswer {
    #[serde(rename = "Interface")]
    pub interface: Interface,
}

#[derive(Debug, Serialize)]
pub(crate) struct JoinAnswer {
    #[serde(rename = "InterfaceName")]
    pub interface: InterfaceName,
    #[serde(rename = "Gateway", skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    #[serde(rename = "GatewayIPv6", skip_serializing_if = "String::is_empty")]
    pub gateway6: String,
    #[serde(rename = "StaticRoutes")]
    pub routes: Vec<StaticRoute>,
    /// Without it Docker adds a bridge of its own to a container that has no gateway.
    #[serde(rename = "DisableGatewayService")]
    pub disable_gateway_service: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct InterfaceName {
    #[serde(rename = "SrcName")]
    pub source: String,
    #[serde(rename = "DstPrefix")]
    pub prefix: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct StaticRoute {
    #[serde(rename = "Destination")]
    pub destination: String,
    /// 0: by next hop; 1: on the link.
    #[serde(rename = "RouteType")]
    pub kind: u8,
    #[serde(rename = "NextHop", skip_serializing_if = "String::is_empty")]
    pub next_hop: String,
}

/// An option as text, wherever Docker put it: endpoint options come flat, network options below the generic key.
pub(crate) fn option<'a>(options: &'a Option<Options>, name: &str) -> Option<&'a str> {
    let options = options.as_ref()?;
    options
        .get(name)
        .or_else(|| options.get(GENERIC)?.get(name))
        .and_then(Value::as_str)
        .map(str::trim)
        .filter(|text| !text.is_empty())
}
