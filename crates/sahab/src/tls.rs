//! TLS for the listeners, from PEM files.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::settings::Server;

/// `None` when no certificate is set.
pub fn load(server: &Server) -> anyhow::Result<Option<Arc<rustls::ServerConfig>>> {
    if server.tls_certificate.is_empty() {
        return Ok(None);
    }
    let certificates = CertificateDer::pem_file_iter(Path::new(&server.tls_certificate))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", server.tls_certificate))?;
    let key = PrivateKeyDer::from_pem_file(Path::new(&server.tls_key))
        .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", server.tls_key))?;
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .context("the TLS certificate and key do not fit")?;
    Ok(Some(Arc::new(config)))
}
