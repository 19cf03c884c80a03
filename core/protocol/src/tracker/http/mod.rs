//! Trackers over HTTP (BEP 3, 7, 23, 24, 31, 48): queries and bencoded replies, both sides.

mod query;
mod reply;
mod server;
#[cfg(test)]
mod tests;

pub use query::{announce_url, scrape_url};
pub use reply::{
    HttpReplyError, ScrapeReply, parse_announce_reply, parse_scrape_reply, write_announce_reply,
    write_failure, write_scrape_reply,
};
pub use server::{QueryError, parse_announce_query, parse_scrape_query};
