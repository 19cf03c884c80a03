//! `dunlin sim diff`: where two recordings part.

use std::path::PathBuf;

use dunlin_base::EngineTime;
use dunlin_scenarios::recording::{Parting, diff};
use serde_json::json;

use super::super::signals::Interrupts;
use super::super::text::{count, plain, print};
use super::super::{Exit, Failure, Outcome};
use super::replay::{open, secs, stop_on};

/// Rows that are told of.
const ROWS_MAX: usize = 20;

/// Finds the first tick in which two recordings differ, and the tables and rows that do.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 0: they are alike. 1: they differ, or one is damaged.

Example:
  dunlin sim run scenarios/minimal.ron --record a.rec
  dunlin sim run scenarios/minimal.ron --record b.rec --seed 2
  dunlin sim diff a.rec b.rec"
)]
pub(super) struct DiffArgs {
    /// A recording
    #[arg(value_name = "A")]
    left: PathBuf,
    /// Another
    #[arg(value_name = "B")]
    right: PathBuf,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

impl DiffArgs {
    pub(super) fn run(&self) -> Outcome {
        let mut watch = stop_on(Interrupts::catch()?);
        let (left, right) = (open(&self.left)?, open(&self.right)?);
        let difference = diff(left, right, &mut watch).map_err(Failure::failed)?;
        if difference.stopped {
            return Ok(Exit::Interrupted);
        }
        if self.json {
            print(json!({
                "same": difference.parting.is_none(), "same_ticks": difference.same_ticks,
                "parting": difference.parting.as_ref().map(to_json),
            }))?;
        } else {
            print(format_args!(
                "{} alike",
                count(difference.same_ticks, "tick")
            ))?;
            if let Some(parting) = &difference.parting {
                print(in_words(parting))?;
            }
        }
        Ok(match difference.parting {
            None => Exit::Done,
            Some(_) => Exit::Failed,
        })
    }
}

fn to_json(parting: &Parting) -> serde_json::Value {
    let rows: Vec<_> = parting
        .rows
        .iter()
        .map(|row| {
            let digests = row
                .digests
                .map(|digest| digest.map(|d| format!("{d:016x}")));
            json!({"table": row.table, "row": row.row, "digests": digests})
        })
        .collect();
    json!({
        "tick": parting.tick, "at_s": parting.at.map(|at| at.map(secs)), "given": parting.given,
        "not_as_recorded": parting.not_as_recorded, "rows": rows,
    })
}

fn in_words(parting: &Parting) -> String {
    let time = |at: Option<EngineTime>| {
        at.map_or_else(|| "nothing".to_owned(), |at| format!("{:.6} s", secs(at)))
    };
    let [left, right] = parting.at.map(time);
    let mut lines = vec![format!("tick {} differs ({left}, {right})", parting.tick)];
    if let Some([left, right]) = &parting.given {
        lines.push(format!("given A: {}", plain(left)));
        lines.push(format!("given B: {}", plain(right)));
    }
    for (name, tables) in ["A", "B"].iter().zip(&parting.not_as_recorded) {
        if !tables.is_empty() {
            let tables = tables.join(", ");
            lines.push(format!(
                "{name} was recorded with other contents of {tables}"
            ));
        }
    }
    let shown = parting.rows.iter().take(ROWS_MAX);
    lines.extend(shown.map(|row| {
        let [left, right] = row.digests.map(|digest| {
            digest.map_or_else(|| "not there".to_owned(), |digest| format!("{digest:016x}"))
        });
        format!("{:<16} {:<28} {left} {right}", row.table, row.row)
    }));
    if let Some(more) = parting
        .rows
        .len()
        .checked_sub(ROWS_MAX)
        .filter(|more| *more > 0)
    {
        lines.push(format!("and {} more", count(more as u64, "row")));
    }
    lines.join("\n")
}
