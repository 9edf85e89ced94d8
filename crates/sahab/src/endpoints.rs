//! `sahab endpoints`: the endpoint table, from the services themselves. What walks every endpoint starts from here.

use std::fmt::Write;

use crate::{
    cloud::{Services, fault},
    settings::Settings,
    state::StateDir,
};

/// One line an endpoint: service, method, path below the service's root, `open` (no token needed) or `token`.
///
/// The services need a database and keys, not a host: they are made in a folder of their own that goes again.
pub async fn table(mut settings: Settings) -> anyhow::Result<String> {
    let folder = std::env::temp_dir().join(format!("sahab-endpoints-{:032x}", rand::random::<u128>()));
    settings.state.dir.clone_from(&folder);
    let services = match StateDir::open(&folder) {
        Ok(state) => Services::open(&settings, &state).await,
        Err(error) => Err(error),
    };
    let rows = services.map(|services| services.dispatcher.endpoints());
    std::fs::remove_dir_all(&folder).map_err(|error| fault(error.into()))?;
    let mut text = String::new();
    for (service, method, path, open) in rows? {
        writeln!(text, "{service} {method} {path} {}", if open { "open" } else { "token" })?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Loaded;

    #[tokio::test]
    async fn every_service_is_there() {
        let settings = Loaded::load(None, std::iter::empty(), &[]).unwrap().settings;
        let text = table(settings).await.unwrap();
        for row in [
            "identity POST /v3/auth/tokens open",
            "image GET /v2/images token",
            "network GET /v2.0/networks token",
            "container POST /v1/containers token",
            "orchestration GET /v1/{tenant}/stacks token",
        ] {
            assert!(text.lines().any(|line| line == row), "{row} is not in\n{text}");
        }
    }
}
