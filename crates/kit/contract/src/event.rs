//! News that something changed. Losing one costs latency, never work: whoever waits also looks.

use serde_json::Value;
use tokio::sync::broadcast;

/// A change of one object, published after the database holds it.
#[derive(Clone, Debug)]
pub struct Event {
    /// `container.status`, `port.status`, `floatingip.status`, `stack.status`, `network.deleted`, …
    pub topic: &'static str,
    pub resource_id: String,
    pub project_id: String,
    pub payload: Value,
}

/// The in-process bus. Cloning is cheap; every clone publishes to the same subscribers.
#[derive(Clone)]
pub struct EventBus {
    sender: broadcast::Sender<Event>,
}

impl EventBus {
    pub fn new() -> Self {
        EventBus { sender: broadcast::channel(4096).0 }
    }
    pub fn publish(&self, topic: &'static str, resource_id: &str, project_id: &str, payload: Value) {
        // No subscriber is no error.
        let _ = self.sender.send(Event {
            topic,
            resource_id: resource_id.to_owned(),
            project_id: project_id.to_owned(),
            payload,
        });
    }
    /// A slow reader sees `Lagged` and must look for itself.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }
}

impl Default for EventBus {
    fn default() -> Self {
        Self::new()
    }
}
