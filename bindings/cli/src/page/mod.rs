//! Reports as pages: one file that stands alone, with charts and the figures behind them. It loads nothing, and reads
//! without its script, which sorts tables.
//!
//! | part | file |
//! |---|---|
//! | the page, tables | `mod.rs` |
//! | charts | `charts.rs` |
//! | what it looks like, and sorting | `style.css`, `sort.js` |
//! | pages of `plan` and `evaluate`; that of `bench` is with its records | `plan.rs`, `evaluate.rs` |

pub(crate) mod charts;
pub(crate) mod evaluate;
pub(crate) mod plan;

use std::fmt::{self, Display, Formatter, Write as _};

const STYLE: &str = include_str!("style.css");
const SORT: &str = include_str!("sort.js");

/// Text for a page: no name can end an element or an attribute.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

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

/// A page of this title.
pub(crate) fn page(title: &str, body: &str) -> String {
    let title = Escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <style>{STYLE}</style></head>\n<body>{body}<script>{SORT}</script></body></html>\n"
    )
}

/// Names with what they stand for.
pub(crate) fn list<'t>(id: &str, entries: impl IntoIterator<Item = (&'t str, String)>) -> String {
    let entries = entries.into_iter().fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "<dt>{}</dt><dd>{}</dd>", Escaped(name), Escaped(&value));
        text
    });
    format!("<dl id=\"{id}\">{entries}</dl>\n")
}

/// A table that is sorted by a click on a column's name; nothing where it has no rows.
pub(crate) fn table(id: &str, title: &str, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: String = rows.fold(String::new(), |mut text, row| {
        let _ = writeln!(
            text,
            "<tr>{}</tr>",
            row.iter().map(|cell| format!("<td>{}</td>", Escaped(cell))).collect::<String>()
        );
        text
    });
    if rows.is_empty() {
        return rows;
    }
    let heads: String = columns.iter().map(|column| format!("<th>{}</th>", Escaped(column))).collect();
    let title = Escaped(title);
    format!("<h2>{title}</h2>\n<table id=\"{id}\"><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        let text = Escaped("<script>alert(\"&'\")</script>\u{202e}\x1b").to_string();
        assert_eq!(text, "&lt;script&gt;alert(&quot;&amp;&#39;&quot;)&lt;/script&gt;\\u{202e}\\u{1b}");
    }
}
