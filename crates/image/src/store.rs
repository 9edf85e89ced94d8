//! The images' data: one file each, written aside and renamed when complete.

use std::path::{Path, PathBuf};

use axum::body::Body;
use futures_util::StreamExt;
use md5::{Digest, Md5};
use sahab_contract::{Error, Kind, Result};
use sha2::Sha512;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom},
    time::{Duration, timeout},
};
use tokio_util::io::ReaderStream;

/// How long a client may pause in the middle of an upload.
const PAUSE: Duration = Duration::from_secs(60);

pub struct Store {
    folder: PathBuf,
}

pub struct Stored {
    pub size: u64,
    pub md5: String,
    pub sha512: String,
}

impl Store {
    pub async fn open(folder: PathBuf) -> Result<Self> {
        tokio::fs::create_dir_all(&folder).await?;
        Ok(Store { folder })
    }

    fn path(&self, id: &str) -> Result<PathBuf> {
        // Ids are ours or checked UUIDs; a separator can still never leave the folder.
        match uuid::Uuid::parse_str(id) {
            Ok(_) => Ok(self.folder.join(id)),
            Err(_) => Err(Error::internal(format!("image id {id:?} is no file name"))),
        }
    }

    /// Streams a body to the image's file, hashing on the way. Nothing stays behind when it fails.
    pub async fn write(&self, id: &str, body: Body, cap: u64) -> Result<Stored> {
        let target = self.path(id)?;
        let draft = target.with_extension("part");
        match copy(body, &draft, cap).await {
            Ok(stored) => {
                tokio::fs::rename(&draft, &target).await?;
                Ok(stored)
            }
            Err(error) => {
                let _ = tokio::fs::remove_file(&draft).await;
                Err(error)
            }
        }
    }

    /// `length` bytes from `start` as a stream.
    pub async fn read(&self, id: &str, start: u64, length: u64) -> Result<Body> {
        let mut file = File::open(self.path(id)?).await?;
        file.seek(SeekFrom::Start(start)).await?;
        Ok(Body::from_stream(ReaderStream::new(file.take(length))))
    }

    pub async fn remove(&self, id: &str) -> Result<()> {
        match tokio::fs::remove_file(self.path(id)?).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Names of all files, drafts included.
    pub async fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut entries = tokio::fs::read_dir(&self.folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    pub async fn remove_name(&self, name: &str) -> Result<()> {
        tokio::fs::remove_file(self.folder.join(name)).await?;
        Ok(())
    }
}

async fn copy(body: Body, draft: &Path, cap: u64) -> Result<Stored> {
    let mut file = File::create(draft).await?;
    let (mut md5, mut sha512, mut size) = (Md5::new(), Sha512::new(), 0u64);
    let mut chunks = body.into_data_stream();
    loop {
        let chunk = match timeout(PAUSE, chunks.next()).await {
            Ok(Some(Ok(chunk))) => chunk,
            Ok(None) => break,
            Ok(Some(Err(_))) | Err(_) => {
                return Err(Error::invalid("", "The upload ended before all of the image was received."));
            }
        };
        size += chunk.len() as u64;
        if size > cap {
            return Err(Error::new(Kind::TooLarge, "", format!("The image is larger than {cap} bytes.")));
        }
        md5.update(&chunk);
        sha512.update(&chunk);
        if let Err(error) = file.write_all(&chunk).await {
            return Err(match error.kind() {
                std::io::ErrorKind::StorageFull => Error::new(Kind::TooLarge, "", "There is not enough disk space."),
                _ => error.into(),
            });
        }
    }
    file.sync_all().await?;
    Ok(Stored { size, md5: hex(&md5.finalize()), sha512: hex(&sha512.finalize()) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
