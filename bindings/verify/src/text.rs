//! Text from files that will reach a terminal.

/// Whether a name is not empty and free of control characters, which could rewrite what a terminal shows.
pub(crate) fn is_printable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| !c.is_control() && !is_format(c))
}

/// Characters that reorder or hide text: bidirectional controls, zero-width characters, the byte order mark.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The name with anything else replaced by `_`.
pub(crate) fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || is_format(c) { '_' } else { c }).collect()
}
