//! The identity service itself: its database, keys and caches, and the two things every domain function does, asking the
//! policy and changing the database.

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use sahab_contract::{Error, RequestContext, Result};
use sahab_db::Database;
use sahab_policy::Enforcer;
use sea_orm::{DatabaseConnection, DatabaseTransaction};
use serde_json::Value;

use crate::{
    effective::RoleGraph,
    keys::KeyRepository,
    passwords::Hasher,
    settings::Settings,
    token::{cache::TokenCache, catalog::CatalogRows},
};

/// Shared by all requests. Every write bumps `generation`; whatever was cached under an older one is never used.
pub struct IdentityService {
    pub(crate) database: Database,
    pub(crate) settings: Settings,
    pub(crate) policy: Enforcer,
    pub(crate) hasher: Hasher,
    pub(crate) token_keys: KeyRepository,
    pub(crate) credential_keys: KeyRepository,
    pub(crate) generation: Generation,
    pub(crate) tokens: TokenCache,
    pub(crate) roles: Cached<RoleGraph>,
    pub(crate) catalog: Cached<CatalogRows>,
    pub(crate) own: Cached<sahab_contract::Auth>,
    pub(crate) password_regex: Option<regex::Regex>,
}

impl IdentityService {
    /// The database must have been migrated with [`crate::migrations`].
    pub async fn open(database: Database, settings: Settings) -> Result<Arc<Self>> {
        Self::open_with_policy(database, settings, crate::policy::defaults()?).await
    }

    /// As [`IdentityService::open`], with an operator's policy.
    pub async fn open_with_policy(database: Database, settings: Settings, policy: Enforcer) -> Result<Arc<Self>> {
        let password_regex = match &settings.compliance.password_regex {
            None => None,
            Some(text) => Some(regex::Regex::new(text).map_err(|error| {
                Error::invalid("Settings", format!("password_regex cannot be understood: {error}"))
            })?),
        };
        let service = IdentityService {
            hasher: Hasher::new(settings.bcrypt_cost, settings.hashing_threads, settings.hashing_queue),
            token_keys: KeyRepository::open(&settings.token_key_folder(), settings.max_active_keys)?,
            credential_keys: KeyRepository::open(&settings.key_folder.join("credentials"), settings.max_active_keys)?,
            generation: Generation::default(),
            tokens: TokenCache::default(),
            roles: Cached::default(),
            catalog: Cached::default(),
            own: Cached::default(),
            password_regex,
            database,
            settings,
            policy,
        };
        Ok(Arc::new(service))
    }

    /// A new primary key for tokens; tokens of the former keys stay good while their key is kept.
    pub fn rotate_keys(&self) -> Result<()> {
        self.token_keys.rotate()?;
        self.generation.bump();
        Ok(())
    }

    /// Reads the keys again after another process rotated them.
    pub fn reload_keys(&self) -> Result<()> {
        self.token_keys.reload()?;
        self.generation.bump();
        Ok(())
    }

    pub(crate) fn read(&self) -> &DatabaseConnection {
        self.database.read()
    }

    pub(crate) async fn begin(&self) -> Result<Write> {
        Ok(Write { transaction: self.database.begin().await?, generation: self.generation.clone() })
    }

    /// Fails with upstream's 403 unless the policy allows it. `target` is what the rule's `%(…)s` refer to.
    pub(crate) fn enforce(&self, context: &RequestContext, rule: &str, target: &Value) -> Result<()> {
        if !context.elevated {
            context.auth()?;
        }
        if self.policy.allows(context, rule, target) {
            return Ok(());
        }
        Err(not_allowed(rule))
    }
}

pub(crate) fn not_allowed(what: &str) -> Error {
    Error::forbidden("ForbiddenAction", format!("You are not authorized to perform the requested action: {what}."))
}

/// `Could not find user: <id>.`
pub(crate) fn not_found(kind: &str, id: &str) -> Error {
    Error::not_found("NotFound", format!("Could not find {kind}: {id}."))
}

pub(crate) fn conflict(kind: &str, details: impl std::fmt::Display) -> Error {
    Error::conflict("Conflict", format!("Conflict occurred attempting to store {kind} - {details}."))
}

/// Counts changes of the database made by this process.
#[derive(Clone, Default)]
pub(crate) struct Generation(Arc<AtomicU64>);

impl Generation {
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
    pub fn bump(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A write transaction whose commit ends the life of everything cached before it.
pub(crate) struct Write {
    transaction: DatabaseTransaction,
    generation: Generation,
}

impl Write {
    /// Runs on its own task: a client that hangs up between the commit and the bump must not leave stale tokens alive.
    pub async fn commit(self) -> Result<()> {
        let Write { transaction, generation } = self;
        tokio::spawn(async move {
            let result = transaction.commit().await;
            generation.bump();
            result
        })
        .await??;
        Ok(())
    }
}

impl Deref for Write {
    type Target = DatabaseTransaction;
    fn deref(&self) -> &DatabaseTransaction {
        &self.transaction
    }
}

/// One value derived from the database, good for one generation.
pub(crate) struct Cached<T>(Mutex<Option<(u64, Arc<T>)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Cached(Mutex::new(None))
    }
}

impl<T> Cached<T> {
    /// The value, made anew by `load` when the database changed. The generation is read before the database, so a change
    /// in between makes the value useless rather than wrong.
    pub async fn get<F>(&self, generation: &Generation, load: F) -> Result<Arc<T>>
    where
        F: Future<Output = Result<T>>,
    {
        let now = generation.now();
        if let Ok(slot) = self.0.lock()
            && let Some((at, value)) = slot.as_ref()
            && *at == now
        {
            return Ok(value.clone());
        }
        let value = Arc::new(load.await?);
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some((now, value.clone()));
        }
        Ok(value)
    }
}
