//! Fetches a tracker's answer over HTTP or HTTPS: resolves, judges the address, connects to that
//! very address, and follows redirects under the same rules.

use std::io;
use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dunlin_protocol::tracker::{TrackerScheme, TrackerUrl, UrlRefusal};
use hyper::StatusCode;
use percent_encoding::percent_decode_str;
use url::Url;

use super::exchange::{Answer, Ask, ExchangeError, exchange};
use super::outlet::Outlet;
use super::tls::Tls;

/// What we call ourselves.
const USER_AGENT: &str = concat!("Dunlin/", env!("CARGO_PKG_VERSION"));

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Refused(#[from] UrlRefusal),
    #[error("cannot find {host}: {error}")]
    Resolve { host: String, error: io::Error },
    #[error("cannot connect to {host}: {error}")]
    Connect { host: String, error: io::Error },
    #[error("cannot agree on TLS with {host}: {error}")]
    Tls { host: String, error: io::Error },
    #[error("{host}: {error}")]
    Exchange { host: String, error: ExchangeError },
    #[error("{host} redirects to nowhere")]
    NoLocation { host: String },
}

/// What came at the end of the redirects.
pub(super) struct Fetched {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// The HTTP and HTTPS client.
pub(super) struct HttpClient {
    outlet: Outlet,
    tls: Tls,
}

impl HttpClient {
    pub(super) fn new(outlet: Outlet, tls: Tls) -> Self {
        Self { outlet, tls }
    }

    /// Gets what is at a URL.
    pub(super) async fn fetch(&self, url: TrackerUrl) -> Result<Fetched, FetchError> {
        let mut url = url;
        let mut redirected_by = None;
        for hops in 1.. {
            let (answer, from) = self.ask(&url, redirected_by).await?;
            if !follows(answer.status) {
                return Ok(Fetched {
                    status: answer.status,
                    body: answer.body,
                });
            }
            let Some(location) = answer.location else {
                return Err(FetchError::NoLocation {
                    host: url.host().to_owned(),
                });
            };
            url = url.redirected(&location, hops)?;
            redirected_by = Some(from);
        }
        unreachable!("the rules end every chain of redirects")
    }

    /// Asks once; also says which address answered.
    async fn ask(
        &self,
        url: &TrackerUrl,
        redirected_by: Option<IpAddr>,
    ) -> Result<(Answer, IpAddr), FetchError> {
        let host = url.host().to_owned();
        let addresses = resolve(&self.outlet, url, redirected_by).await?;
        let failed = |error| FetchError::Connect {
            host: host.clone(),
            error,
        };
        let stream = self.outlet.connect_any(&addresses).await.map_err(failed)?;
        let from = stream.peer_addr().map_err(failed)?.ip();

        let target = url.url_data();
        let authorization = authorization(url);
        let ask = Ask {
            target: &target,
            host: &authority(url),
            authorization: authorization.as_deref(),
            user_agent: USER_AGENT,
        };
        let answer = if url.scheme() == TrackerScheme::Https {
            let name = host.trim_matches(['[', ']']);
            let stream = self.tls.wrap(stream, name).await;
            let stream = stream.map_err(|error| FetchError::Tls {
                host: host.clone(),
                error,
            })?;
            exchange(stream, ask).await
        } else {
            exchange(stream, ask).await
        };
        let answer = answer.map_err(|error| FetchError::Exchange { host, error })?;
        Ok((answer, from))
    }
}

/// The addresses of a tracker that it may be asked at. No other resolution follows.
pub(super) async fn resolve(
    outlet: &Outlet,
    url: &TrackerUrl,
    redirected_by: Option<IpAddr>,
) -> Result<Vec<SocketAddr>, FetchError> {
    let found = match url.literal_address() {
        Some(ip) => outlet.resolve(&ip.to_string(), url.port()).await,
        None => outlet.resolve(url.host(), url.port()).await,
    };
    let found = found.map_err(|error| FetchError::Resolve {
        host: url.host().to_owned(),
        error,
    })?;
    let check = |ip| match redirected_by {
        Some(from) => url.check_redirected_address(from, ip),
        None => url.check_address(ip),
    };
    let mut refusal = None;
    let mut allowed = found;
    allowed.retain(|addr| check(addr.ip()).map_err(|why| refusal = Some(why)).is_ok());
    match refusal {
        Some(refusal) if allowed.is_empty() => Err(refusal.into()),
        _ => Ok(allowed),
    }
}

/// Whether a status asks to go elsewhere.
fn follows(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Host, and port where it is not the scheme's own.
fn authority(url: &TrackerUrl) -> String {
    let usual = if url.scheme() == TrackerScheme::Https {
        443
    } else {
        80
    };
    match url.port() {
        port if port == usual => url.host().to_owned(),
        port => format!("{}:{port}", url.host()),
    }
}

/// User name and password of a URL as a header's value (RFC 7617).
fn authorization(url: &TrackerUrl) -> Option<String> {
    let url = Url::parse(url.as_http()?).ok()?;
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut words: Vec<u8> = percent_decode_str(url.username()).collect();
    words.push(b':');
    words.extend(percent_decode_str(url.password().unwrap_or_default()));
    Some(format!("Basic {}", BASE64_STANDARD.encode(words)))
}
