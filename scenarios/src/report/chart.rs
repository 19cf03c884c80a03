//! Charts as SVG text: lines over two axes, and bars.

use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ReportError;
use super::style::LineStyle;

/// Width and height in pixels.
const SIZE: (u32, u32) = (720, 320);
/// Most points of a line: more than there are pixels show nothing more.
const POINTS_MAX: usize = 1_000;
const FONT: (&str, i32) = ("sans-serif", 16);
const GREY: RGBColor = RGBColor(90, 90, 90);

/// Lines over two axes that begin at zero.
#[derive(Default)]
pub(super) struct LineChart<'a> {
    /// What the horizontal axis shows, with its unit.
    pub(super) x_label: &'a str,
    /// What the vertical axis shows, with its unit.
    pub(super) y_label: &'a str,
    /// The lines, in the order of [`LineStyle::of`].
    pub(super) lines: Vec<Line>,
    /// A vertical line with what it is.
    pub(super) mark: Option<(f64, String)>,
    /// Where the vertical axis ends at least.
    pub(super) y_min_top: f64,
}

/// A named line.
pub(super) struct Line {
    /// What it is, for the legend.
    pub(super) name: String,
    /// Its points, from left to right.
    pub(super) points: Vec<(f64, f64)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl LineChart<'_> {
    /// The chart as SVG with its legend as HTML behind it, in a box that scrolls on small screens.
    pub(super) fn svg(&self) -> Result<String, ReportError> {
        let mut svg = String::new();
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        self.draw(&root).map_err(ReportError::new)?;
        root.present().map_err(ReportError::new)?;
        drop(root);
        Ok(format!(
            "<div class=\"wide\">{}</div>{}",
            named(&svg, self.y_label, self.x_label),
            self.legend()
        ))
    }

    fn draw(&self, root: &Area<'_>) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let mark = self.mark.as_ref().map_or(0.0, |(x, _)| *x);
        let x_top = all().map(|point| point.0).fold(mark, f64::max).max(1e-9) * 1.02;
        let y_top = all()
            .map(|point| point.1)
            .fold(self.y_min_top, f64::max)
            .max(1e-9)
            * 1.04;
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(root)
            .margin(10)
            .x_label_area_size(48)
            .y_label_area_size(76)
            .build_cartesian_2d(0.0..x_top, 0.0..y_top)?;
        mesh(&mut chart, self.x_label, self.y_label, 8)?;
        for (at, line) in self.lines.iter().enumerate() {
            let LineStyle { colour, dash } = LineStyle::of(at);
            let points = thinned(&line.points);
            let stroke = colour.stroke_width(2);
            if dash.1 == 0 {
                chart.draw_series(LineSeries::new(points, stroke))?;
            } else {
                chart.draw_series(DashedLineSeries::new(points, dash.0, dash.1, stroke))?;
            }
        }
        if let Some((x, name)) = &self.mark {
            let line = vec![(*x, 0.0), (*x, y_top)];
            chart.draw_series(DashedLineSeries::new(line, 4, 4, GREY.stroke_width(1)))?;
            // Nobody is done before a bound, so there is room on its left.
            let (at, side) = if *x > x_top / 4.0 {
                (-6, HPos::Right)
            } else {
                (6, HPos::Left)
            };
            let font = FONT
                .into_font()
                .color(&GREY)
                .pos(Pos::new(side, VPos::Center));
            let label =
                EmptyElement::at((*x, y_top / 2.0)) + Text::new(name.clone(), (at, 0), font);
            chart.draw_series([label])?;
        }
        Ok(())
    }

    fn legend(&self) -> String {
        let entry = |(at, line): (usize, &Line)| {
            format!(
                "<span>{} {}</span>",
                LineStyle::of(at).sample(),
                super::page::escaped(&line.name)
            )
        };
        let entries: String = self.lines.iter().enumerate().map(entry).collect();
        format!("<p class=\"legend\">{entries}</p>")
    }
}

/// Axes and grid.
fn mesh<X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, Y>>,
    x_label: &str,
    y_label: &str,
    x_labels: usize,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .x_desc(x_label)
        .y_desc(y_label)
        .x_labels(x_labels)
        .y_labels(6)
        .x_label_formatter(&|x| number(*x))
        .y_label_formatter(&|y| number(*y))
        .label_style(FONT)
        .axis_desc_style(FONT)
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .draw()
}

/// A number as axes and tables show it: four digits, no zeros behind them.
pub(super) fn number(value: f64) -> String {
    let digits = if value == 0.0 {
        0
    } else {
        (3 - value.abs().log10().floor() as i32).clamp(0, 6)
    };
    let text = format!("{value:.*}", digits as usize);
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = points.len().div_ceil(POINTS_MAX).max(1);
    let mut thin: Vec<(f64, f64)> = points.iter().copied().step_by(step).collect();
    if let (Some(last), Some(kept)) = (points.last(), thin.last())
        && last != kept
    {
        thin.push(*last);
    }
    thin
}

/// One bar for each name, with its number above it, and a line at `level`.
pub(super) fn bars(
    y_label: &str,
    bars: &[(String, f64)],
    level: f64,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    draw_bars(&root, y_label, bars, level).map_err(ReportError::new)?;
    root.present().map_err(ReportError::new)?;
    drop(root);
    let svg = named(&svg, y_label, "class");
    Ok(format!("<div class=\"wide\">{svg}</div>"))
}

fn draw_bars(
    root: &Area<'_>,
    y_label: &str,
    bars: &[(String, f64)],
    level: f64,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let y_top = bars.iter().map(|bar| bar.1).fold(level, f64::max) * 1.15;
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .margin(10)
        .x_label_area_size(34)
        .y_label_area_size(76)
        .build_cartesian_2d(0.0..bars.len() as f64, 0.0..y_top)?;
    mesh(&mut chart, "", y_label, 0)?;
    let centred = FONT
        .into_font()
        .color(&BLACK)
        .pos(Pos::new(HPos::Center, VPos::Bottom));
    let below = FONT
        .into_font()
        .color(&BLACK)
        .pos(Pos::new(HPos::Center, VPos::Top));
    for (at, (name, value)) in bars.iter().enumerate() {
        let (left, middle) = (at as f64 + 0.2, at as f64 + 0.5);
        let colour = LineStyle::of(at).colour;
        let area = [(left, 0.0), (left + 0.6, *value)];
        chart.draw_series([Rectangle::new(area, colour.mix(0.75).filled())])?;
        chart.draw_series([EmptyElement::at((middle, *value))
            + Text::new(number(*value), (0, -4), centred.clone())])?;
        chart.draw_series([
            EmptyElement::at((middle, 0.0)) + Text::new(name.clone(), (0, 6), below.clone())
        ])?;
    }
    let line = vec![(0.0, level), (bars.len() as f64, level)];
    chart.draw_series(DashedLineSeries::new(line, 4, 4, GREY.stroke_width(1)))?;
    Ok(())
}

/// The SVG with a name for those who cannot see it, and a width that fits the page.
fn named(svg: &str, y_label: &str, x_label: &str) -> String {
    let label = super::page::escaped(&format!("{y_label} by {x_label}"));
    svg.replacen(
        "<svg ",
        &format!("<svg role=\"img\" aria-label=\"{label}\" class=\"chart\" "),
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let shown: Vec<String> = [0.0, 0.25, 1.0, 1234.5678, 20_000.0, 0.001_25]
            .map(number)
            .to_vec();
        assert_eq!(shown, ["0", "0.25", "1", "1235", "20000", "0.00125"]);
    }

    #[test]
    fn long_lines_are_thinned_and_keep_their_ends() {
        let points: Vec<(f64, f64)> = (0..12_345).map(|x| (f64::from(x), 1.0)).collect();
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS_MAX + 1);
        assert_eq!((thin.first(), thin.last()), (points.first(), points.last()));
        assert_eq!(thinned(&points[..3]), &points[..3]);
        assert!(thinned(&[]).is_empty());
    }
}
