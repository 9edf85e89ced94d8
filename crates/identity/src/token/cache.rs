//! Validated tokens, good for one generation: exact, because every change of the database starts a new one.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use super::Token;

/// Most tokens kept; beyond, the stale ones go, and if there are none, all.
const MAX_TOKENS: usize = 16_384;

#[derive(Default)]
pub struct TokenCache(RwLock<HashMap<String, (u64, Arc<Token>)>>);

impl TokenCache {
    /// The token as validated in this generation. The caller checks its expiry.
    pub fn get(&self, text: &str, generation: u64) -> Option<Arc<Token>> {
        let tokens = self.0.read().ok()?;
        let (at, token) = tokens.get(text)?;
        (*at == generation).then(|| token.clone())
    }

    pub fn put(&self, text: &str, generation: u64, token: Arc<Token>) {
        let Ok(mut tokens) = self.0.write() else { return };
        if tokens.len() >= MAX_TOKENS {
            tokens.retain(|_, (at, _)| *at == generation);
            if tokens.len() >= MAX_TOKENS {
                tokens.clear();
            }
        }
        tokens.insert(text.to_owned(), (generation, token));
    }
}
