//! The engine's events, turned into states.
//!
//! One task per driver. An event says only that something happened; the state told to subscribers is inspected after it,
//! so a burst of events about a container costs one or two inspections. A container that the engine is busy starting
//! holds up its own inspection only.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bollard::{models::EventMessage, query_parameters::EventsOptionsBuilder};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use sahab_contract::container::{ContainerEvent, Observed};

use crate::{
    LABEL_CONTAINER,
    engine::{Engine, checked_id},
    error::Mapped,
    observe::observed,
};

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Runs until aborted.
pub(crate) async fn run(engine: Arc<Engine>) {
    let mut backoff = BACKOFF_FIRST;
    loop {
        // Events between this moment and the subscription are replayed by the engine.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if answers(&engine).await {
            backoff = BACKOFF_FIRST;
            engine.forget_all();
            tracing::info!(socket = %engine.settings.socket.display(), "container engine is up");
            send(&engine, ContainerEvent::EngineUp);
            follow(&engine, since).await;
            engine.forget_all();
            tracing::warn!("container engine is down");
            send(&engine, ContainerEvent::EngineDown);
        }
        tokio::time::sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

async fn answers(engine: &Engine) -> bool {
    match engine.docker() {
        Ok(docker) => docker.ping().await.is_ok(),
        Err(_) => false,
    }
}

/// Until the stream ends.
async fn follow(engine: &Arc<Engine>, since: u64) {
    let filters = HashMap::from([("type".to_owned(), vec!["container".to_owned()]), engine.own()]);
    let options = EventsOptionsBuilder::default().since(&since.to_string()).filters(&filters).build();
    let Ok(docker) = engine.docker() else { return };
    let mut events = std::pin::pin!(docker.events(Some(options)));
    let mut looks: FuturesUnordered<BoxFuture<'static, (String, Option<Option<Observed>>)>> = FuturesUnordered::new();
    // Containers being looked at; true when something happened since the look began.
    let mut busy: HashMap<String, bool> = HashMap::new();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    let Some((id, gone)) = concerns(&event) else { continue };
                    if gone {
                        send(engine, ContainerEvent::Changed { id: id.clone(), observed: None });
                    }
                    if let Some(again) = busy.get_mut(&id) {
                        *again = true;
                    } else if !gone {
                        busy.insert(id.clone(), false);
                        looks.push(look(engine.clone(), id));
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the container engine's event stream broke");
                    return;
                }
                None => return,
            },
            Some((id, seen)) = looks.next() => {
                let again = busy.remove(&id).unwrap_or_default();
                // No answer is no news: the end of the stream or the next event follows.
                if let Some(observed) = seen {
                    send(engine, ContainerEvent::Changed { id: id.clone(), observed: observed.map(Box::new) });
                }
                if again {
                    busy.insert(id.clone(), false);
                    looks.push(look(engine.clone(), id));
                }
            }
        }
    }
}

fn look(engine: Arc<Engine>, id: String) -> BoxFuture<'static, (String, Option<Option<Observed>>)> {
    async move {
        let seen = async {
            let name = crate::engine::container_name(&id).ok()?;
            let answer = engine.docker().ok()?.inspect_container(&name, None).await.unless(404).ok()?;
            Some(answer.and_then(observed))
        };
        let seen = seen.await;
        (id, seen)
    }
    .boxed()
}

/// Whose state an event may have changed, and whether it is gone.
fn concerns(event: &EventMessage) -> Option<(String, bool)> {
    let action = event.action.as_deref()?;
    let word = action.split(':').next().unwrap_or(action);
    let matters = matches!(
        word,
        "create"
            | "start"
            | "restart"
            | "stop"
            | "die"
            | "kill"
            | "oom"
            | "pause"
            | "unpause"
            | "destroy"
            | "update"
            | "health_status"
    );
    if !matters {
        return None;
    }
    let id = event.actor.as_ref()?.attributes.as_ref()?.get(LABEL_CONTAINER)?;
    Some((checked_id(id).ok()?.to_owned(), word == "destroy"))
}

fn send(engine: &Engine, event: ContainerEvent) {
    // No subscriber is no error.
    let _ = engine.events.send(event);
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::*;

    fn event(action: &str, id: &str) -> EventMessage {
        EventMessage {
            action: Some(action.into()),
            actor: Some(EventActor {
                attributes: Some(HashMap::from([(LABEL_CONTAINER.to_owned(), id.to_owned())])),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn only_changes_of_state_are_looked_at() {
        let id = "6f1c2f3e-0b0a-4f7e-9d57-0123456789ab";
        assert_eq!(concerns(&event("die", id)), Some((id.into(), false)));
        assert_eq!(concerns(&event("destroy", id)), Some((id.into(), true)));
        assert_eq!(concerns(&event("health_status: healthy", id)), Some((id.into(), false)));
        assert_eq!(concerns(&event("exec_create: sh -c true", id)), None);
        assert_eq!(concerns(&event("die", "not-an-id")), None);
    }
}
