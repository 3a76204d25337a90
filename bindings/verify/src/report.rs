//! How results look on a terminal.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::time::Instant;

use zkml_gpu_circuit::system::WeightMode;

use crate::ModelKey;

/// Values shown of a long tensor.
const SHOWN: usize = 10;

/// Characters shown of a line of a message.
const MAX_LINE_CHARS: usize = 600;

/// Prints text to stdout; a reader that has gone away is no error.
///
/// # Errors
/// The system's, where it cannot be written.
pub fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Milliseconds since `start`.
pub fn elapsed_ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// A labelled line of the summary.
pub fn line(label: &str, text: &str) -> String {
    format!("  {label:<12} {text}\n")
}

/// A tensor's first values, and where the greatest is.
pub fn tensor_line(label: &str, name: &str, values: &[f64]) -> String {
    let shown: Vec<String> = values.iter().take(SHOWN).map(|value| format!("{value:.4}")).collect();
    let mut text = format!("{} = [{}", name.escape_debug(), shown.join(", "));
    if values.len() > SHOWN {
        let _ = write!(text, ", ... {} values", values.len());
    }
    text.push(']');
    let greatest = values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    if let Some((index, _)) = greatest.filter(|_| values.len() > 1 && label == "output") {
        let _ = write!(text, ", greatest at {index}");
    }
    line(label, &text)
}

/// What a proof does and does not say.
pub fn guarantee_lines(key: &ModelKey) -> String {
    let mut text = line("weights", &format!("{}; {}", key.weights(), key.note()));
    if key.weight_mode() == WeightMode::Embedded {
        text += &line(
            "public",
            "whoever has model.vk can check guesses of the weights, and every proof reveals more of them",
        );
    }
    if key.is_insecure() {
        text += &line(
            "insecure",
            "the reference string was made on one machine, whose owner could forge proofs: use --srs",
        );
    }
    text
}

/// A message with names from files in it: control characters and those that reorder text are escaped, and long lines
/// cut.
pub fn terminal_safe(message: &str) -> String {
    let safe = |line: &str| {
        let mut text = String::new();
        for c in line.chars().take(MAX_LINE_CHARS) {
            match c {
                '\'' | '"' | '\\' => text.push(c),
                _ => text.extend(c.escape_debug()),
            }
        }
        if line.chars().nth(MAX_LINE_CHARS).is_some() {
            text += "...";
        }
        text
    };
    message.lines().map(safe).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_cannot_move_the_cursor_nor_flood_the_screen() {
        assert_eq!(terminal_safe("'a' is bad\nhint: \"b\\c\""), "'a' is bad\nhint: \"b\\c\"");
        assert_eq!(terminal_safe("\x1b[2J\u{202e}ö\r"), "\\u{1b}[2J\\u{202e}ö\\r");
        let long = terminal_safe(&format!("{}\nhint: x", "a".repeat(10_000)));
        assert!(long.len() < 700 && long.ends_with("...\nhint: x"), "{long}");
    }

    #[test]
    fn long_tensors_are_cut_and_names_escaped() {
        let text = tensor_line("output", "a\x1b", &[0.0; 11]);
        assert!(text.contains("... 11 values") && !text.contains('\x1b'), "{text}");
        assert!(tensor_line("output", "y", &[0.5, 2.0, 1.0]).contains("greatest at 1"));
        assert!(!tensor_line("input", "x", &[0.5, 2.0]).contains("greatest"));
    }
}
