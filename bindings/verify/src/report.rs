//! How results look on a terminal.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};

use serde::Serialize;
use web_time::Instant;
use zkml_gpu_circuit::system::{Port, WeightMode};
use zkml_gpu_graph::{Format, Visibility};

use crate::{ErrorClass, ModelKey, Pair, ProofBundle, PublicTensor, SegmentedKey, SegmentedProof};

/// Values shown of a long tensor.
const SHOWN: usize = 10;
/// Pairs shown of a proof of many inferences.
const SHOWN_PAIRS: usize = 32;

/// Significant digits of a number: as many as integers of 16 bits carry.
const DIGITS: usize = 5;
/// Whole numbers below are shown digit by digit: as far as 32-bit floats hold every one of them.
const WHOLE: f64 = (1 << 24) as f64;
/// Numbers below have an exponent: more zeros than this after the point are counted, not read.
const SMALL: f64 = 1e-4;

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

/// So many of something.
pub fn plural(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Milliseconds since `start`.
pub fn elapsed_ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// A labelled line of the summary.
pub fn line(label: &str, text: &str) -> String {
    format!("  {label:<12} {text}\n")
}

/// A number for people: five significant digits, with an exponent where it is very small or large; whole numbers as
/// they are, without a point.
///
/// ```
/// use zkml_gpu_verify::report::number_text;
///
/// assert_eq!([0.0, 3.0, 0.123456, 1e30].map(number_text), ["0", "3", "0.12346", "1e30"]);
/// ```
#[allow(clippy::cast_possible_truncation, reason = "whole numbers below 2^24, and a constant of one digit")]
pub fn number_text(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < WHOLE {
        // Without the sign of a negative zero.
        return format!("{}", value as i64);
    }
    let scientific = format!("{value:.*e}", DIGITS - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    if !(SMALL..WHOLE).contains(&value.abs()) {
        return format!("{}e{exponent}", without_zeros(mantissa));
    }
    let before_point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let decimals = usize::try_from(DIGITS as i32 - before_point).unwrap_or(0);
    without_zeros(&format!("{value:.decimals$}")).into()
}

/// A decimal fraction without the zeros that say nothing.
fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// A number of bytes for people, rounded to three digits.
///
/// ```
/// use zkml_gpu_verify::report::bytes_text;
///
/// assert_eq!([1, 1536, 1331439861].map(bytes_text), ["1 byte", "1.5 KiB", "1.24 GiB"]);
/// ```
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" });
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would be rounded to 1024 of a unit is 1 of the next.
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = match value {
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{} {}", without_zeros(&format!("{value:.decimals$}")), UNITS[unit])
}

/// Two numbers of bytes that are compared: rounded as by [`bytes_text`], but exact where that would make them equal.
pub fn bytes_texts(bytes: [u64; 2]) -> [String; 2] {
    let rounded = bytes.map(bytes_text);
    if rounded[0] == rounded[1] { bytes.map(|bytes| format!("{bytes} bytes")) } else { rounded }
}

/// Index of the first of the greatest values, as ArgMax has it.
fn greatest(values: &[f64]) -> Option<usize> {
    (0..values.len()).reduce(|best, index| if values[index] > values[best] { index } else { best })
}

/// A tensor's first values, and where the greatest is.
pub fn tensor_line(label: &str, name: &str, values: &[f64]) -> String {
    let shown: Vec<String> = values.iter().take(SHOWN).map(|value| number_text(*value)).collect();
    let mut text = format!("{} = [{}", name.escape_debug(), shown.join(", "));
    if values.len() > SHOWN {
        let _ = write!(text, ", ... {} values", values.len());
    }
    text.push(']');
    if let Some(index) = greatest(values).filter(|_| values.len() > 1 && label.starts_with("output")) {
        let _ = write!(text, ", greatest at {index}");
    }
    line(label, &text)
}

/// What a proof is of: its outputs and inputs, those of several inferences pair by pair, and then what of them is hidden.
pub fn proof_lines(proof: &ProofBundle) -> String {
    tensor_lines(&proof.inputs, &proof.outputs, &proof.pairs())
}

/// What the proofs of a model in segments are of.
pub fn segmented_proof_lines(proof: &SegmentedProof) -> String {
    let text = tensor_lines(&proof.inputs, &proof.outputs, &proof.pairs());
    let between = plural(proof.between.len(), "tensor");
    let segments = plural(proof.proofs.len(), "proof");
    text + &line("segments", &format!("{segments} together, tied by commitments to {between} between them"))
}

fn tensor_lines(inputs: &[PublicTensor], outputs: &[PublicTensor], pairs: &[Pair]) -> String {
    let all = || [("output", outputs), ("input", inputs)].into_iter();
    let whole = |tensors: &[PublicTensor], label: &str, hidden_alone: bool| -> String {
        let shown = tensors.iter().filter(|tensor| !hidden_alone || tensor.visibility.is_hidden());
        shown.map(|tensor| public_line(label, tensor)).collect()
    };
    let count = pairs.len();
    if count <= 1 {
        return all().map(|(label, tensors)| whole(tensors, label, false)).collect();
    }
    let mut text = String::new();
    for (at, Pair { input, output }) in pairs.iter().enumerate().take(SHOWN_PAIRS) {
        for ((label, tensors), numbers) in all().zip([output, input]) {
            let shown = tensors.iter().zip(numbers).filter(|(tensor, _)| !tensor.visibility.is_hidden());
            shown.for_each(|(tensor, reals)| text += &tensor_line(&format!("{label} {at}"), &tensor.name, reals));
        }
    }
    if count > SHOWN_PAIRS {
        text += &line("", &format!("... {count} pairs, --json tells all"));
    }
    text + &all().map(|(label, tensors)| whole(tensors, label, true)).collect::<String>()
}

/// A tensor of a proof: its first values, or that they are hidden.
pub fn public_line(label: &str, tensor: &PublicTensor) -> String {
    let name = tensor.name.escape_debug();
    match tensor.visibility {
        Visibility::Public => tensor_line(label, &tensor.name, &tensor.reals()),
        Visibility::Private if label == "input" => line(label, &format!("{name} is private, and in its range")),
        Visibility::Private => line(label, &format!("{name} is private")),
        Visibility::Committed => {
            let points = tensor.commitments.iter().map(|point| terminal_safe(point)).collect::<Vec<_>>().join(", ");
            line(label, &format!("{name} is committed: {points}"))
        }
        Visibility::Hashed => {
            let hash = tensor.hash.map(|hash| hash.to_string()).unwrap_or_default();
            line(label, &format!("{name} is hashed: {hash}"))
        }
    }
}

/// What is known of an input or output before any proof: its name, its shape, who sees it, and what its integers are.
pub fn port_text(port: &Port) -> String {
    let format = port.logical_format();
    let Format { min, max, .. } = format;
    let (name, seen) = (port.name.escape_debug(), port.visibility().name());
    format!("{name} {:?}, {seen}, integers {min} to {max} times {}", port.logical_shape, format.scale_text())
}

/// What a proof does and does not say.
pub fn guarantee_lines(key: &ModelKey) -> String {
    let statement = key.keys().statement();
    let [inputs, outputs] = [&statement.inputs, &statement.outputs].map(|ports| ports.iter().collect());
    let public = key.has_public_weights();
    said((key.weights(), key.note()), (public, key.weight_mode()), [inputs, outputs], key.is_insecure())
}

/// What the proofs of a model in segments do and do not say.
pub fn segmented_guarantee_lines(key: &SegmentedKey) -> String {
    let public = key.has_public_weights();
    said((key.weights(), key.note()), (public, key.weight_mode()), [key.inputs(), key.outputs()], key.is_insecure())
}

fn said(
    (weights, note): (&str, &str),
    (has_public_weights, mode): (bool, WeightMode),
    [inputs, outputs]: [Vec<&Port>; 2],
    is_insecure: bool,
) -> String {
    let mut text = line("weights", &format!("{weights}; {note}"));
    if has_public_weights {
        text += &line(
            "public",
            "whoever has model.vk can check guesses of the weights; verify --model checks the model's file",
        );
    }
    if mode == WeightMode::Embedded {
        text += &line(
            "public",
            "whoever has model.vk can check guesses of the weights, and every proof reveals more of them",
        );
    }
    for (what, ports) in [("input", inputs), ("output", outputs)] {
        for port in ports.into_iter().filter(|port| port.visibility().is_hidden()) {
            let shows = match port.visibility() {
                Visibility::Committed => "a commitment, which hides it",
                Visibility::Hashed => "its hash",
                Visibility::Private | Visibility::Public => "no value of it",
            };
            let (name, visibility) = (port.name.escape_debug(), port.visibility().name());
            text += &line("hidden", &format!("{what} {name} is {visibility}: proofs show {shows}"));
        }
    }
    if is_insecure {
        text += &line(
            "insecure",
            "the reference string was made on one machine, whose owner could forge proofs: use --srs",
        );
    }
    text
}

/// What `--json` prints of a failure.
#[derive(Serialize)]
struct Failure<'a> {
    error: Problem<'a>,
}

#[derive(Serialize)]
struct Problem<'a> {
    class: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
}

/// A failure as one JSON object on a line, `{"error": {"class": ..., "message": ..., "hint": ...}}`: the message ends
/// where its line `hint: ...` begins; `null` stands for none.
pub fn error_json(message: &str, class: ErrorClass) -> String {
    let (message, hint) = match message.split_once("\nhint: ") {
        Some((message, hint)) => (message, Some(hint)),
        None => (message, None),
    };
    let failure = Failure { error: Problem { class: class.name(), message, hint } };
    // Text always has a JSON form.
    serde_json::to_string(&failure).unwrap_or_default() + "\n"
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
    fn a_failure_is_one_object_with_its_hint_apart() {
        let object = |message| error_json(message, ErrorClass::WouldNotFit);
        let expected =
            "{\"error\":{\"class\":\"would_not_fit\",\"message\":\"'a\\u001b' is\\nbad\",\"hint\":\"b\\\\c\"}}\n";
        assert_eq!(object("'a\x1b' is\nbad\nhint: b\\c"), expected);
        assert!(object("no way").ends_with("\"message\":\"no way\",\"hint\":null}}\n"));
    }

    #[test]
    fn long_tensors_are_cut_and_names_escaped() {
        let text = tensor_line("output", "a\x1b", &[0.0; 11]);
        assert!(text.contains("... 11 values") && !text.contains('\x1b'), "{text}");
        assert!(tensor_line("output", "y", &[0.5, 2.0, 1.0]).contains("greatest at 1"));
        assert!(!tensor_line("input", "x", &[0.5, 2.0]).contains("greatest"));
    }

    #[test]
    fn of_equal_outputs_the_first_is_the_greatest() {
        for (values, index) in
            [([0.0, 0.0, -1.0], 0), ([-0.0, 0.0, 0.0], 0), ([1.0, 2.0, 2.0], 1), ([-3.0, -2.0, -1.0], 2)]
        {
            let text = tensor_line("output", "y", &values);
            assert!(text.contains(&format!("greatest at {index}\n")), "{text}");
        }
        assert!(!tensor_line("output", "y", &[3.0]).contains("greatest"));
    }

    #[test]
    fn numbers_of_any_magnitude_are_short_and_readable() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (7.0, "7"),
            (-1234567.0, "-1234567"),
            (0.5, "0.5"),
            (-2.25, "-2.25"),
            (0.123456, "0.12346"),
            (9.999996, "10"),
            (99999.96, "100000"),
            (12345.678, "12346"),
            (123456.7, "123457"),
            (0.00012345678, "0.00012346"),
            (1.5e-6, "1.5e-6"),
            (-1.23456789e-6, "-1.2346e-6"),
            (1e30, "1e30"),
            (2.0f64.powi(100), "1.2677e30"),
            (f64::from(f32::MAX), "3.4028e38"),
            (f64::MIN_POSITIVE / 2.0, "1.1125e-308"),
        ] {
            assert_eq!(number_text(value), text);
        }
        let mut value = 3.0000001e-12;
        while value < 1e30 {
            let text = number_text(value);
            let read: f64 = text.parse().expect("a number");
            assert!((read / value - 1.0).abs() < 5.1e-5 && text.len() <= 10, "{value}: {text}");
            value *= 1.7;
        }
    }

    #[test]
    fn bytes_are_rounded_unless_that_hides_a_difference() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            ((1 << 20) - 1, "1 MiB"),
            (1331439862, "1.24 GiB"),
            (13 << 30, "13 GiB"),
            (999 << 20, "999 MiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes_text(bytes), text);
        }
        assert_eq!(bytes_texts([3 << 20, 2 << 20]), ["3 MiB", "2 MiB"]);
        assert_eq!(bytes_texts([(1 << 30) + 1, 1 << 30]), ["1073741825 bytes", "1073741824 bytes"]);
    }
}
