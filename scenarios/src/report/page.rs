//! The HTML around the charts.

use super::chart::number;
use crate::summary::{Summary, Times};

/// Text as it may stand in HTML, between tags and in attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
    }
    safe
}

const CSS: &str = "\
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid #ddd }
h3 { font-size: 1rem; margin: 1.6rem 0 .2rem }
table { border-collapse: collapse; margin: .6rem 0 } th, td { padding: .25rem .55rem; border-bottom: 1px solid #e3e3e3; text-align: right }
th { font-weight: 600; background: #f6f6f6 } th:first-child, td:first-child { text-align: left }
.wide { overflow-x: auto } .chart { width: 100%; max-width: 45rem; min-width: 34rem; height: auto }
th { white-space: nowrap } .wide td { white-space: nowrap } .wide td:first-child { white-space: normal; min-width: 8rem }
details { margin: .6rem 0; border: 1px solid #ddd; border-radius: 4px; padding: 0 .8rem } summary { cursor: pointer; padding: .5rem 0; font-weight: 600 }
.bad { color: #a40000; font-weight: 600 }
.legend { margin: 0 0 0 5rem } .legend span { display: inline-block; margin-right: 1.6rem }
.note { color: #555 } pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: 13px }
";

/// A whole page around `body`.
pub(super) fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// A table of texts that are escaped here.
pub(super) fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let cells = |tag: &str, texts: &[String]| -> String {
        texts
            .iter()
            .map(|text| format!("<{tag}>{}</{tag}>", escaped(text)))
            .collect()
    };
    let head: Vec<String> = head.iter().map(|text| (*text).to_owned()).collect();
    let rows: String = rows
        .map(|row| format!("<tr>{}</tr>\n", cells("td", &row)))
        .collect();
    format!(
        "<div class=\"wide\"><table>\n<tr>{}</tr>\n{rows}</table></div>\n",
        cells("th", &head)
    )
}

/// A part of the page that opens when its name is clicked.
pub(super) fn folded(name: &str, body: &str) -> String {
    format!(
        "<details>\n<summary>{}</summary>\n{body}</details>\n",
        escaped(name)
    )
}

/// Seconds, or a dash where there are none.
pub(super) fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |secs| format!("{secs:.1}"))
}

/// A number, or a dash where there is none.
pub(super) fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}

/// A share in percent.
pub(super) fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn times(times: &Times) -> [String; 6] {
    [
        format!("{} of {}", times.completed, times.leechers),
        seconds(times.mean),
        seconds(times.median),
        seconds(times.p95),
        seconds(times.p99),
        seconds(times.last),
    ]
}

const TIMES: [&str; 6] = [
    "complete",
    "mean, s",
    "median, s",
    "p95, s",
    "p99, s",
    "last, s",
];

/// One row for each class and one for all.
pub(super) fn classes_table(summary: &Summary) -> String {
    let head = [&["class", "nodes"], &TIMES[..], &["share ratio", "stalls"]].concat();
    let class_rows = summary.classes.iter().map(|class| {
        let mut row = vec![class.name.clone(), class.nodes.to_string()];
        row.extend(times(&class.times));
        row.extend([shown(class.share_ratio), class.stalls.to_string()]);
        row
    });
    let mut all = vec!["all".to_owned(), summary.nodes.to_string()];
    all.extend(times(&summary.times));
    let stalls: u64 = summary.classes.iter().map(|class| class.stalls).sum();
    all.extend(["–".to_owned(), stalls.to_string()]);
    table(&head, class_rows.chain([all]))
}

/// A heat map as a table: shares of each row's sum, darker where larger, with the number in it.
pub(super) fn heat_map(corner: &str, names: &[String], matrix: &[Vec<f64>]) -> String {
    let head: String = names
        .iter()
        .map(|name| format!("<th>{}</th>", escaped(name)))
        .collect();
    let row = |(name, row): (&String, &Vec<f64>)| {
        let sum: f64 = row.iter().sum();
        let cells: String = row
            .iter()
            .map(|value| heat_cell(if sum > 0.0 { value / sum } else { 0.0 }))
            .collect();
        format!("<tr><th>{}</th>{cells}</tr>\n", escaped(name))
    };
    let rows: String = names.iter().zip(matrix).map(row).collect();
    format!(
        "<div class=\"wide\"><table>\n<tr><th>{}</th>{head}</tr>\n{rows}</table></div>\n",
        escaped(corner)
    )
}

fn heat_cell(share: f64) -> String {
    let text = if share > 0.7 { "#fff" } else { "#1b1b1b" };
    format!(
        "<td style=\"background: rgba(0, 90, 150, {share:.2}); color: {text}\">{:.1} %</td>",
        share * 100.0
    )
}
