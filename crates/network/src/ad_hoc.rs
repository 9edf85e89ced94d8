//! Ports for containers that somebody plugged in by Docker's own means (`docker run --network`): made through this
//! service's own API as the program, under an id that follows from the endpoint's, so that a repeated call finds them.

use async_trait::async_trait;
use sahab_contract::{
    Error, RequestContext, Result,
    cloud::{Call, escape},
    network::{AdHocPort, AdHocPorts},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::NetworkService;

/// Names of port ids are taken from Docker's endpoint ids within this space.
const SPACE: Uuid = Uuid::from_u128(0x6f1c_9d0e_52a4_4b6b_9a43_7d1f_55c3_0e21);

impl NetworkService {
    async fn program(&self) -> Result<RequestContext> {
        Ok(RequestContext::new(Some(self.identity.service().await?)).elevated())
    }

    async fn network_named(&self, context: &RequestContext, wanted: &str) -> Result<Value> {
        let wanted = escape(wanted);
        match self.cloud.call(context, Call::get("network", format!("/v2.0/networks/{wanted}"))).await {
            Err(error) if error.is_not_found() => {}
            found => return Ok(found?.body["network"].take()),
        }
        let mut found = self.cloud.call(context, Call::get("network", format!("/v2.0/networks?name={wanted}"))).await?;
        match found.body["networks"].as_array_mut().map(std::mem::take).unwrap_or_default().as_mut_slice() {
            [] => Err(Error::not_found("NetworkNotFound", format!("Network {wanted} could not be found."))),
            [one] => Ok(one.take()),
            _ => Err(Error::conflict("NetworkNameAmbiguous", format!("Several networks are named {wanted}; give the id."))),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[async_trait]
impl AdHocPorts for NetworkService {
    async fn resolve(&self, network: &str) -> Result<String> {
        Ok(text(&self.network_named(&self.program().await?, network).await?["id"]))
    }

    async fn create(&self, host: &str, network: &str, endpoint_id: &str) -> Result<AdHocPort> {
        let context = self.program().await?;
        let network = self.network_named(&context, network).await?;
        let port_id = Uuid::new_v5(&SPACE, endpoint_id.as_bytes()).to_string();
        let body = json!({"port": {
            "network_id": network["id"], "project_id": network["project_id"], "device_id": endpoint_id,
            "device_owner": "compute:kuryr", "binding:host_id": host, "name": "docker-endpoint",
        }});
        let call = Call::post("network", "/v2.0/ports", body);
        match self.cloud.call(&context.with_preset_id(&port_id), call).await {
            Err(error) if !error.is_conflict() => return Err(error),
            Err(error) => {
                // Made by an earlier call, unless the conflict is another one.
                let known = self.cloud.call(&context, Call::get("network", format!("/v2.0/ports/{port_id}"))).await;
                if known.is_err() {
                    return Err(error);
                }
            }
            Ok(_) => {}
        }
        Ok(AdHocPort { port_id, network_id: text(&network["id"]) })
    }

    async fn release(&self, port_id: &str) -> Result<()> {
        let context = self.program().await?;
        match self.cloud.call(&context, Call::delete("network", format!("/v2.0/ports/{}", escape(port_id)))).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}
