//! Kernel parameters of the calling thread's network namespace. Only a namespace's own thread may call this.

use std::{fs, io};

use sahab_contract::{Error, Result};

use crate::worker::Namespace;

const ROOT: &str = "/proc/sys/net";

/// Writes the parameter unless it has the value already. `key` is a path below `net`, such as `ipv4/ip_forward`.
pub(crate) fn set(namespace: &Namespace, key: &str, value: &str) -> Result<()> {
    let path = format!("{ROOT}/{key}");
    let current = fs::read_to_string(&path).map_err(|error| explain(key, error))?;
    if current.trim() == value {
        return Ok(());
    }
    namespace.count();
    fs::write(&path, value).map_err(|error| explain(key, error))
}

/// As [`set`], for parameters that some kernels lack without harm.
pub(crate) fn set_if_present(namespace: &Namespace, key: &str, value: &str) -> Result<()> {
    if fs::exists(format!("{ROOT}/{key}")).unwrap_or(false) { set(namespace, key, value) } else { Ok(()) }
}

fn explain(key: &str, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::unavailable(
            "KernelFeatureMissing",
            format!("the kernel has no parameter net/{key}; see 'sahab doctor'"),
        );
    }
    Error::internal(format!("cannot set net/{key}: {error}")).with_source(error)
}
