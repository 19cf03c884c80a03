//! What people do with the program every day, with the program itself and nobody else's: a
//! tracker of one's own, a download and its progress, magnet links, settings that change while it runs.

mod magnet;
mod settings;
mod tracker;
mod transfer;

#[path = "../support/program.rs"]
mod program;
