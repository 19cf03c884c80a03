//! How lines are told apart: by colour and by dashes, so that either is enough.

use plotters::style::RGBColor;

/// The colours of Okabe and Ito, which people with any colour vision tell apart; yellow is left
/// out because it is too light on white.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];

/// Lengths of dashes and gaps in pixels; no gap is a solid line.
const DASHES: [(i32, i32); 4] = [(1, 0), (9, 5), (2, 4), (16, 4)];

/// How one line is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LineStyle {
    /// Its colour.
    pub(super) colour: RGBColor,
    /// Its dashes: length and gap.
    pub(super) dash: (i32, i32),
}

impl LineStyle {
    /// The style of the line of this number; no two below 28 are alike.
    pub(super) fn of(number: usize) -> Self {
        Self {
            colour: COLOURS[number % COLOURS.len()],
            dash: DASHES[number % DASHES.len()],
        }
    }

    /// The colour for HTML.
    pub(super) fn css(&self) -> String {
        let RGBColor(red, green, blue) = self.colour;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// A sample of the line for a legend.
    pub(super) fn sample(&self) -> String {
        let (dash, gap) = self.dash;
        let dashes = if gap == 0 {
            String::new()
        } else {
            format!(" stroke-dasharray=\"{dash} {gap}\"")
        };
        let colour = self.css();
        format!(
            "<svg width=\"36\" height=\"8\"><line x1=\"0\" y1=\"4\" x2=\"36\" y2=\"4\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/></svg>"
        )
    }
}
