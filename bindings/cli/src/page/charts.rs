//! Charts: bars, bars of parts, and points over sizes. Bars are elements whose widths are parts of the page's, so that
//! they fit any; points are a drawing that grows and shrinks.

use std::fmt::Write as _;

use super::Escaped;

/// Colours of series, told apart by those who see fewer of them too: `style.css` has them as `s0`, `s1` and so on. They
/// are used again where there are more series.
const COLOURS: usize = 12;
/// Units of a drawing: its width, that of the plot, and the plot's height; what is left of the plot and above it.
const WIDTH: f64 = 640.0;
const PLOT: f64 = 540.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 80.0;
const TOP: f64 = 30.0;

/// A value with a name.
pub(crate) struct Bar {
    pub(crate) label: String,
    /// Which colour it has.
    pub(crate) series: usize,
    pub(crate) value: f64,
    /// From where to where half of the runs lie.
    pub(crate) range: Option<[f64; 2]>,
}

/// How long bars are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero on.
    Linear,
    /// From the power of ten at or below the least value on; the chart says so.
    Logarithmic,
}

/// What a chart is called, and what its colours mean; they need no words where there is one.
pub(crate) struct Name<'a> {
    pub(crate) id: &'a str,
    pub(crate) title: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) colours: &'a [String],
}

/// One bar below the other.
pub(crate) fn bars(name: &Name<'_>, bars: &[Bar], scale: Scale) -> String {
    let values = bars.iter().flat_map(|bar| [bar.value, bar.range.map_or(bar.value, |[_, upper]| upper)]);
    let axis = Axis::new(values, scale);
    let mut rows = String::new();
    for bar in bars {
        let told = format!("{}: {} {}", bar.label, number(bar.value), name.unit);
        let mut track = mark(bar.series, [0.0, axis.place(bar.value)], &told);
        if let Some([lower, upper]) = bar.range {
            let [lower, upper] = [lower, upper].map(|value| axis.place(value));
            let _ = write!(track, "<i class=\"range\" style=\"{}\"></i>", at([lower, upper]));
        }
        rows += &row(&bar.label, &track, &format!("{} {}", number(bar.value), name.unit));
    }
    figure(name, name.colours, &(rows + &axis.row(name.unit)), scale)
}

/// A bar of parts, and what the parts are called.
pub(crate) struct Parts {
    pub(crate) label: String,
    pub(crate) parts: Vec<(String, f64)>,
}

/// One bar of parts below the other; a part has the same colour in all.
pub(crate) fn parts(name: &Name<'_>, all: &[Parts]) -> String {
    let mut names: Vec<String> = Vec::new();
    for (part, _) in all.iter().flat_map(|row| &row.parts) {
        if !names.contains(part) {
            names.push(part.clone());
        }
    }
    let total = |row: &Parts| row.parts.iter().map(|(_, value)| value).sum::<f64>();
    let axis = Axis::new(all.iter().map(total), Scale::Linear);
    let mut rows = String::new();
    for own in all {
        let (mut track, mut from) = (String::new(), 0.0);
        for (part, value) in &own.parts {
            let series = names.iter().position(|name| name == part).unwrap_or(0);
            let told = format!("{}, {part}: {} {}", own.label, number(*value), name.unit);
            track += &mark(series, [from, from + value].map(|value| axis.place(value)), &told);
            from += value;
        }
        rows += &row(&own.label, &track, &format!("{} {}", number(from), name.unit));
    }
    figure(name, &names, &(rows + &axis.row(name.unit)), Scale::Linear)
}

/// Points over sizes.
pub(crate) struct Series {
    pub(crate) name: String,
    /// Rings instead of dots.
    pub(crate) estimated: bool,
    /// Which colour it has.
    pub(crate) colour: usize,
    /// Size, value, and what the point is.
    pub(crate) points: Vec<(f64, f64, String)>,
}

/// Values over sizes, both by powers of ten.
pub(crate) fn points(name: &Name<'_>, sizes: &str, all: &[Series]) -> String {
    let shown: Vec<String> = all
        .iter()
        .map(|series| format!("{}{}", series.name, if series.estimated { " (estimate)" } else { "" }))
        .collect();
    let across = Axis::new(all.iter().flat_map(|series| &series.points).map(|(x, _, _)| *x), Scale::Logarithmic);
    let up = Axis::new(all.iter().flat_map(|series| &series.points).map(|(_, y, _)| *y), Scale::Logarithmic);
    let place = |x: f64, y: f64| [LEFT + PLOT * across.place(x), TOP + HEIGHT * (1.0 - up.place(y))];
    let mut drawing = String::new();
    for tick in up.ticks() {
        let [_, y] = place(across.from, tick);
        line(&mut drawing, [LEFT, y], [LEFT + PLOT, y]);
        text(&mut drawing, [LEFT - 6.0, y + 5.0], "end", &number(tick));
    }
    for tick in across.ticks() {
        let [x, y] = place(tick, up.from);
        line(&mut drawing, [x, TOP], [x, y]);
        text(&mut drawing, [x, y + 18.0], "middle", &number(tick));
    }
    text(&mut drawing, [LEFT - 6.0, 16.0], "end", name.unit);
    text(&mut drawing, [LEFT + PLOT / 2.0, TOP + HEIGHT + 38.0], "middle", sizes);
    for (series, shown) in all.iter().zip(&shown) {
        let colour = series.colour % COLOURS;
        let mut points: Vec<&(f64, f64, String)> = series.points.iter().collect();
        points.sort_by(|one, two| one.0.total_cmp(&two.0));
        if !series.estimated {
            let places: Vec<String> = points
                .iter()
                .map(|(x, y, _)| {
                    let [x, y] = place(*x, *y);
                    format!("{x:.1},{y:.1}")
                })
                .collect();
            let _ = write!(drawing, "<polyline class=\"s{colour}\" points=\"{}\"/>", places.join(" "));
        }
        for (x, y, what) in points {
            let told = format!("{what}, {shown}: {} {}", number(*y), name.unit);
            let ring = if series.estimated { " ring" } else { "" };
            let [x, y] = place(*x, *y);
            let _ = write!(
                drawing,
                "<circle class=\"mark s{colour}{ring}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}</title></circle>",
                Escaped(&told)
            );
        }
    }
    let keys = all.iter().zip(&shown).fold(String::new(), |mut keys, (series, shown)| {
        let ring = if series.estimated { " ring" } else { "" };
        let _ = write!(keys, "<li><i class=\"s{}{ring}\"></i>{}</li>", series.colour % COLOURS, Escaped(shown));
        keys
    });
    let (title, height) = (Escaped(name.title), TOP + HEIGHT + 50.0);
    format!(
        "<figure id=\"{}\"><figcaption>{title}, both on logarithmic scales</figcaption><ul class=\"keys\">{keys}</ul>\
         <svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">{drawing}</svg></figure>\n",
        name.id
    )
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

    /// Where a value lies, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => value / self.to,
            Scale::Logarithmic => (value / self.from).log10() / (self.to / self.from).log10(),
        };
        if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Powers of ten, or quarters.
    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => (0..=4).map(|quarter| self.to * f64::from(quarter) / 4.0).collect(),
            Scale::Logarithmic => {
                let decades = (self.to / self.from).log10().round() as i32;
                // Five at most, so that their numbers have room.
                let step = (decades / 4).max(1);
                (0..=decades).step_by(step as usize).map(|decade| self.from * 10f64.powi(decade)).collect()
            }
        }
    }

    /// What lengths mean, beneath bars.
    fn row(&self, unit: &str) -> String {
        let ticks = self.ticks().into_iter().fold(String::new(), |mut ticks, tick| {
            let _ = write!(ticks, "<b style=\"left:{:.2}%\">{}</b>", 100.0 * self.place(tick), number(tick));
            ticks
        });
        format!(
            "<div class=\"bar axis\"><span></span><span class=\"track\">{ticks}</span><span>{}</span></div>",
            Escaped(unit)
        )
    }
}

/// From where to where an element reaches in its track.
fn at([from, to]: [f64; 2]) -> String {
    format!("left:{:.2}%;width:{:.2}%", 100.0 * from, 100.0 * (to - from).max(0.0))
}

/// A piece of a bar, which tells what it stands for where the pointer is.
fn mark(series: usize, reach: [f64; 2], told: &str) -> String {
    format!("<i class=\"mark s{}\" style=\"{}\" title=\"{}\"></i>", series % COLOURS, at(reach), Escaped(told))
}

fn row(label: &str, track: &str, value: &str) -> String {
    let label = Escaped(label);
    format!(
        "<div class=\"bar\"><span class=\"label\" title=\"{label}\">{label}</span><span class=\"track\">{track}</span>\
         <span class=\"value\">{}</span></div>\n",
        Escaped(value)
    )
}

/// Bars with their name, by which a page's readers and tests find them.
fn figure(name: &Name<'_>, colours: &[String], rows: &str, scale: Scale) -> String {
    let keys = colours.iter().enumerate().fold(String::new(), |mut keys, (series, name)| {
        let _ = write!(keys, "<li><i class=\"s{}\"></i>{}</li>", series % COLOURS, Escaped(name));
        keys
    });
    let keys = if colours.len() > 1 { format!("<ul class=\"keys\">{keys}</ul>") } else { String::new() };
    let scale = if scale == Scale::Logarithmic { ", on a logarithmic scale" } else { "" };
    let (id, title) = (name.id, Escaped(name.title));
    format!(
        "<figure id=\"{id}\"><figcaption>{title}{scale}</figcaption>{keys}<div class=\"bars\">{rows}</div></figure>\n"
    )
}

fn line(drawing: &mut String, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
    let _ = write!(drawing, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
}

fn text(drawing: &mut String, [x, y]: [f64; 2], anchor: &str, text: &str) {
    let _ = write!(drawing, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", Escaped(text));
}

/// A number with three digits that say something.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size >= 1e6 => {
            format!("{:.3}e{}", value / 10f64.powf(size.log10().floor()), size.log10().floor()).replace(".000e", "e")
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}").trim_end_matches(".0").into(),
        size if size >= 0.1 => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').into(),
        size if size >= 0.001 => format!("{value:.4}").trim_end_matches('0').into(),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: Name<'_> = Name { id: "a", title: "b", unit: "ms", colours: &[] };

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(0.0, "0"), (1234.5, "1234"), (12.0, "12"), (0.25, "0.25"), (1.0, "1"), (0.0735, "0.0735"), (2e7, "2e7")]
        {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |value| Bar { label: "x".into(), series: 0, value, range: None };
        let drawn = bars(&NAME, &[bar(10.0), bar(5.0)], Scale::Linear);
        assert!(drawn.contains("width:100.00%") && drawn.contains("width:50.00%"), "{drawn}");
        assert!(!drawn.contains("logarithmic"), "{drawn}");
        let drawn = bars(&NAME, &[bar(100.0), bar(10.0)], Scale::Logarithmic);
        assert!(drawn.contains("width:100.00%") && drawn.contains("width:50.00%"), "{drawn}");
        assert!(drawn.contains("b, on a logarithmic scale"), "{drawn}");
    }

    #[test]
    fn parts_follow_each_other_and_keep_their_colour() {
        let row = |parts: &[(&str, f64)]| Parts {
            label: "r".into(),
            parts: parts.iter().map(|(name, value)| ((*name).into(), *value)).collect(),
        };
        let drawn = parts(&NAME, &[row(&[("a", 1.0), ("b", 3.0)]), row(&[("b", 4.0)])]);
        assert!(drawn.contains("left:25.00%;width:75.00%"), "{drawn}");
        assert_eq!(drawn.matches(" s1\"").count() + drawn.matches("\"s1\"").count(), 3, "twice, and its key: {drawn}");
    }

    #[test]
    fn nothing_to_draw_and_odd_values_are_drawn_within_the_plot() {
        assert!(bars(&NAME, &[], Scale::Logarithmic).contains("</figure>"));
        let odd = [0.0, f64::NAN, f64::INFINITY, -1.0];
        let all: Vec<Bar> = odd.map(|value| Bar { label: String::new(), series: 0, value, range: None }).into();
        let drawn = bars(&NAME, &all, Scale::Linear);
        assert_eq!(drawn.matches("class=\"mark").count(), 4);
        assert!(!drawn.contains("NaN") || !drawn.contains("width:NaN"), "{drawn}");
    }
}
