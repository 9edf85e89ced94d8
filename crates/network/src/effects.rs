//! What must be told once a change is in the database: which plans differ now, and news for whoever waits.

use std::collections::BTreeSet;

use sahab_contract::network::Dirty;
use serde_json::Value;

use crate::NetworkService;

#[derive(Debug, Default)]
pub struct Effects {
    networks: BTreeSet<String>,
    routers: BTreeSet<String>,
    groups: BTreeSet<String>,
    events: Vec<(&'static str, String, String, Value)>,
}

impl Effects {
    pub fn network(&mut self, id: impl Into<String>) {
        self.networks.insert(id.into());
    }
    pub fn router(&mut self, id: impl Into<String>) {
        self.routers.insert(id.into());
    }
    pub fn routers(&mut self, ids: impl IntoIterator<Item = String>) {
        self.routers.extend(ids);
    }
    /// Rules or members of these security groups changed. Who filters by them is the agent's to know: a group may have
    /// thousands of members, and looking for their networks here would cost every new one the look at all others.
    pub fn groups(&mut self, ids: impl IntoIterator<Item = String>) {
        self.groups.extend(ids);
    }
    pub fn event(&mut self, topic: &'static str, id: &str, project: &str, payload: Value) {
        self.events.push((topic, id.to_owned(), project.to_owned(), payload));
    }

    /// Networks come first: a router's legs need them.
    pub(crate) fn publish(self, service: &NetworkService) {
        for id in self.networks {
            // No agent listens in tests and on a server without a host.
            let _ = service.dirty.send(Dirty::Network(id));
        }
        for id in self.groups {
            let _ = service.dirty.send(Dirty::Group(id));
        }
        for id in self.routers {
            let _ = service.dirty.send(Dirty::Router(id));
        }
        for (topic, id, project, payload) in self.events {
            service.events.publish(topic, &id, &project, payload);
        }
    }
}
