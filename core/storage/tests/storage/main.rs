//! The public face of dunlin-storage on real files, in one binary.

mod files;
mod full_disk;
mod killed;
mod moves;
mod recheck;
mod resume;
mod support;
