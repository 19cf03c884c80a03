//! Runs as one HTML page that needs nothing else: tables, SVG charts, and the scenario as it was
//! run.

mod chart;
mod page;
mod plots;
mod style;

use crate::tables::Run;

/// Runs that are shown one by one; of more, only the comparison.
const SHOWN_RUNS_MAX: usize = 12;

/// A chart that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a chart cannot be drawn: {0}")]
pub struct ReportError(String);

impl ReportError {
    fn new(error: impl core::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// The page of these runs: what they have in common first, then each.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn html(runs: &[Run]) -> Result<String, ReportError> {
    let names = labels(runs);
    let mut body = match runs {
        [run] => heading(&run.record.name, &run.scenario.about),
        _ => {
            heading("Comparison of runs", &format!("{} runs.", runs.len()))
                + &comparison(runs, &names)?
        }
    };
    for (run, name) in runs.iter().zip(&names).take(SHOWN_RUNS_MAX) {
        if runs.len() > 1 {
            body += &format!(
                "<h2>{}</h2>\n<p>{}</p>\n",
                page::escaped(name),
                page::escaped(&run.scenario.about)
            );
        }
        body += &one(run)?;
    }
    if runs.len() > SHOWN_RUNS_MAX {
        let rest = runs.len() - SHOWN_RUNS_MAX;
        body += &format!(
            "<p class=\"note\">{rest} more runs are in the comparison only; report on their folders to see them.</p>\n"
        );
    }
    let title = match runs {
        [run] => run.record.name.clone(),
        _ => "Comparison of runs".to_owned(),
    };
    Ok(page::page(&format!("{title} – Dunlin simulation"), &body))
}

fn heading(title: &str, about: &str) -> String {
    format!(
        "<h1>{}</h1>\n<p>{}</p>\n",
        page::escaped(title),
        page::escaped(about)
    )
}

/// What tells the runs apart: the scenario, the seed, and the digest where both are alike.
fn labels(runs: &[Run]) -> Vec<String> {
    let short = |run: &Run| format!("{}, seed {}", run.record.name, run.record.seed);
    let label = |run: &Run| {
        let name = short(run);
        let twice = runs.iter().filter(|other| short(other) == name).count() > 1;
        if twice {
            format!("{name} ({})", &run.summary.digest[..8])
        } else {
            name
        }
    };
    runs.iter().map(label).collect()
}

fn comparison(runs: &[Run], names: &[String]) -> Result<String, ReportError> {
    let rows: Vec<_> = names
        .iter()
        .cloned()
        .zip(runs.iter().map(|run| &run.summary))
        .collect();
    let table = page::runs_table(&rows);
    Ok(table
        + &section(
            "Completion times of all leechers",
            &plots::completion_of_runs(runs, names)?,
        ))
}

fn section(title: &str, content: &str) -> String {
    format!("<h3>{}</h3>\n{content}\n", page::escaped(title))
}

/// One run in full.
fn one(run: &Run) -> Result<String, ReportError> {
    let Run {
        record, summary, ..
    } = run;
    let facts = format!(
        "<p class=\"note\">Seed {}, {} nodes, {} s of virtual time in {} ticks, digest {}.</p>\n",
        summary.seed,
        summary.nodes,
        chart::number(summary.virtual_s),
        summary.ticks,
        page::escaped(&summary.digest),
    );
    let mut body = facts + &page::classes_table(summary) + &figures(run) + &verdicts(run);
    body += &section(
        "Completion times by class",
        &plots::completion_by_class(run)?,
    );
    body += &section("Upload utilisation", &plots::utilisation(run)?);
    body += &section("Copies of pieces", &plots::rarity(run)?);
    body += &section("Nodes present", &plots::population(run)?);
    body += &section("Share ratio by class", &plots::share_ratios(run)?);
    let note = "<p class=\"note\">Of the time for which nodes of a class (row) had others unchoked, the share of each class (column).</p>\n";
    let heat = page::heat_map("gives to", &record.classes, &summary.unchoke_s);
    body += &section("Who unchokes whom", &format!("{note}{heat}"));
    body += &section("The rules of each class", &rules(run));
    let scenario = page::escaped(&record.scenario);
    Ok(body
        + &section(
            "The scenario as it was run",
            &format!("<pre>{scenario}</pre>"),
        ))
}

/// Every parameter of the engine in force, one column per class.
fn rules(run: &Run) -> String {
    let classes = &run.scenario.classes;
    let profile = |class| run.scenario.strategy_of(class).effective().to_profile();
    let profiles: Vec<String> = classes.iter().map(profile).collect();
    // All parameters are set in all of them, so their lines are about the same keys.
    let keys = profiles
        .first()
        .map(String::as_str)
        .unwrap_or_default()
        .lines();
    let mut section = "";
    let rows = keys.enumerate().filter_map(|(at, line)| {
        section = line
            .strip_prefix("[engine.")
            .map_or(section, |rest| rest.trim_end_matches(']'));
        let (key, _) = line.split_once(" = ")?;
        let value = |profile: &String| {
            profile
                .lines()
                .nth(at)?
                .split_once(" = ")
                .map(|(_, value)| value.to_owned())
        };
        let mut row = vec![format!("{section}.{key}")];
        row.extend(
            profiles
                .iter()
                .map(|profile| value(profile).unwrap_or_default()),
        );
        Some(row)
    });
    let head: Vec<&str> = ["parameter"]
        .into_iter()
        .chain(classes.iter().map(|class| class.name.as_str()))
        .collect();
    page::table(&head, rows)
}

fn figures(run: &Run) -> String {
    let summary = &run.summary;
    let over_bound = |time: Option<f64>| {
        page::shown(time.zip(summary.bound_s).map(|(time, bound)| time / bound))
    };
    let rows = [
        ("Kumar-Ross bound, s", page::shown(summary.bound_s)),
        ("mean completion / bound", over_bound(summary.times.mean)),
        ("last completion / bound", over_bound(summary.times.last)),
        (
            "upload utilisation, whole run",
            page::percent(summary.utilisation),
        ),
        (
            "upload utilisation, 5 % to 90 % of the run",
            page::percent(summary.utilisation_busy),
        ),
        (
            "Jain index of download rates",
            page::shown(summary.jain_rates),
        ),
        (
            "Jain index of share ratios",
            page::shown(summary.jain_share_ratios),
        ),
        (
            "wasted share of the download",
            page::percent(summary.wasted),
        ),
        ("control bytes over payload", page::percent(summary.control)),
    ];
    page::table(
        &["figure", "value"],
        rows.into_iter()
            .map(|(name, value)| vec![name.to_owned(), value]),
    )
}

fn verdicts(run: &Run) -> String {
    let verdicts = run.summary.verdicts(&run.record, &run.scenario);
    if verdicts.is_empty() {
        return String::new();
    }
    let row = |verdict: crate::summary::Verdict| {
        let met = if verdict.met { "met" } else { "NOT met" };
        vec![verdict.text, met.to_owned()]
    };
    section(
        "What was expected",
        &page::table(&["expectation", ""], verdicts.into_iter().map(row)),
    )
}

#[cfg(test)]
mod tests;
