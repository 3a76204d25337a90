//! How results look on stdout.

use anyhow::Context;
use serde::Serialize;
use zkml_gpu::verify::report;

pub(crate) use report::{
    elapsed_ms, guarantee_lines, line, plural, port_text, proof_lines, public_line, terminal_safe,
};

/// Hexadecimal digits of a digest that a person is shown.
const SHORT_DIGITS: usize = 16;

/// Prints one JSON object on one line.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&json(value)?)
}

/// A line of JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<String> {
    let mut text = serde_json::to_string(value).context("the result as JSON")?;
    text.push('\n');
    Ok(text)
}

/// Prints text; a reader that has gone away is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    report::print(text).context("stdout")
}

/// The beginning of a digest, as many digits as tell files of one user apart.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..SHORT_DIGITS).unwrap_or(digest)
}

/// Layers by operation, with how many there are of each.
pub(crate) fn layers_text(layers: &[(String, usize)]) -> String {
    let layers: Vec<String> = layers.iter().map(|(name, count)| format!("{count} × {name}")).collect();
    layers.join(", ")
}

/// A count with separators.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")] {
            assert_eq!(grouped(count), text);
        }
    }
}
