//! A Fernet key repository: files named by integers, `0` staged, the highest primary (Keystone's layout).
//!
//! Invariants: the folder is 0700 and each file 0600; a key file appears under its name only when it is whole. Used for
//! tokens and, apart, for credentials.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
    time::{Duration, Instant, SystemTime},
};

use fernet::Fernet;
use sahab_contract::{Error, Result};

/// How often the folder is looked at for a rotation by another process.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The keys of a folder, loaded.
pub struct KeyRepository {
    folder: PathBuf,
    max_active: usize,
    keys: RwLock<Arc<Keys>>,
    /// When the folder was last looked at, and its change time then.
    seen: Mutex<(Instant, Option<SystemTime>)>,
}

struct Keys {
    primary: Fernet,
    /// Every key, the primary first, then the newest.
    all: Vec<Fernet>,
}

impl KeyRepository {
    /// Opens the folder, and makes it with keys `0` and `1` when it has none.
    pub fn open(folder: &Path, max_active: usize) -> Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let numbers = numbers(folder)?;
        if !numbers.contains(&0) {
            write_key(folder, 0)?;
        }
        if numbers.iter().all(|number| *number == 0) {
            write_key(folder, 1)?;
        }
        let changed = changed_at(folder);
        let keys = load(folder)?;
        Ok(KeyRepository {
            folder: folder.to_owned(),
            max_active: max_active.max(2),
            keys: RwLock::new(Arc::new(keys)),
            seen: Mutex::new((Instant::now(), changed)),
        })
    }

    /// The staged key becomes the primary, a new one is staged, and the oldest go.
    pub fn rotate(&self) -> Result<()> {
        let mut numbers = numbers(&self.folder)?;
        let next = numbers.iter().max().copied().unwrap_or(0) + 1;
        fs::rename(self.folder.join("0"), self.folder.join(next.to_string()))?;
        write_key(&self.folder, 0)?;
        numbers.retain(|number| *number != 0);
        numbers.push(next);
        numbers.sort_unstable();
        // The staged key counts as one of the active ones.
        while numbers.len() + 1 > self.max_active {
            fs::remove_file(self.folder.join(numbers.remove(0).to_string()))?;
        }
        self.reload()
    }

    /// Loads the keys again if another process rotated them; whether it did. Cheap enough for every request.
    pub fn refresh(&self) -> Result<bool> {
        {
            let mut seen = self.seen.lock().map_err(|_| poisoned())?;
            if seen.0.elapsed() < LOOK_AGAIN {
                return Ok(false);
            }
            let changed = changed_at(&self.folder);
            let same = seen.1 == changed;
            *seen = (Instant::now(), changed);
            if same {
                return Ok(false);
            }
        }
        self.reload()?;
        Ok(true)
    }

    /// Reads the folder again, after somebody else rotated.
    pub fn reload(&self) -> Result<()> {
        let keys = Arc::new(load(&self.folder)?);
        *self.keys.write().map_err(|_| poisoned())? = keys;
        Ok(())
    }

    fn current(&self) -> Result<Arc<Keys>> {
        Ok(self.keys.read().map_err(|_| poisoned())?.clone())
    }

    pub fn encrypt(&self, data: &[u8]) -> Result<String> {
        Ok(self.current()?.primary.encrypt(data))
    }

    /// `None`: made by none of the keys, or changed since.
    pub fn decrypt(&self, token: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.current()?.all.iter().find_map(|key| key.decrypt(token).ok()))
    }
}

fn poisoned() -> Error {
    Error::internal("a thread died while it held the keys")
}

fn changed_at(folder: &Path) -> Option<SystemTime> {
    fs::metadata(folder).and_then(|metadata| metadata.modified()).ok()
}

fn numbers(folder: &Path) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

fn write_key(folder: &Path, number: u64) -> Result<()> {
    let temporary = folder.join(format!(".{number}.new"));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(Fernet::generate_key().as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, folder.join(number.to_string()))?;
    Ok(())
}

fn load(folder: &Path) -> Result<Keys> {
    let mut numbers = numbers(folder)?;
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let mut all = Vec::with_capacity(numbers.len());
    for number in numbers {
        let path = folder.join(number.to_string());
        let text = fs::read_to_string(&path)?;
        match Fernet::new(text.trim()) {
            Some(key) => all.push(key),
            None => return Err(Error::internal(format!("{} holds no key", path.display()))),
        }
    }
    match all.first() {
        Some(primary) => Ok(Keys { primary: primary.clone(), all }),
        None => Err(Error::internal(format!("no key in {}", folder.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_keeps_old_tokens_until_their_key_is_pruned() {
        let folder = tempfile::tempdir().unwrap();
        let repository = KeyRepository::open(folder.path(), 3).unwrap();
        let token = repository.encrypt(b"one").unwrap();
        repository.rotate().unwrap();
        assert_eq!(repository.decrypt(&token).unwrap().unwrap(), b"one");
        assert_eq!(KeyRepository::open(folder.path(), 3).unwrap().decrypt(&token).unwrap().unwrap(), b"one");
        repository.rotate().unwrap();
        assert_eq!(repository.decrypt(&token).unwrap(), None, "0, 2 and 3 are left");
        let mut left = numbers(folder.path()).unwrap();
        left.sort_unstable();
        assert_eq!(left, [0, 2, 3]);
    }

    #[test]
    fn nobody_else_reads_the_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        KeyRepository::open(&path, 3).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        for entry in fs::read_dir(&path).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
