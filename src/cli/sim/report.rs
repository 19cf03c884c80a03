//! `dunlin sim report`: runs as one page.

use std::path::PathBuf;

use dunlin_scenarios::report::html;
use dunlin_scenarios::tables::{read_run, runs_in};

use super::super::text::print;
use super::super::{Exit, Failure, Outcome};

/// Makes one HTML page with plots of the runs in a folder, to be opened in a browser.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// A folder that `sim run --out` or `sim sweep --out` wrote, or one run in it
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Where to write the page; report.html in DIR unless set
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl ReportArgs {
    pub(super) fn run(&self) -> Outcome {
        let folders = runs_in(&self.dir).map_err(Failure::failed)?;
        let runs = folders
            .iter()
            .map(|folder| read_run(folder))
            .collect::<Result<Vec<_>, _>>()
            .map_err(Failure::failed)?;
        let page = html(&runs).map_err(Failure::failed)?;
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| self.dir.join("report.html"));
        std::fs::write(&out, page)
            .map_err(|error| Failure::failed(format_args!("{}: {error}", out.display())))?;
        let runs = match runs.len() {
            1 => "1 run".to_owned(),
            count => format!("{count} runs"),
        };
        print(format_args!("{runs} in {}", out.display()))?;
        Ok(Exit::Done)
    }
}
