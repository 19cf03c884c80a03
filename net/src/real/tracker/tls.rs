//! TLS to trackers: certificates are always verified.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Connects with TLS. What it needs is loaded when the first `https` tracker is asked.
#[derive(Default)]
pub(super) struct Tls {
    connector: OnceLock<TlsConnector>,
}

impl Tls {
    /// Trusts these authorities only, instead of the system's.
    #[cfg(test)]
    pub(super) fn trusting(roots: RootCertStore) -> io::Result<Self> {
        Ok(Self {
            connector: OnceLock::from(connector(roots)?),
        })
    }

    pub(super) async fn wrap(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        self.connector()?.connect(name, stream).await
    }

    fn connector(&self) -> io::Result<&TlsConnector> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector);
        }
        let made = connector(roots())?;
        Ok(self.connector.get_or_init(|| made))
    }
}

/// The authorities that this system trusts, or Mozilla's list where a system has none (a bare
/// container).
fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!("cannot read a certificate of the system: {error}");
    }
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "certificates of the system");
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn connector(roots: RootCertStore) -> io::Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
