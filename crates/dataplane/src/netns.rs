//! Named network namespaces, as `ip netns` keeps them: a bind mount under /run/netns.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    sys::statfs::{NSFS_MAGIC, statfs},
};

const DIRECTORY: &str = "/run/netns";
const CURRENT: &str = "/proc/thread-self/ns/net";

/// Tells one namespace from another, also from a later one of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

fn identity_of(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|meta| Identity(meta.dev(), meta.ino()))
}

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// The living namespace of this name; `None` when there is none, or only the file of one that died half made.
pub(crate) fn find(name: &str) -> Option<Identity> {
    let path = path(name);
    let kind = statfs(&path).ok()?.filesystem_type();
    if kind == NSFS_MAGIC { identity_of(&path).ok() } else { None }
}

/// Names of all namespaces on this host.
pub(crate) fn list() -> io::Result<Vec<String>> {
    match fs::read_dir(DIRECTORY) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Moves the calling thread into the namespace at `path`.
pub(crate) fn enter(path: &Path) -> io::Result<Identity> {
    let file = File::open(path)?;
    setns(&file, CloneFlags::CLONE_NEWNET)?;
    identity_of(path)
}

/// Moves the calling thread into the namespace of this name and makes it first when there is none.
/// Returns whether it is new.
pub(crate) fn enter_or_create(name: &str) -> io::Result<(Identity, bool)> {
    if find(name).is_some() {
        return enter(&path(name)).map(|identity| (identity, false));
    }
    prepare_directory()?;
    let path = path(name);
    // A file without a namespace is what a crash between the two next steps leaves.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::create_new(&path)?;
    let made = unshare(CloneFlags::CLONE_NEWNET)
        .and_then(|()| mount(Some(Path::new(CURRENT)), &path, Some("none"), MsFlags::MS_BIND, None::<&str>));
    if let Err(error) = made {
        let _ = fs::remove_file(&path);
        return Err(error.into());
    }
    Ok((identity_of(&path)?, true))
}

/// Makes /run/netns a shared mount, so that namespaces appear in (and vanish from) other mount namespaces too.
fn prepare_directory() -> io::Result<()> {
    fs::create_dir_all(DIRECTORY)?;
    // `ip netns add` takes the same lock.
    let lock = File::open(DIRECTORY)?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
    let share = || mount(Some(""), DIRECTORY, Some("none"), MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>);
    match share() {
        // Not a mount point yet.
        Err(Errno::EINVAL) => {
            mount(Some(DIRECTORY), DIRECTORY, Some("none"), MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?;
            share()?;
        }
        other => other?,
    }
    Ok(())
}

/// Removes the name. The namespace itself dies with its last process, socket and open file. Unknown is success.
pub(crate) fn remove(name: &str) -> io::Result<()> {
    let path = path(name);
    match umount2(&path, MntFlags::MNT_DETACH) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
