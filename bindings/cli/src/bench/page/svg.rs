//! Drawing in SVG, as text within a page: rectangles, lines and words, which a browser shows, prints and finds.

use std::fmt::{self, Display, Formatter, Write as _};

/// Colours of series, told apart by those who see fewer of them too; they are used again where there are more series.
pub(super) const COLOURS: [&str; 12] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#7f7f00", "#5a3fa0", "#8c564b", "#17a2a2",
    "#f06292", "#9e9e9e",
];

/// Text for a page: no name can end an element or an attribute.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            // Characters that reorder or hide text around them.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                write!(f, "{}", c.escape_debug())
            }
            c => f.write_char(c),
        })
    }
}

/// A point, in pixels from the left and the top.
pub(super) type At = [f64; 2];

/// How a word stands at its point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A drawing in the making.
#[derive(Default)]
pub(super) struct Drawing {
    body: String,
    /// To the right and down.
    size: At,
}

impl Drawing {
    /// A rectangle that stands for a value: the page shows `told` where the pointer is.
    pub(super) fn mark(&mut self, corner: At, size: At, colour: &str, told: &str) {
        let [x, y] = corner;
        // Nothing is too small to be seen.
        let [width, height] = [size[0].max(1.0), size[1]];
        let told = Escaped(told);
        let _ = write!(
            self.body,
            "<rect class=\"mark\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"><title>{told}</title></rect>"
        );
        self.reach([x + width, y + height]);
    }

    /// A dot that stands for a value; a ring where it is an estimate.
    pub(super) fn dot(&mut self, [x, y]: At, colour: &str, measured: bool, told: &str) {
        let (fill, told) = (if measured { colour } else { "none" }, Escaped(told));
        let _ = write!(
            self.body,
            "<circle class=\"mark\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"2\"><title>{told}</title></circle>"
        );
        self.reach([x + 6.0, y + 6.0]);
    }

    pub(super) fn line(&mut self, [x1, y1]: At, [x2, y2]: At, colour: &str) {
        let _ = write!(
            self.body,
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>"
        );
        self.reach([x1.max(x2), y1.max(y2)]);
    }

    pub(super) fn path(&mut self, points: &[At], colour: &str) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(
            self.body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            points.join(" ")
        );
    }

    pub(super) fn text(&mut self, [x, y]: At, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = Escaped(text);
        let _ = write!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
        self.reach([x, y + 6.0]);
    }

    fn reach(&mut self, [x, y]: At) {
        self.size = [self.size[0].max(x), self.size[1].max(y)];
    }

    /// The drawing with its name, by which a page's readers and tests find it; at least `width` wide.
    pub(super) fn finish(self, id: &str, title: &str, width: f64) -> String {
        let [width, height] = [self.size[0].max(width), self.size[1] + 4.0];
        let title = Escaped(title);
        format!(
            "<figure id=\"{id}\"><figcaption>{title}</figcaption><svg viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">{}</svg></figure>\n",
            self.body
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        let text = Escaped("<script>alert(\"&'\")</script>\u{202e}\x1b").to_string();
        assert_eq!(text, "&lt;script&gt;alert(&quot;&amp;&#39;&quot;)&lt;/script&gt;\\u{202e}\\u{1b}");
    }

    #[test]
    fn a_drawing_is_as_large_as_what_is_in_it() {
        let mut drawing = Drawing::default();
        drawing.mark([10.0, 20.0], [300.0, 16.0], COLOURS[0], "a<b");
        let svg = drawing.finish("id", "title", 100.0);
        assert!(svg.contains("viewBox=\"0 0 310 40\"") && svg.contains("<title>a&lt;b</title>"), "{svg}");
    }
}
