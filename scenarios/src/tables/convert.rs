//! Records as tables and tables as records.

use super::table::{Column, Table};
use crate::outcome::{NodeOutcome, RunRecord, SeriesRow};

/// Column names of bytes by sender begin so; the class follows.
const FROM: &str = "down_from_";

/// The table of nodes. Classes go by name.
pub(super) fn nodes(record: &RunRecord) -> Table {
    let whole = |value: fn(&NodeOutcome) -> u64| Column::whole(record.nodes.iter().map(value));
    let some = |value: fn(&NodeOutcome) -> Option<u64>| {
        Column::Integer(record.nodes.iter().map(value).collect())
    };
    let class = |node: &NodeOutcome| {
        record
            .classes
            .get(usize::from(node.class))
            .cloned()
            .unwrap_or_default()
    };
    let ratio = |node: &NodeOutcome| {
        (node.down_bytes > 0).then(|| node.up_bytes as f64 / node.down_bytes as f64)
    };
    let mut table = Table::default();
    table.add("node", whole(|node| node.node.into()));
    table.add(
        "class",
        Column::Text(record.nodes.iter().map(class).collect()),
    );
    table.add("arrived_us", whole(|node| node.arrived_us));
    table.add("first_piece_us", some(|node| node.first_piece_us));
    table.add("half_us", some(|node| node.half_us));
    table.add("completed_us", some(|node| node.completed_us));
    table.add("left_us", some(|node| node.left_us));
    table.add(
        "crashed",
        Column::Flag(record.nodes.iter().map(|node| node.crashed).collect()),
    );
    table.add("down_bytes", whole(|node| node.down_bytes));
    table.add("up_bytes", whole(|node| node.up_bytes));
    table.add(
        "share_ratio",
        Column::Real(record.nodes.iter().map(ratio).collect()),
    );
    table.add("wasted_bytes", whole(|node| node.wasted_bytes));
    table.add("control_bytes_up", whole(|node| node.control_bytes_up));
    table.add("stalls", whole(|node| node.stalls.into()));
    table.add("stalled_us", whole(|node| node.stalled_us));
    for (at, name) in record.classes.iter().enumerate() {
        let bytes = record
            .nodes
            .iter()
            .map(|node| node.down_from_class.get(at).copied().unwrap_or(0));
        table.add(format!("{FROM}{name}"), Column::whole(bytes));
    }
    table
}

/// The table of the time series.
pub(super) fn series(record: &RunRecord) -> Table {
    let whole = |value: fn(&SeriesRow) -> u64| Column::whole(record.series.iter().map(value));
    let mut table = Table::default();
    table.add("at_us", whole(|row| row.at_us));
    table.add("leechers", whole(|row| row.leechers.into()));
    table.add("seeds", whole(|row| row.seeds.into()));
    table.add("connections", whole(|row| row.connections.into()));
    table.add("up_bytes", whole(|row| row.up_bytes));
    table.add("seed_up_bytes", whole(|row| row.seed_up_bytes));
    table.add("up_capacity_bytes", whole(|row| row.up_capacity_bytes));
    table.add("down_bytes", whole(|row| row.down_bytes));
    table.add("rarest_copies", whole(|row| row.rarest_copies.into()));
    table.add("mean_copies_milli", whole(|row| row.mean_copies_milli));
    table.add("most_copies", whole(|row| row.most_copies.into()));
    table
}

/// Reads columns by name and says which one is missing.
struct Columns<'a>(&'a Table);

impl<'a> Columns<'a> {
    fn some(&self, name: &str) -> Result<&'a [Option<u64>], String> {
        match self.0.column(name) {
            Some(Column::Integer(values)) => Ok(values),
            _ => Err(format!("no column of integers {name}")),
        }
    }

    fn whole(&self, name: &str) -> Result<Vec<u64>, String> {
        let present =
            |value: &Option<u64>| value.ok_or_else(|| format!("a value is missing in {name}"));
        self.some(name)?.iter().map(present).collect()
    }

    fn narrow(&self, name: &str) -> Result<Vec<u32>, String> {
        let fits =
            |value: u64| u32::try_from(value).map_err(|_too_large| format!("{value} in {name}"));
        self.whole(name)?.into_iter().map(fits).collect()
    }

    fn classes(&self, classes: &[String]) -> Result<Vec<u16>, String> {
        let Some(Column::Text(names)) = self.0.column("class") else {
            return Err("no column of text class".to_owned());
        };
        let index = |name: &String| {
            let at = classes.iter().position(|known| known == name);
            at.map(|at| at as u16)
                .ok_or_else(|| format!("class {name:?} in no scenario"))
        };
        names.iter().map(index).collect()
    }
}

/// The nodes of a table.
pub(super) fn nodes_from(table: &Table, classes: &[String]) -> Result<Vec<NodeOutcome>, String> {
    let columns = Columns(table);
    let class = columns.classes(classes)?;
    let (node, stalls) = (columns.narrow("node")?, columns.narrow("stalls")?);
    let arrived = columns.whole("arrived_us")?;
    let (first, half) = (columns.some("first_piece_us")?, columns.some("half_us")?);
    let (completed, left) = (columns.some("completed_us")?, columns.some("left_us")?);
    let (down, up) = (columns.whole("down_bytes")?, columns.whole("up_bytes")?);
    let (wasted, control) = (
        columns.whole("wasted_bytes")?,
        columns.whole("control_bytes_up")?,
    );
    let stalled = columns.whole("stalled_us")?;
    let Some(Column::Flag(crashed)) = table.column("crashed") else {
        return Err("no column of flags crashed".to_owned());
    };
    let from: Result<Vec<Vec<u64>>, String> = classes
        .iter()
        .map(|name| columns.whole(&format!("{FROM}{name}")))
        .collect();
    let from = from?;
    let outcome = |at: usize| NodeOutcome {
        node: node[at],
        class: class[at],
        arrived_us: arrived[at],
        first_piece_us: first[at],
        half_us: half[at],
        completed_us: completed[at],
        left_us: left[at],
        crashed: crashed[at],
        down_bytes: down[at],
        up_bytes: up[at],
        wasted_bytes: wasted[at],
        down_from_class: from.iter().map(|column| column[at]).collect(),
        control_bytes_up: control[at],
        stalls: stalls[at],
        stalled_us: stalled[at],
    };
    Ok((0..table.rows()).map(outcome).collect())
}

/// The time series of a table.
pub(super) fn series_from(table: &Table) -> Result<Vec<SeriesRow>, String> {
    let columns = Columns(table);
    let (at_us, leechers, seeds) = (
        columns.whole("at_us")?,
        columns.narrow("leechers")?,
        columns.narrow("seeds")?,
    );
    let (up, capacity) = (
        columns.whole("up_bytes")?,
        columns.whole("up_capacity_bytes")?,
    );
    let seed_up = columns.whole("seed_up_bytes")?;
    let connections = columns.narrow("connections")?;
    let (down, mean) = (
        columns.whole("down_bytes")?,
        columns.whole("mean_copies_milli")?,
    );
    let (rarest, most) = (
        columns.narrow("rarest_copies")?,
        columns.narrow("most_copies")?,
    );
    let row = |at: usize| SeriesRow {
        at_us: at_us[at],
        leechers: leechers[at],
        seeds: seeds[at],
        up_bytes: up[at],
        connections: connections[at],
        seed_up_bytes: seed_up[at],
        up_capacity_bytes: capacity[at],
        down_bytes: down[at],
        rarest_copies: rarest[at],
        mean_copies_milli: mean[at],
        most_copies: most[at],
    };
    Ok((0..table.rows()).map(row).collect())
}
