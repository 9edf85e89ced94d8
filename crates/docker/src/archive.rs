//! Files in and out of a container as tar.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bollard::{body_full, query_parameters::UploadToContainerOptionsBuilder};
use http_body_util::{BodyExt, Limited};
use sahab_contract::{Error, Kind, Result, container::Archive};

use crate::{
    engine::{Engine, container_name},
    error::{CODE, Mapped, unanswered},
    raw::escape,
};

const STAT_HEADER: &str = "x-docker-container-path-stat";

impl Engine {
    pub(crate) async fn get_archive(&self, id: &str, path: &str, max_size: usize) -> Result<Archive> {
        let target = format!("/containers/{}/archive?path={}", container_name(id)?, escape(path));
        let response = match self.raw.get(&target).await {
            Ok(response) => response,
            Err(error) => return Err(self.missing_path(id, error).await),
        };
        let stat = response
            .headers()
            .get(STAT_HEADER)
            .and_then(|value| STANDARD.decode(value.as_bytes()).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let body = Limited::new(response.into_body(), max_size).collect();
        let tar =
            tokio::time::timeout(self.settings.request_timeout, body).await.map_err(unanswered)?.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    return Error::new(Kind::TooLarge, CODE, format!("the archive is larger than {max_size} bytes"));
                }
                Error::unavailable(CODE, "the container engine ended the archive early")
            })?;
        Ok(Archive { tar: tar.to_bytes().to_vec(), stat })
    }

    pub(crate) async fn put_archive(&self, id: &str, path: &str, tar: Vec<u8>) -> Result<()> {
        let options = UploadToContainerOptionsBuilder::default().path(path).build();
        let sent = self.docker()?.upload_to_container(&container_name(id)?, Some(options), body_full(tar.into())).await;
        match sent.mapped() {
            Ok(()) => Ok(()),
            Err(error) => Err(self.missing_path(id, error).await),
        }
    }

    /// The engine says 404 for a missing path as for a missing container; the former is the caller's bad argument.
    async fn missing_path(&self, id: &str, error: Error) -> Error {
        if !error.is_not_found() {
            return error;
        }
        match self.inspect(id).await {
            Ok(_) => Error::invalid(CODE, error.message()),
            Err(other) => other,
        }
    }
}
