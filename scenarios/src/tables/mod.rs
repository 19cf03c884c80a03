//! A run as a folder of tables for other tools, and back.
//!
//! | file | |
//! |---|---|
//! | `nodes.parquet`, `nodes.csv` | a row per node: [`crate::outcome::NodeOutcome`] |
//! | `series.parquet`, `series.csv` | a row per instant: [`crate::outcome::SeriesRow`] |
//! | `summary.json` | [`crate::summary::Summary`], with what concerns the run as a whole |
//! | `scenario.ron` | the scenario with every default and override written out |

mod convert;
mod run_dir;
mod table;

use std::path::{Path, PathBuf};

pub use run_dir::{Run, find_run, read_run, read_summary, run_name, runs_in, write_run};
pub use table::{Column, Table};

/// Tables that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A CSV file could not be written.
    #[error("{}: {error}", path.display())]
    Csv {
        /// Which.
        path: PathBuf,
        /// Why.
        error: csv::Error,
    },
    /// A Parquet file could not be written or read.
    #[error("{}: {error}", path.display())]
    Parquet {
        /// Which.
        path: PathBuf,
        /// Why.
        error: parquet::errors::ParquetError,
    },
    /// A file is not what a run writes.
    #[error("{}: {message}; was it written by `dunlin sim run --out`?", path.display())]
    NoRun {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

impl TableError {
    fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    fn no_run(path: &Path, message: impl ToString) -> Self {
        Self::NoRun {
            path: path.to_owned(),
            message: message.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
