//! A container's networks and security groups after its creation.

use sahab_contract::{Error, RequestContext, Result};
use serde_json::json;

use crate::{
    ContainerService,
    db::container::{Model, Net},
    request::create::NetRequest,
    state::{Action, TaskState},
    task, texts,
};

impl ContainerService {
    pub async fn attach_network(
        &self,
        context: &RequestContext,
        ident: &str,
        request: Option<NetRequest>,
    ) -> Result<()> {
        // Rights first: a stranger must not learn which networks exist.
        self.find_for(self.database.read(), context, ident, Action::NetworkAttach).await?;
        let net = match &request {
            Some(request) => self.resolve_net(context, request).await?,
            None => self.resolve_default_net(context).await?,
        };
        let txn = self.database.begin().await?;
        let mut row = self.find_for(&txn, context, ident, Action::NetworkAttach).await?;
        Action::NetworkAttach.check(&row.uuid, row.status)?;
        self.driver_of(&row)?;
        if row.nets.0.iter().any(|other| other.network_id == net.network_id) {
            return Err(texts::invalid_value(format!(
                "Container {} is attached to network {} already.",
                row.uuid, net.network_id
            )));
        }
        if net.preserve {
            Self::check_port_free(&txn, &net.port_id).await?;
        }
        let input = json!({"port": net.port_id, "network": net.network_id});
        // Recorded before the port exists: whatever happens, the delete knows of it.
        row.nets.0.push(net);
        let state = TaskState::NetworkAttaching;
        self.accept(&txn, context, &mut row, Action::NetworkAttach, state, task::ATTACH, input).await?;
        txn.commit().await?;
        self.queue.nudge();
        Ok(())
    }

    pub async fn detach_network(&self, context: &RequestContext, ident: &str, request: NetRequest) -> Result<()> {
        let seen = self.find_for(self.database.read(), context, ident, Action::NetworkDetach).await?;
        let matches: Box<dyn Fn(&Net) -> bool + Send> = match &request {
            NetRequest::Network { ident, .. } => {
                let id = match seen.nets.0.iter().find(|net| net.network_id == *ident) {
                    Some(net) => net.network_id.clone(),
                    None => text(&self.find_network(context, ident).await?["id"]),
                };
                Box::new(move |net| net.network_id == id)
            }
            NetRequest::Port { ident } => {
                let id = match seen.nets.0.iter().find(|net| net.port_id == *ident) {
                    Some(net) => net.port_id.clone(),
                    None => text(&self.find_port(context, ident).await?["id"]),
                };
                Box::new(move |net| net.port_id == id)
            }
        };
        let txn = self.database.begin().await?;
        let mut row = self.find_for(&txn, context, ident, Action::NetworkDetach).await?;
        Action::NetworkDetach.check(&row.uuid, row.status)?;
        self.driver_of(&row)?;
        let Some(net) = row.nets.0.iter().find(|net| matches(net)).cloned() else {
            return Err(texts::invalid_value(format!("Container {} is not attached to that network.", row.uuid)));
        };
        let input = json!({"port": net.port_id, "network": net.network_id});
        let state = TaskState::NetworkDetaching;
        self.accept(&txn, context, &mut row, Action::NetworkDetach, state, task::DETACH, input).await?;
        txn.commit().await?;
        self.queue.nudge();
        Ok(())
    }

    /// The container, for its list of networks; whoever may see it may see them.
    pub async fn list_networks(&self, context: &RequestContext, ident: &str) -> Result<Model> {
        let row = self.find(self.database.read(), context, ident).await?;
        self.enforce(context, "container:network_list", &row.project_id)?;
        Ok(row)
    }

    /// `action` is `AddSecurityGroup` or `RemoveSecurityGroup`.
    pub async fn change_security_group(
        &self,
        context: &RequestContext,
        ident: &str,
        action: Action,
        group: &str,
    ) -> Result<()> {
        self.find_for(self.database.read(), context, ident, action).await?;
        let add = action == Action::AddSecurityGroup;
        let mut found = self.find_groups(context, &[group.to_owned()]).await?;
        let id = found.pop().ok_or_else(|| texts::invalid_value(format!("Security group {group} not found.")))?;
        let txn = self.database.begin().await?;
        let mut row = self.find_for(&txn, context, ident, action).await?;
        action.check(&row.uuid, row.status)?;
        let present = row.security_groups.0.contains(&id);
        if add && present {
            return Err(Error::invalid("invalid-value", format!("Security group {id} has been added to container.")));
        }
        if !add && !present {
            return Err(Error::invalid("invalid-value", format!("Security group {id} was not added to container.")));
        }
        let state = if add { TaskState::SgAdding } else { TaskState::SgRemoving };
        let input = json!({"group": id, "add": add});
        self.accept(&txn, context, &mut row, action, state, task::GROUP, input).await?;
        txn.commit().await?;
        self.queue.nudge();
        Ok(())
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
