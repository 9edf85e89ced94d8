//! One engine network per network of ours, made when first needed and named by its uuid.

use std::collections::HashMap;

use bollard::{
    models::{EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest},
    query_parameters::{ListContainersOptionsBuilder, ListNetworksOptionsBuilder},
};
use sahab_contract::{Error, Result, container::Attachment};
use serde_json::json;

use crate::{
    LABEL_CLOUD, LABEL_NETWORK, OPTION_PORT,
    create::endpoint,
    engine::{Engine, NetworkUse, checked_id, container_name},
    error::{CODE, Mapped, from_engine, status_of},
};

impl Engine {
    /// Makes sure that the engine has the networks, and that they stay until the result is dropped.
    pub(crate) async fn use_networks(&self, ids: &[&str]) -> Result<NetworkUse> {
        let mut guards = NetworkUse::new();
        for id in ids {
            // A removal holds one lock and waits for nothing else, so the order of many does not matter.
            guards.push(self.network_lock(id).in_use.clone().read_owned().await);
            self.ensure_network(id).await?;
        }
        Ok(guards)
    }

    /// The driver behind the network is asked by the engine once, at creation.
    async fn ensure_network(&self, id: &str) -> Result<()> {
        checked_id(id)?;
        if self.knows_network(id) {
            return Ok(());
        }
        let lock = self.network_lock(id);
        let _alone = lock.creating.lock().await;
        if self.knows_network(id) {
            return Ok(());
        }
        let body = json!({
            "Name": id,
            "Driver": self.settings.network_driver,
            // Without it 20.10 makes a second network of the same name, and every later use of the name is ambiguous.
            "CheckDuplicate": true,
            "IPAM": {"Driver": "null"},
            "Options": {LABEL_NETWORK: id},
            "Labels": {LABEL_NETWORK: id, LABEL_CLOUD: self.settings.cloud},
        });
        match self.raw.post("/networks/create", &body).await {
            Ok(_) => {}
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
        self.remember_network(id);
        Ok(())
    }

    pub(crate) async fn attach(&self, id: &str, attachment: &Attachment) -> Result<()> {
        let name = container_name(id)?;
        let _kept = self.use_networks(&[attachment.network_id.as_str()]).await?;
        let settings = endpoint(attachment, attachment.primary)?;
        match self.connect(&name, &attachment.network_id, settings.clone()).await {
            Err(error) if status_of(&error) == Some(404) => {
                // The container is gone, or the network was removed behind our back.
                self.inspect(id).await?;
                self.forget_network(&attachment.network_id);
                self.ensure_network(&attachment.network_id).await?;
                self.connect(&name, &attachment.network_id, settings).await.mapped()
            }
            Err(error) if matches!(status_of(&error), Some(403 | 409)) => {
                // Connected already is success, if it is by this port.
                if self.endpoints(id).await?.get(&attachment.network_id).is_some_and(|found| {
                    found.driver_opts.as_ref().and_then(|options| options.get(OPTION_PORT)) == Some(&attachment.port_id)
                }) {
                    return Ok(());
                }
                Err(from_engine(error))
            }
            other => other.mapped(),
        }
    }

    async fn connect(
        &self,
        container: &str,
        network: &str,
        settings: EndpointSettings,
    ) -> Result<(), bollard::errors::Error> {
        let Ok(docker) = self.docker() else {
            return Err(bollard::errors::Error::SocketNotFoundError(String::new()));
        };
        let request = NetworkConnectRequest { container: container.to_owned(), endpoint_config: Some(settings) };
        docker.connect_network(network, request).await
    }

    async fn endpoints(&self, id: &str) -> Result<HashMap<String, EndpointSettings>> {
        let answer = self.inspect(id).await?;
        Ok(answer.network_settings.and_then(|settings| settings.networks).unwrap_or_default())
    }

    pub(crate) async fn detach(&self, id: &str, network_id: &str) -> Result<()> {
        let name = container_name(id)?;
        let request = NetworkDisconnectRequest { container: name, force: Some(true) };
        match self.docker()?.disconnect_network(checked_id(network_id)?, request).await {
            Ok(()) => Ok(()),
            Err(error) if status_of(&error) == Some(404) => Ok(()),
            // Not connected is 500; look instead of reading the text.
            Err(error) if matches!(status_of(&error), Some(403 | 500)) => match self.endpoints(id).await {
                Ok(endpoints) if endpoints.contains_key(network_id) => Err(from_engine(error)),
                Ok(_) => Ok(()),
                Err(gone) if gone.is_not_found() => Ok(()),
                Err(other) => Err(other),
            },
            Err(error) => Err(from_engine(error)),
        }
    }

    /// A stopped container keeps the engine's id of its network, so the network must outlive it although it has no
    /// endpoint then.
    pub(crate) async fn remove_network(&self, network_id: &str) -> Result<()> {
        let name = checked_id(network_id)?;
        let lock = self.network_lock(name);
        let _unused = lock.in_use.write().await;
        let docker = self.docker()?;
        let filters = HashMap::from([("network".to_owned(), vec![name.to_owned()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        if !docker.list_containers(Some(options)).await.mapped()?.is_empty() {
            return Err(Error::conflict(CODE, format!("network {name} is in use by a container")));
        }
        self.forget_network(name);
        docker.remove_network(name).await.unless(404).map(|_| ())
    }

    pub(crate) async fn networks(&self) -> Result<Vec<String>> {
        let filters = HashMap::from([self.own()]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let found = self.docker()?.list_networks(Some(options)).await.mapped()?;
        Ok(found.into_iter().filter_map(|network| network.name.filter(|name| checked_id(name).is_ok())).collect())
    }

    /// After `docker network prune`: makes the networks of a container again and connects it anew, because the engine
    /// remembers a network by an id that is gone. `false` when nothing was missing.
    pub(crate) async fn repair_networks(&self, id: &str) -> Result<bool> {
        let name = container_name(id)?;
        let mut repaired = false;
        let docker = self.docker()?;
        for (network, settings) in self.endpoints(id).await? {
            if checked_id(&network).is_err() {
                continue;
            }
            let found = docker.inspect_network(&network, None).await.unless(404)?;
            let same = found.as_ref().and_then(|found| found.id.as_deref()) == settings.network_id.as_deref();
            if found.is_some() && same {
                continue;
            }
            tracing::warn!(container = id, %network, "the engine's network was removed under a container; made again");
            self.forget_network(&network);
            let _kept = self.use_networks(&[network.as_str()]).await?;
            let request = NetworkDisconnectRequest { container: name.clone(), force: Some(true) };
            if let Err(error) = docker.disconnect_network(&network, request).await {
                tracing::debug!(container = id, %network, %error, "nothing to disconnect");
            }
            let wanted =
                EndpointSettings { driver_opts: settings.driver_opts, aliases: settings.aliases, ..Default::default() };
            self.connect(&name, &network, wanted).await.mapped()?;
            repaired = true;
        }
        Ok(repaired)
    }
}
