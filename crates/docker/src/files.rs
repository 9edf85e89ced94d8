//! Injected files: kept on the host, bind-mounted into the container, removed with it.

use std::{io::ErrorKind, os::unix::fs::PermissionsExt, path::PathBuf};

use sahab_contract::{Error, Result, container::ContainerSpec};

use crate::{
    create::Bind,
    engine::{Engine, checked_id},
    error::CODE,
};

impl Engine {
    fn files_dir(&self, id: &str) -> Result<PathBuf> {
        Ok(self.settings.state_dir.join("files").join(checked_id(id)?))
    }

    /// Writes the files of a container; writing them again keeps the inodes, so a running container sees the same.
    pub(crate) async fn write_files(&self, spec: &ContainerSpec) -> Result<Vec<Bind>> {
        if spec.files.is_empty() {
            return Ok(Vec::new());
        }
        let folder = self.files_dir(&spec.id)?;
        private_folder(&folder).await?;
        let mut binds = Vec::with_capacity(spec.files.len());
        for (index, file) in spec.files.iter().enumerate() {
            if !file.destination.starts_with('/') || file.destination.contains('\0') {
                return Err(Error::invalid(CODE, "invalid mount path: the destination of a file must be absolute"));
            }
            let source = folder.join(index.to_string());
            tokio::fs::write(&source, &file.content).await?;
            // Whoever the container runs as must be able to read it, whatever this process's umask is.
            tokio::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o644)).await?;
            binds.push(Bind { source, target: file.destination.clone() });
        }
        Ok(binds)
    }

    pub(crate) async fn remove_files(&self, id: &str) -> Result<()> {
        match tokio::fs::remove_dir_all(self.files_dir(id)?).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// The folder is closed to others; the files in it are mounted by the engine, which is root.
async fn private_folder(path: &std::path::Path) -> Result<()> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    })
    .await??;
    Ok(())
}
