//! Ports for containers that somebody plugs in by Docker's own means (`docker run --network`).
//!
//! The port's id follows from the endpoint's, so asking twice gives one port, and a port of a container service can never
//! be taken for one of these.

use async_trait::async_trait;
use sahab_contract::{
    Error, RequestContext, Result,
    cloud::Call,
    network::{AdHocPort, AdHocPorts},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;

use crate::{
    NetworkService,
    db::{network_table, port_table},
    error::network_not_found,
    network,
};

const OWNER: &str = "compute:kuryr";

fn port_of(endpoint: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("sahab:endpoint:{endpoint}").as_bytes()).to_string()
}

#[async_trait]
impl AdHocPorts for NetworkService {
    async fn resolve(&self, wanted: &str) -> Result<String> {
        let rows: Vec<String> = network_table::Entity::find()
            .select_only()
            .column(network_table::Column::Id)
            .filter(
                Condition::any().add(network_table::Column::Id.eq(wanted)).add(network_table::Column::Name.eq(wanted)),
            )
            .limit(2)
            .into_tuple()
            .all(self.database.read())
            .await?;
        match rows.as_slice() {
            [id] => Ok(id.clone()),
            [] => Err(network_not_found(wanted)),
            _ if rows.iter().any(|id| id == wanted) => Ok(wanted.to_owned()),
            _ => Err(Error::conflict("NetworkAmbiguous", format!("Several networks are named {wanted}; use the id."))),
        }
    }

    async fn create(&self, host: &str, wanted: &str, endpoint_id: &str) -> Result<AdHocPort> {
        let network_id = self.resolve(wanted).await?;
        let port_id = port_of(endpoint_id);
        let answer = AdHocPort { port_id: port_id.clone(), network_id: network_id.clone() };
        if port_table::Entity::find_by_id(&port_id).one(self.database.read()).await?.is_some() {
            return Ok(answer);
        }
        let owner = network::get(self.database.read(), &network_id).await?.project_id;
        let context = RequestContext::new(Some(self.identity.service().await?)).elevated().with_preset_id(port_id);
        let body = json!({"port": {
            "network_id": network_id, "project_id": owner, "device_id": endpoint_id, "device_owner": OWNER,
            "binding:host_id": host,
        }});
        match self.cloud.call(&context, Call::post("network", "/v2.0/ports", body)).await {
            Ok(_) => Ok(answer),
            // Another call for the same endpoint was faster.
            Err(error) if error.code() == "ObjectExists" => Ok(answer),
            Err(error) => Err(error),
        }
    }

    async fn release(&self, port_id: &str) -> Result<()> {
        let row = port_table::Entity::find_by_id(port_id).one(self.database.read()).await?;
        let Some(row) = row.filter(|row| row.device_owner == OWNER && port_of(&row.device_id) == row.id) else {
            return Ok(());
        };
        let context = RequestContext::new(Some(self.identity.service().await?)).elevated();
        match self.cloud.call(&context, Call::delete("network", format!("/v2.0/ports/{}", row.id))).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}
