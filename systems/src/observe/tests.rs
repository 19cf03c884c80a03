mod client;
mod snapshot;
mod why;
