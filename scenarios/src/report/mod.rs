//! Runs as one HTML page that needs nothing else: tables, SVG charts, and the scenario as it was
//! run.

mod chart;
mod compare;
mod page;
mod plots;
mod style;

use std::collections::BTreeSet;

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

/// The page of these runs: how the variants among them compare, then each run.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn html(runs: &[Run]) -> Result<String, ReportError> {
    let title = match runs {
        [run] => run.record.name.clone(),
        _ => "Comparison of runs".to_owned(),
    };
    let body = match runs {
        [run] => heading(&title, &run.scenario.about) + &one(run)?,
        _ => several(&title, runs)?,
    };
    Ok(page::page(&format!("{title} – Dunlin simulation"), &body))
}

fn several(title: &str, runs: &[Run]) -> Result<String, ReportError> {
    let variants = compare::variants(runs);
    let scenarios: BTreeSet<&str> = runs.iter().map(|run| run.record.name.as_str()).collect();
    let about = match (scenarios.len(), runs.first()) {
        (1, Some(run)) => format!("{}: {}", run.record.name, run.scenario.about),
        _ => Vec::from_iter(scenarios).join(", "),
    };
    let mut body = heading(title, &about) + &compare::comparison(&variants)?;
    body += "<h2>Each run</h2>\n";
    let all = || {
        variants
            .iter()
            .flat_map(|variant| variant.runs.iter().map(move |run| (variant, run)))
    };
    for (variant, run) in all().take(SHOWN_RUNS_MAX) {
        let name = format!("{}, seed {}", variant.name, run.record.seed);
        body += &page::folded(&name, &one(run)?);
    }
    if runs.len() > SHOWN_RUNS_MAX {
        let rest = runs.len() - SHOWN_RUNS_MAX;
        body += &format!(
            "<p class=\"note\">{rest} more runs are in the comparison only; report on their folders to see them.</p>\n"
        );
    }
    Ok(body)
}

fn heading(title: &str, about: &str) -> String {
    format!(
        "<h1>{}</h1>\n<p>{}</p>\n",
        page::escaped(title),
        page::escaped(about)
    )
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
    body += &section("Uplinks in use", &plots::utilisation(run)?);
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
        ("Kumar-Ross bound, s", page::seconds(summary.bound_s)),
        ("mean completion / bound", over_bound(summary.times.mean)),
        ("last completion / bound", over_bound(summary.times.last)),
        (
            "uplinks in use, whole run",
            page::percent(summary.utilisation),
        ),
        (
            "uplinks in use, 5 % to 90 % of the run",
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
    let row = |verdict: &crate::summary::Verdict| {
        let (class, met) = if verdict.met {
            ("", "met")
        } else {
            ("bad", "not met")
        };
        let text = page::escaped(&verdict.text);
        format!("<tr><td>{text}</td><td class=\"{class}\">{met}</td></tr>\n")
    };
    let rows: String = verdicts.iter().map(row).collect();
    let head = "<tr><th>expectation of the scenario</th><th></th></tr>";
    let table = format!("<div class=\"wide\"><table>\n{head}\n{rows}</table></div>\n");
    section("What was expected", &table)
}

#[cfg(test)]
mod tests;
