//! The state directory: closed to others, used by one process at a time.

use std::{
    fs::{File, OpenOptions, Permissions, TryLockError},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// A command that a killed process had just begun to start holds its lock until the kernel has replaced it.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

pub struct StateDir {
    path: PathBuf,
    /// Held as long as the process runs.
    _lock: File,
}

impl StateDir {
    /// Creates the directory (0700) or closes an existing one, and takes the lock.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("cannot create the state directory {}", path.display()))?;
        std::fs::set_permissions(path, Permissions::from_mode(0o700))
            .with_context(|| format!("cannot close the state directory {}", path.display()))?;
        let lock_file = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_file)?;
        let give_up = Instant::now() + LOCK_PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => std::thread::sleep(LOCK_PATIENCE / 50),
                Err(TryLockError::WouldBlock) => {
                    bail!("another sahab uses {}; stop it first, or choose another --state-dir", path.display())
                }
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        Ok(StateDir { path: path.to_owned(), _lock: lock })
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    /// This cloud's name on what it shares with others, such as Docker: a random id, made at the first use.
    pub fn cloud_id(&self) -> anyhow::Result<String> {
        const NAME: &str = "cloud-id";
        if !self.has(NAME) {
            let bytes: [u8; 16] = rand::random();
            let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            self.write_private(NAME, &id)?;
        }
        let path = self.file(NAME);
        let id = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let id = id.trim();
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("{} is damaged: it must hold 32 hexadecimal digits", path.display());
        }
        Ok(id.to_owned())
    }

    /// A key of 32 random bytes in URL-safe base64 (Fernet's form), made at the first use.
    pub fn key(&self, name: &str) -> anyhow::Result<String> {
        use base64::Engine;
        if !self.has(name) {
            let bytes: [u8; 32] = rand::random();
            self.write_private(name, &base64::engine::general_purpose::URL_SAFE.encode(bytes))?;
        }
        let path = self.file(name);
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Writes a file for the owner only, whole or not at all.
    pub fn write_private(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let target = self.file(name);
        let draft = self.file(&format!(".{name}.new"));
        let _ = std::fs::remove_file(&draft);
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, &target).with_context(|| format!("cannot write {}", target.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_and_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let state = StateDir::open(&path).unwrap();
        state.write_private("openrc", "x").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&state.file("openrc"))), (0o700, 0o600));
        let id = state.cloud_id().unwrap();
        assert!(StateDir::open(&path).is_err(), "a second process must not get in");
        drop(state);
        let state = StateDir::open(&path).unwrap();
        assert_eq!(state.cloud_id().unwrap(), id);
        state.write_private("cloud-id", "$(reboot)").unwrap();
        assert!(state.cloud_id().is_err());
    }
}
