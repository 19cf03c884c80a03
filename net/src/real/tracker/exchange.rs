//! One HTTP request over one connection: what is sent, and how much of an answer is taken.

use std::io::Read as _;

use dunlin_base::limits::TRACKER_REPLY_BYTES_MAX;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, HOST, LOCATION,
    USER_AGENT,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// Most bytes of header lines that an answer may have.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Most header lines that an answer may have.
const HEADERS_MAX: usize = 100;

/// What is asked for.
pub(super) struct Ask<'a> {
    /// Path and query.
    pub(super) target: &'a str,
    /// Host, and port unless it is the usual one.
    pub(super) host: &'a str,
    /// The value of the `Authorization` header.
    pub(super) authorization: Option<&'a str>,
    /// What we call ourselves.
    pub(super) user_agent: &'a str,
}

/// An answer with its body, inflated.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Where a redirect points to.
    pub(super) location: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Why there is no usable answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error("its answer is larger than {TRACKER_REPLY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("its answer is compressed in a way that was not asked for: {0}")]
    UnknownEncoding(String),
    #[error("its answer is not valid gzip: {0}")]
    BadGzip(std::io::Error),
    #[error("it does not speak HTTP as expected: {0}")]
    Http(#[from] hyper::Error),
    #[error("its address cannot be sent in a request: {0}")]
    Request(#[from] hyper::http::Error),
}

/// Sends one request and reads its answer; the connection is not used again.
pub(super) async fn exchange<S>(stream: S, ask: Ask<'_>) -> Result<Answer, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut request = Request::get(ask.target)
        .header(HOST, ask.host)
        .header(USER_AGENT, ask.user_agent)
        .header(ACCEPT, "*/*")
        .header(ACCEPT_ENCODING, "gzip")
        .header(CONNECTION, "close");
    if let Some(authorization) = ask.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new())?;

    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let answer = async {
        let response = sender.send_request(request).await?;
        read_answer(response).await
    };
    tokio::pin!(answer, connection);
    // The answer needs the connection to be driven; when that ends first, the rest of the answer
    // is already in memory.
    tokio::select! {
        answer = &mut answer => answer,
        ended = &mut connection => match answer.await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(ended.err().map_or(error, ExchangeError::Http)),
        },
    }
}

async fn read_answer(response: Response<Incoming>) -> Result<Answer, ExchangeError> {
    let (head, mut body) = response.into_parts();
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let location = text(LOCATION).map(str::to_owned);
    let mut answer = Answer {
        status: head.status,
        location,
        body: Vec::new(),
    };
    if head.status.is_redirection() {
        return Ok(answer);
    }
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if answer.body.len() + data.len() > TRACKER_REPLY_BYTES_MAX {
            return Err(ExchangeError::TooLarge);
        }
        answer.body.extend_from_slice(&data);
    }
    match text(CONTENT_ENCODING)
        .map(|name| name.trim().to_ascii_lowercase())
        .as_deref()
    {
        None | Some("" | "identity") => {}
        Some("gzip" | "x-gzip") => answer.body = inflate(&answer.body)?,
        Some(other) => {
            return Err(ExchangeError::UnknownEncoding(
                other.chars().take(32).collect(),
            ));
        }
    }
    Ok(answer)
}

/// Unpacks gzip, but never more than a reply may have.
fn inflate(packed: &[u8]) -> Result<Vec<u8>, ExchangeError> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(packed)
        .take(TRACKER_REPLY_BYTES_MAX as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(ExchangeError::BadGzip)?;
    if plain.len() > TRACKER_REPLY_BYTES_MAX {
        return Err(ExchangeError::TooLarge);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_unpacks_up_to_the_limit() {
        assert_eq!(
            inflate(&gzip(b"d8:intervali60ee")).unwrap(),
            b"d8:intervali60ee"
        );
        let largest = vec![0; TRACKER_REPLY_BYTES_MAX];
        assert_eq!(inflate(&gzip(&largest)).unwrap(), largest);
        let bomb = gzip(&vec![0; TRACKER_REPLY_BYTES_MAX + 1]);
        assert!(bomb.len() < 2000);
        assert!(matches!(inflate(&bomb), Err(ExchangeError::TooLarge)));
        assert!(matches!(
            inflate(b"not gzip at all"),
            Err(ExchangeError::BadGzip(_))
        ));
        assert!(matches!(
            inflate(&gzip(b"cut")[..12]),
            Err(ExchangeError::BadGzip(_))
        ));
    }
}
