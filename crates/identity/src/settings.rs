//! What an operator can set.

use std::path::PathBuf;

/// Settings of the identity service; defaults are Keystone's.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder that holds `tokens/` and `credentials/`, the two key repositories. Created with mode 0700.
    pub key_folder: PathBuf,
    /// Seconds.
    pub token_lifetime: u64,
    pub max_active_keys: usize,
    /// log2 of the number of rounds; never below 12 outside tests.
    pub bcrypt_cost: u32,
    /// Passwords hashed at the same time.
    pub hashing_threads: usize,
    /// Further logins that may wait for a hash; more are refused at once.
    pub hashing_queue: usize,
    pub compliance: Compliance,
}

/// Security compliance, all off by default (spec section 23).
#[derive(Clone, Debug, Default)]
pub struct Compliance {
    pub lockout_failure_attempts: Option<u32>,
    /// Seconds.
    pub lockout_duration: u64,
    pub password_expires_days: Option<u32>,
    /// How many passwords, the new one included, must differ.
    pub unique_last_password_count: u32,
    pub minimum_password_age_days: u32,
    pub password_regex: Option<String>,
    pub password_regex_description: Option<String>,
    pub change_password_upon_first_use: bool,
}

impl Settings {
    /// Where the keys that sign tokens are.
    pub(crate) fn token_key_folder(&self) -> PathBuf {
        self.key_folder.join("tokens")
    }

    pub fn new(key_folder: impl Into<PathBuf>) -> Self {
        // Half of the processors: a flood of logins leaves the other half to everybody else.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Settings {
            key_folder: key_folder.into(),
            token_lifetime: 3600,
            max_active_keys: 3,
            bcrypt_cost: 12,
            hashing_threads: processors.div_ceil(2),
            hashing_queue: 256,
            compliance: Compliance { lockout_duration: 1800, ..Compliance::default() },
        }
    }
}
