//! Who waits for news of which object. One subscription to the event bus feeds all of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sahab_contract::event::EventBus;
use tokio::sync::{Notify, broadcast::error::RecvError, watch};

#[derive(Default)]
pub struct Waiters {
    by_id: Arc<Mutex<HashMap<String, Vec<Arc<Notify>>>>>,
}

/// Hears of one object until it is dropped. News that came before [`Waiter::news`] is not lost.
pub struct Waiter {
    id: String,
    notify: Arc<Notify>,
    by_id: Arc<Mutex<HashMap<String, Vec<Arc<Notify>>>>>,
}

type Map = HashMap<String, Vec<Arc<Notify>>>;

fn lock(map: &Mutex<Map>) -> MutexGuard<'_, Map> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Waiters {
    pub fn register(&self, id: &str) -> Waiter {
        let notify = Arc::new(Notify::new());
        lock(&self.by_id).entry(id.to_owned()).or_default().push(notify.clone());
        Waiter { id: id.to_owned(), notify, by_id: self.by_id.clone() }
    }

    /// Something happened to the object.
    pub fn wake(&self, id: &str) {
        for notify in lock(&self.by_id).get(id).into_iter().flatten() {
            notify.notify_one();
        }
    }

    fn wake_all(&self) {
        for notify in lock(&self.by_id).values().flatten() {
            notify.notify_one();
        }
    }

    /// Passes on the bus's news until `stop` turns true.
    pub async fn listen(&self, bus: &EventBus, mut stop: watch::Receiver<bool>) {
        let mut news = bus.subscribe();
        loop {
            tokio::select! {
                event = news.recv() => match event {
                    Ok(event) => self.wake(&event.resource_id),
                    Err(RecvError::Lagged(_)) => self.wake_all(),
                    Err(RecvError::Closed) => return,
                },
                changed = stop.changed() => if changed.is_err() || *stop.borrow() { return },
            }
        }
    }
}

impl Waiter {
    pub async fn news(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut map = lock(&self.by_id);
        if let Some(list) = map.get_mut(&self.id) {
            list.retain(|other| !Arc::ptr_eq(other, &self.notify));
            if list.is_empty() {
                map.remove(&self.id);
            }
        }
    }
}
