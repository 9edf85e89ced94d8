//! `OS::Neutron::FloatingIPAssociation`: gives a port the address. Its id is that of the resource itself.

use async_trait::async_trait;
use sahab_contract::{Result, cloud::Call};
use serde_json::{Map, Value, json};

use super::{
    common::{SERVICE, describe, interfaces_for_port},
    floating_ip::FLOATING_IPS,
};
use crate::{
    properties::{PropertyDiff, PropertySchema},
    resources::{Act, Description, Neighbour, Object, Progress, ResourceType, Update, rest},
};

pub struct FloatingIpAssociation {
    description: Description,
}

/// Key of `data`: the address that was given, and the port it was given to.
const GIVEN: &str = "given";

impl FloatingIpAssociation {
    pub fn new() -> Self {
        let text = PropertySchema::string;
        let description =
            describe("OS::Neutron::FloatingIPAssociation", "A resource for associating floating ips and ports.")
                .properties([
                    ("floatingip_id", text("ID of the floating IP to associate.").required().updatable()),
                    (
                        "port_id",
                        text("ID of an existing port with at least one IP address to associate with this floating IP.")
                            .required()
                            .custom("neutron.port")
                            .updatable(),
                    ),
                    (
                        "fixed_ip_address",
                        text("IP address to use if the port has multiple addresses.").custom("ip_addr").updatable(),
                    ),
                ]);
        FloatingIpAssociation { description }
    }
}

async fn give(act: &Act, object: &mut Object) -> Result<()> {
    let id = object.text("floatingip_id").unwrap_or_default().to_owned();
    let port = object.text("port_id").unwrap_or_default().to_owned();
    let mut body = Map::from_iter([("port_id".to_owned(), Value::String(port.clone()))]);
    if let Some(address) = object.get("fixed_ip_address") {
        body.insert("fixed_ip_address".into(), address.clone());
    }
    FLOATING_IPS.put(act, &id, Value::Object(body)).await?;
    object.data.insert(GIVEN.into(), json!([id, port]));
    Ok(())
}

/// Takes the address back, unless somebody else got it meanwhile (a replacement of this very resource).
async fn take(act: &Act, id: &str, port: &str) -> Result<()> {
    let path = FLOATING_IPS.member(id);
    let Some(found) = rest::find(act, SERVICE, &path, FLOATING_IPS.key).await? else { return Ok(()) };
    if found["port_id"] == port {
        rest::delete(act, Call::put(SERVICE, path, json!({"floatingip": {"port_id": null}}))).await?;
    }
    Ok(())
}

#[async_trait]
impl ResourceType for FloatingIpAssociation {
    fn description(&self) -> &Description {
        &self.description
    }
    fn hidden_requirements(&self, own: &Neighbour<'_>, all: &[Neighbour<'_>]) -> Vec<String> {
        interfaces_for_port(own.raw(&["port_id"]), all)
    }
    async fn create(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        give(act, object).await?;
        object.physical_id = Some(object.row_id.clone());
        Ok(Progress::Done)
    }
    async fn update(&self, act: &Act, object: &mut Object, diff: &PropertyDiff) -> Result<Update> {
        if diff.changed.contains_key("floatingip_id")
            && let Some([id, port]) = given(object)
        {
            take(act, &id, &port).await?;
        }
        give(act, object).await?;
        Ok(Update::Done)
    }
    async fn delete(&self, act: &Act, object: &mut Object) -> Result<Progress> {
        let own = ["floatingip_id", "port_id"].map(|name| object.text(name).unwrap_or_default().to_owned());
        let [id, port] = given(object).unwrap_or(own);
        take(act, &id, &port).await?;
        Ok(Progress::Done)
    }
}

fn given(object: &Object) -> Option<[String; 2]> {
    let pair = object.data.get(GIVEN)?;
    Some([pair[0].as_str()?.to_owned(), pair[1].as_str()?.to_owned()])
}
