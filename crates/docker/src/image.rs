//! Images: made present by policy, listed, searched, removed.

use std::time::{Duration, Instant};

use bollard::{
    auth::DockerCredentials,
    models::CreateImageInfo,
    query_parameters::{
        CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder, SearchImagesOptionsBuilder,
    },
};
use futures_util::StreamExt;
use sahab_contract::{
    Error, Result,
    container::{ImageFound, ImageInfo, PullPolicy, RegistryLogin},
};

use crate::{
    engine::Engine,
    error::{CODE, Mapped},
    reference::Reference,
};

const PROGRESS_EVERY: Duration = Duration::from_millis(500);
const SEARCH_LIMIT: i32 = 100;

impl Engine {
    pub(crate) async fn pull(
        &self,
        text: &str,
        policy: PullPolicy,
        login: Option<&RegistryLogin>,
        progress: &(dyn Fn(String) + Send + Sync),
    ) -> Result<ImageInfo> {
        let reference = Reference::parse(text)?;
        if policy != PullPolicy::Always
            && let Some(found) = self.image(&reference).await?
        {
            return Ok(found);
        }
        if policy == PullPolicy::Never {
            let message = format!("Image {} not present with pull policy of Never", reference.repository);
            return Err(Error::not_found(CODE, message));
        }
        let options =
            CreateImageOptionsBuilder::default().from_image(&reference.repository).tag(&reference.tag).build();
        let credentials = login.map(|login| DockerCredentials {
            username: Some(login.username.clone()),
            password: Some(login.password.clone()),
            serveraddress: Some(login.server.clone()),
            ..Default::default()
        });
        let mut lines = self.docker()?.create_image(Some(options), None, credentials);
        let mut last: Option<Instant> = None;
        // A failure may come as a line of a stream that began with 200: read it to the end.
        while let Some(line) = lines.next().await {
            let line = line.mapped()?;
            let moving = line.progress_detail.as_ref().is_some_and(|detail| detail.current.is_some());
            if moving && last.is_some_and(|at| at.elapsed() < PROGRESS_EVERY) {
                continue;
            }
            if let Some(text) = progress_line(&line) {
                last = Some(Instant::now());
                progress(text);
            }
        }
        self.image(&reference)
            .await?
            .ok_or_else(|| Error::not_found(CODE, format!("No such image: {}", reference.full())))
    }

    async fn image(&self, reference: &Reference) -> Result<Option<ImageInfo>> {
        let found = self.docker()?.inspect_image(&reference.full()).await.unless(404)?;
        Ok(found.map(|image| ImageInfo {
            id: image.id.unwrap_or_default(),
            repo: reference.repository.clone(),
            tag: reference.tag.clone(),
            size: image.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
        }))
    }

    pub(crate) async fn images(&self) -> Result<Vec<ImageInfo>> {
        let options = ListImagesOptionsBuilder::default().build();
        let mut images = Vec::new();
        for image in self.docker()?.list_images(Some(options)).await.mapped()? {
            for tag in &image.repo_tags {
                // What lost its name shows as `<none>:<none>`.
                let Ok(reference) = Reference::parse(tag) else { continue };
                images.push(ImageInfo {
                    id: image.id.clone(),
                    repo: reference.repository,
                    tag: reference.tag,
                    size: u64::try_from(image.size).unwrap_or_default(),
                });
            }
        }
        Ok(images)
    }

    /// Unknown is success; in use is a conflict.
    pub(crate) async fn remove_image(&self, text: &str) -> Result<()> {
        let name = Reference::parse(text)?.full();
        let options = RemoveImageOptionsBuilder::default().build();
        self.docker()?.remove_image(&name, Some(options), None).await.unless(404).map(|_| ())
    }

    pub(crate) async fn search(&self, term: &str) -> Result<Vec<ImageFound>> {
        let options = SearchImagesOptionsBuilder::default().term(term).limit(SEARCH_LIMIT).build();
        let found = self.docker()?.search_images(options).await.mapped()?;
        Ok(found
            .into_iter()
            .map(|item| ImageFound {
                name: item.name.unwrap_or_default(),
                description: item.description.unwrap_or_default(),
                official: item.is_official.unwrap_or_default(),
                stars: item.star_count.unwrap_or_default(),
            })
            .collect())
    }
}

fn progress_line(line: &CreateImageInfo) -> Option<String> {
    let status = line.status.as_deref().filter(|text| !text.is_empty())?;
    let mut text = match line.id.as_deref().filter(|id| !id.is_empty()) {
        Some(id) => format!("{id}: {status}"),
        None => status.to_owned(),
    };
    if let Some(detail) = &line.progress_detail
        && let (Some(current), Some(total)) = (detail.current, detail.total)
    {
        text.push_str(&format!(" {current}/{total}"));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn progress_reads_like_the_command_line() {
        let line = CreateImageInfo {
            id: Some("abc".into()),
            status: Some("Downloading".into()),
            progress_detail: Some(ProgressDetail { current: Some(1), total: Some(4) }),
            ..Default::default()
        };
        assert_eq!(progress_line(&line).unwrap(), "abc: Downloading 1/4");
        assert_eq!(progress_line(&CreateImageInfo::default()), None);
    }
}
