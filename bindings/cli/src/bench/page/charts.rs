//! Charts: bars, bars of parts, and points over sizes.

use super::svg::{Anchor, COLOURS, Drawing};

/// Pixels: of a label at the left, of the plot, of the value at the right, and of a bar with the gap below it.
const LABEL: f64 = 250.0;
const PLOT: f64 = 520.0;
const VALUE: f64 = 130.0;
const BAR: f64 = 18.0;
const GAP: f64 = 8.0;
/// Height of a plot of points.
const HEIGHT: f64 = 300.0;
/// Height of a line of words.
const WORDS: f64 = 18.0;
/// Pixels of a character, about: the page sets the type.
const CHARACTER: f64 = 6.6;
/// Characters of a label at most.
const LABEL_CHARACTERS: usize = 34;
const AXIS: &str = "#888888";
const GRID: &str = "#dddddd";

/// A value with a name.
pub(super) struct Bar {
    pub(super) label: String,
    /// Which colour it has.
    pub(super) series: usize,
    pub(super) value: f64,
    /// From where to where half of the runs lie.
    pub(super) range: Option<[f64; 2]>,
}

/// How long bars are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    /// From the power of ten at or below the least value on.
    Logarithmic,
}

/// What a chart is called.
pub(super) struct Name<'a> {
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) unit: &'a str,
}

/// One bar below the other.
pub(super) fn bars(name: &Name<'_>, bars: &[Bar], scale: Scale) -> String {
    let mut drawing = Drawing::default();
    let values = bars.iter().flat_map(|bar| [bar.value, bar.range.map_or(bar.value, |[_, upper]| upper)]);
    let axis = Axis::new(values, scale);
    axis.grid(&mut drawing, bars.len() as f64 * (BAR + GAP));
    for (place, bar) in bars.iter().enumerate() {
        let y = place as f64 * (BAR + GAP);
        label(&mut drawing, y, &bar.label);
        let told = format!("{}: {} {}", bar.label, number(bar.value), name.unit);
        let length = axis.place(bar.value);
        drawing.mark([LABEL, y], [length, BAR], COLOURS[bar.series % COLOURS.len()], &told);
        let mut end = length;
        if let Some([lower, upper]) = bar.range {
            let [lower, upper] = [lower, upper].map(|value| LABEL + axis.place(value));
            drawing.line([lower, y + BAR / 2.0], [upper, y + BAR / 2.0], "#000000");
            [lower, upper].iter().for_each(|x| drawing.line([*x, y + 5.0], [*x, y + BAR - 5.0], "#000000"));
            end = end.max(upper - LABEL);
        }
        let shown = format!("{} {}", number(bar.value), name.unit);
        drawing.text([LABEL + end + 6.0, y + BAR - 4.0], Anchor::Start, &shown);
    }
    drawing.finish(name.id, name.title, LABEL + PLOT + VALUE)
}

/// A bar of parts, and what the parts are called.
pub(super) struct Parts {
    pub(super) label: String,
    pub(super) parts: Vec<(String, f64)>,
}

/// One bar of parts below the other; a part has the same colour in all.
pub(super) fn parts(name: &Name<'_>, rows: &[Parts]) -> String {
    let mut drawing = Drawing::default();
    let mut names: Vec<&str> = Vec::new();
    for (part, _) in rows.iter().flat_map(|row| &row.parts) {
        if !names.contains(&part.as_str()) {
            names.push(part);
        }
    }
    let top = legend(&mut drawing, &names);
    let total = |row: &Parts| row.parts.iter().map(|(_, value)| value).sum::<f64>();
    let axis = Axis::new(rows.iter().map(total), Scale::Linear);
    for (place, row) in rows.iter().enumerate() {
        let (y, mut from) = (top + place as f64 * (BAR + GAP), 0.0);
        label(&mut drawing, y, &row.label);
        for (part, value) in &row.parts {
            let series = names.iter().position(|name| name == part).unwrap_or(0);
            let told = format!("{}, {part}: {} {}", row.label, number(*value), name.unit);
            let [left, right] = [from, from + value].map(|value| LABEL + axis.place(value));
            drawing.mark([left, y], [right - left, BAR], COLOURS[series % COLOURS.len()], &told);
            from += value;
        }
        let shown = format!("{} {}", number(from), name.unit);
        drawing.text([LABEL + axis.place(from) + 6.0, y + BAR - 4.0], Anchor::Start, &shown);
    }
    drawing.finish(name.id, name.title, LABEL + PLOT + VALUE)
}

/// Points over sizes.
pub(super) struct Series {
    pub(super) name: String,
    /// Rings instead of dots.
    pub(super) estimated: bool,
    /// Which colour it has.
    pub(super) colour: usize,
    /// Size, value, and what the point is.
    pub(super) points: Vec<(f64, f64, String)>,
}

/// Values over sizes, both by powers of ten.
pub(super) fn points(name: &Name<'_>, sizes: &str, all: &[Series]) -> String {
    let mut drawing = Drawing::default();
    let shown: Vec<String> = all
        .iter()
        .map(|series| format!("{}{}", series.name, if series.estimated { " (estimate)" } else { "" }))
        .collect();
    let top = 30.0;
    let across = Axis::new(all.iter().flat_map(|series| &series.points).map(|(x, _, _)| *x), Scale::Logarithmic);
    let up = Axis::new(all.iter().flat_map(|series| &series.points).map(|(_, y, _)| *y), Scale::Logarithmic);
    let place = |x: f64, y: f64| [90.0 + across.place(x), top + HEIGHT * (1.0 - up.place(y) / PLOT)];
    for tick in up.ticks() {
        let [_, y] = place(across.from, tick);
        drawing.line([90.0, y], [90.0 + PLOT, y], GRID);
        drawing.text([84.0, y + 4.0], Anchor::End, &number(tick));
    }
    for tick in across.ticks() {
        let [x, y] = place(tick, up.from);
        drawing.line([x, top], [x, y], GRID);
        drawing.text([x, y + 16.0], Anchor::Middle, &number(tick));
    }
    drawing.line([90.0, top], [90.0, top + HEIGHT], AXIS);
    drawing.line([90.0, top + HEIGHT], [90.0 + PLOT, top + HEIGHT], AXIS);
    drawing.text([84.0, 16.0], Anchor::End, name.unit);
    drawing.text([90.0 + PLOT / 2.0, top + HEIGHT + 34.0], Anchor::Middle, sizes);
    for (order, (series, shown)) in all.iter().zip(&shown).enumerate() {
        let colour = COLOURS[series.colour % COLOURS.len()];
        let mut points: Vec<&(f64, f64, String)> = series.points.iter().collect();
        points.sort_by(|one, two| one.0.total_cmp(&two.0));
        if !series.estimated {
            drawing.path(&points.iter().map(|(x, y, _)| place(*x, *y)).collect::<Vec<_>>(), colour);
        }
        for (x, y, what) in points {
            let told = format!("{what}, {shown}: {} {}", number(*y), name.unit);
            drawing.dot(place(*x, *y), colour, !series.estimated, &told);
        }
        let y = top + order as f64 * WORDS;
        drawing.dot([110.0 + PLOT, y], colour, !series.estimated, shown);
        drawing.text([122.0 + PLOT, y + 4.0], Anchor::Start, shown);
    }
    drawing.finish(name.id, name.title, LABEL + PLOT + VALUE)
}

/// The scale of a plot, from its beginning to its end.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, scale: Scale) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).collect();
        let [least, greatest] = [values.iter().copied().reduce(f64::min), values.iter().copied().reduce(f64::max)];
        let [least, greatest] = [least, greatest].map(|value| value.unwrap_or(1.0));
        match scale {
            Scale::Linear => Self { scale, from: 0.0, to: greatest },
            Scale::Logarithmic => {
                let power = |value: f64| 10f64.powf(value);
                // A value on a power of ten still has some length.
                let from = power((least.log10() - 0.05).floor());
                Self { scale, from, to: power((greatest / from).log10().ceil().max(1.0)) * from }
            }
        }
    }

    /// Pixels from the beginning.
    fn place(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => value / self.to,
            Scale::Logarithmic => (value / self.from).log10() / (self.to / self.from).log10(),
        };
        PLOT * if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Powers of ten, or quarters.
    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => (0..=4).map(|quarter| self.to * f64::from(quarter) / 4.0).collect(),
            Scale::Logarithmic => {
                let decades = (self.to / self.from).log10().round() as i32;
                (0..=decades).map(|decade| self.from * 10f64.powi(decade)).collect()
            }
        }
    }

    /// Lines down a chart of bars; with their values where lengths do not tell by themselves.
    fn grid(&self, drawing: &mut Drawing, height: f64) {
        for tick in self.ticks() {
            let x = LABEL + self.place(tick);
            drawing.line([x, 0.0], [x, height], GRID);
            drawing.text([x, height + 14.0], Anchor::Middle, &number(tick));
        }
    }
}

/// The name of a bar, cut where it is long.
fn label(drawing: &mut Drawing, y: f64, text: &str) {
    let mut shown: String = text.chars().take(LABEL_CHARACTERS).collect();
    if text.chars().nth(LABEL_CHARACTERS).is_some() {
        shown.push('…');
    }
    drawing.text([LABEL - 6.0, y + BAR - 4.0], Anchor::End, &shown);
}

/// What the colours mean; how far down it reaches.
fn legend(drawing: &mut Drawing, names: &[&str]) -> f64 {
    let (mut x, mut y) = (LABEL, 0.0);
    for (series, name) in names.iter().enumerate() {
        let width = 26.0 + CHARACTER * name.chars().count() as f64;
        if x + width > LABEL + PLOT + VALUE {
            (x, y) = (LABEL, y + WORDS);
        }
        drawing.mark([x, y + 2.0], [10.0, 10.0], COLOURS[series % COLOURS.len()], name);
        drawing.text([x + 14.0, y + 11.0], Anchor::Start, name);
        x += width;
    }
    y + WORDS + GAP
}

/// A number with three digits that say something.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 1e6 => {
            format!("{:.3}e{}", value / 10f64.powf(size.log10().floor()), size.log10().floor()).replace(".000e", "e")
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}").trim_end_matches(".0").into(),
        size if size >= 0.1 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').into(),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name<'_> = Name { id: "a", title: "b", unit: "ms" };

    #[test]
    fn numbers_are_short() {
        for (value, text) in [(0.0, "0"), (1234.5, "1234"), (12.0, "12"), (0.25, "0.25"), (1.0, "1"), (2e7, "2e7")] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |value| Bar { label: "x".into(), series: 0, value, range: None };
        let svg = bars(&NAME, &[bar(10.0), bar(5.0)], Scale::Linear);
        assert!(svg.contains("width=\"520.0\"") && svg.contains("width=\"260.0\""), "{svg}");
        let svg = bars(&NAME, &[bar(100.0), bar(10.0)], Scale::Logarithmic);
        assert!(svg.contains("width=\"520.0\"") && svg.contains("width=\"260.0\""), "{svg}");
    }

    #[test]
    fn parts_follow_each_other_and_keep_their_colour() {
        let row = |parts: &[(&str, f64)]| Parts {
            label: "r".into(),
            parts: parts.iter().map(|(name, value)| ((*name).into(), *value)).collect(),
        };
        let svg = parts(&NAME, &[row(&[("a", 1.0), ("b", 3.0)]), row(&[("b", 4.0)])]);
        assert!(svg.contains("x=\"380.0\" y=\"26.0\" width=\"390.0\""), "{svg}");
        assert_eq!(svg.matches(COLOURS[1]).count(), 3, "twice, and in the legend: {svg}");
    }

    #[test]
    fn nothing_to_draw_and_odd_values_are_drawn_within_the_plot() {
        assert!(bars(&NAME, &[], Scale::Logarithmic).contains("</svg>"));
        let odd = [0.0, f64::NAN, f64::INFINITY, -1.0];
        let all: Vec<Bar> = odd.map(|value| Bar { label: String::new(), series: 0, value, range: None }).into();
        let svg = bars(&NAME, &all, Scale::Linear);
        assert_eq!(svg.matches("class=\"mark\"").count(), 4);
    }
}
