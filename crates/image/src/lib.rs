//! The image service (Glance v2): images, their data, tags, properties and members.
//!
//! Owns the tables `image` and `image_member` and a folder with one file per image that has data. Invariants: an image
//! is `active` only when its file is complete and its checksums are stored; a file without such an image is removed at
//! the next start, and an upload that was cut short leaves the image `queued`.

mod api;
mod db;
mod image;
mod list;
mod member;
mod patch;
mod policy;
mod store;
mod view;

use std::{path::PathBuf, sync::Arc};

use sahab_api::Service;
use sahab_contract::Result;
use sahab_db::Database;
use sahab_policy::Enforcer;

pub use db::migrations;

pub struct Settings {
    /// Folder of the images' data.
    pub folder: PathBuf,
    /// Largest image in bytes.
    pub size_cap: u64,
}

pub struct ImageService {
    database: Database,
    store: store::Store,
    enforcer: Enforcer,
    size_cap: u64,
}

impl ImageService {
    /// Opens the store and takes back what a crash left half done.
    pub async fn open(database: Database, settings: Settings) -> Result<Arc<Self>> {
        let service = Arc::new(ImageService {
            database,
            store: store::Store::open(settings.folder).await?,
            enforcer: Enforcer::new(policy::RULES)?,
            size_cap: settings.size_cap,
        });
        service.recover().await?;
        Ok(service)
    }

    pub fn service(self: &Arc<Self>) -> Service {
        Service { name: "image", port: 9292, family: Arc::new(api::Glance), endpoints: api::table(self.clone()) }
    }
}

#[cfg(test)]
mod tests;
