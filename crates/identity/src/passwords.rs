//! Hashing on a bounded pool: a flood of logins costs its own processors and a bounded queue, nobody else's time.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use sahab_contract::{Error, Result};
use tokio::sync::Semaphore;

/// Longest accepted password in bytes (`[identity] max_password_length`); bcrypt uses the first 72.
pub const MAX_PASSWORD: usize = 4096;

pub struct Hasher {
    cost: u32,
    threads: Arc<Semaphore>,
    queue: usize,
    waiting: AtomicUsize,
    /// A hash of nothing anybody knows, so that an unknown user costs as much as a wrong password.
    dummy: OnceLock<String>,
}

impl Hasher {
    pub fn new(cost: u32, threads: usize, queue: usize) -> Self {
        Hasher {
            cost,
            threads: Arc::new(Semaphore::new(threads.max(1))),
            queue,
            waiting: AtomicUsize::new(0),
            dummy: OnceLock::new(),
        }
    }

    pub async fn hash(&self, password: &str) -> Result<String> {
        let (password, cost) = (password.to_owned(), self.cost);
        Ok(self.run(move || bcrypt::hash(password, cost)).await??)
    }

    /// Compares with `hash`, or with a dummy that never matches.
    pub async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool> {
        let real = hash.is_some();
        let hash = match hash {
            Some(hash) => hash.to_owned(),
            None => self.dummy().await?,
        };
        let password = password.to_owned();
        let same = self.run(move || bcrypt::verify(password, &hash)).await?.unwrap_or(false);
        Ok(same && real)
    }

    async fn dummy(&self) -> Result<String> {
        if let Some(hash) = self.dummy.get() {
            return Ok(hash.clone());
        }
        // The text of a bcrypt hash of this cost whose digest nothing is known to produce: costs as much to compare.
        let salt: [u8; 16] = rand::random();
        let digest: [u8; 23] = rand::random();
        let text = format!("$2b${:02}${}{}", self.cost, radix64(&salt), radix64(&digest));
        Ok(self.dummy.get_or_init(|| text).clone())
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _place = Place::take(&self.waiting, self.queue)?;
        let permit = self.threads.clone().acquire_owned().await?;
        // The permit goes along: a caller that leaves does not make room before the thread is free.
        Ok(tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        })
        .await?)
    }
}

/// A place in the queue, given back when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, limit: usize) -> Result<Self> {
        let place = Place(waiting);
        if waiting.fetch_add(1, Ordering::SeqCst) >= limit {
            return Err(Error::unavailable("TooManyLogins", "Too many logins are waiting, try again later."));
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// bcrypt's own base 64.
fn radix64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0_u8; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for index in 0..=chunk.len() {
            let six = (bits >> (18 - 6 * index)) & 63;
            out.push(char::from(ALPHABET[six as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn verify_tells_right_from_wrong_and_from_nobody() {
        let hasher = Hasher::new(4, 1, 8);
        let hash = hasher.hash("secret").await.unwrap();
        assert!(hasher.verify("secret", Some(&hash)).await.unwrap());
        assert!(!hasher.verify("other", Some(&hash)).await.unwrap());
        assert!(!hasher.verify("secret", None).await.unwrap());
    }

    #[tokio::test]
    async fn the_dummy_is_a_hash_that_bcrypt_really_computes() {
        let hasher = Hasher::new(4, 1, 8);
        let dummy = hasher.dummy().await.unwrap();
        assert_eq!(dummy.len(), 60);
        assert!(!bcrypt::verify("x", &dummy).expect("a well-formed hash is compared, a broken one fails at once"));
    }

    #[tokio::test]
    async fn a_flood_is_refused_at_once() {
        let hasher = Arc::new(Hasher::new(4, 1, 2));
        let permit = hasher.threads.clone().acquire_owned().await.unwrap();
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.hash("a").await })
            })
            .collect();
        while hasher.waiting.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hasher.hash("b").await.unwrap_err().kind(), sahab_contract::Kind::Unavailable);
        drop(permit);
        for task in waiting {
            task.await.unwrap().unwrap();
        }
        assert_eq!(hasher.waiting.load(Ordering::SeqCst), 0);
    }
}
