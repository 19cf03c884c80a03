//! Answers announces and scrapes over HTTP.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dunlin_protocol::tracker::http::{
    ScrapeReply, parse_announce_query, parse_scrape_query, write_announce_reply, write_failure,
    write_scrape_reply,
};
use dunlin_protocol::tracker::{Retry, TrackerFailure};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::swarms::Families;
use super::{State, log_announce};

/// Most bytes of a request.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// How long a client may take to send a request, or be idle between two.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may last at all.
const CONNECTION_PATIENCE: Duration = Duration::from_secs(120);
/// Pause after a connection could not be accepted, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts and serves connections until the runtime ends.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let places = Arc::new(Semaphore::new(
        state.options.connections_max.min(Semaphore::MAX_PERMITS),
    ));
    loop {
        // Nobody closes the semaphore, so this waits for a place at most.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, from)) => {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    serve_connection(stream, from.ip(), state).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, from: IpAddr, state: Arc<State>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(&request, from, &state);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_PATIENCE)
        .max_buf_size(REQUEST_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_PATIENCE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("connection of {from}: {error}"),
        Err(_) => tracing::debug!("connection of {from} lasted too long"),
    }
}

fn respond(request: &Request<Incoming>, from: IpAddr, state: &State) -> Response<Full<Bytes>> {
    let query = request.uri().query().unwrap_or_default();
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/announce") => (StatusCode::OK, announce(query, from, state)),
        (&Method::GET, "/scrape") => (StatusCode::OK, scrape(query, from, state)),
        (&Method::GET, "/") => {
            let stats = state.stats();
            let text = format!(
                "A Dunlin tracker: {} peers in {} swarms.\n",
                stats.peers, stats.torrents
            );
            (StatusCode::OK, text.into_bytes())
        }
        (&Method::GET, _) => (
            StatusCode::NOT_FOUND,
            b"Announces go to /announce.\n".to_vec(),
        ),
        _ => (StatusCode::METHOD_NOT_ALLOWED, Vec::new()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

fn announce(query: &str, from: IpAddr, state: &State) -> Vec<u8> {
    let request = match parse_announce_query(query) {
        Ok(request) => request,
        Err(error) => {
            tracing::debug!(protocol = "http", %from, why = %error, "announce not understood");
            return refuse(error.to_string(), state);
        }
    };
    let reply = state
        .swarms()
        .announce(&request, from, Families::Both, state.now());
    log_announce("http", from, &request, &reply);
    match reply {
        Ok(reply) => {
            state.announces.fetch_add(1, Ordering::Relaxed);
            write_announce_reply(&reply, request.compact)
        }
        Err(error) => refuse(error.to_string(), state),
    }
}

fn scrape(query: &str, from: IpAddr, state: &State) -> Vec<u8> {
    match parse_scrape_query(query) {
        // Who asks for every swarm at once gets to know none.
        Ok(hashes) if hashes.is_empty() => refuse("info_hash is missing".to_owned(), state),
        Ok(hashes) => {
            tracing::debug!(protocol = "http", %from, swarms = hashes.len(), "scrape answered");
            state.scrapes.fetch_add(1, Ordering::Relaxed);
            let swarms = state.swarms();
            let known = hashes
                .into_iter()
                .map(|hash| (hash, swarms.counts(hash)))
                .collect();
            write_scrape_reply(&ScrapeReply {
                swarms: known,
                min_request_interval_secs: None,
            })
        }
        Err(error) => refuse(error.to_string(), state),
    }
}

fn refuse(reason: String, state: &State) -> Vec<u8> {
    state.refused.fetch_add(1, Ordering::Relaxed);
    write_failure(&TrackerFailure {
        reason,
        retry: Retry::Unspecified,
    })
}
