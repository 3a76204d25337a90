//! Input and calibration files, in EZKL's format.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zkml_gpu_engine::secret::Wiped;
use zkml_gpu_graph::index;
use zkml_gpu_onnx::quant::Sample;
use zkml_gpu_verify::report::{bytes_text, plural};

use crate::{Error, FileError, read_bounded};

/// Largest input file that is read.
const MAX_BYTES: u64 = 1 << 30;
/// Most samples of a file: each takes memory of its own, however small its input is.
const MAX_SAMPLES: usize = 1 << 16;
/// Stands for standard input; a file of this name is `./-`.
const STDIN: &str = "-";
/// What standard input is called in messages.
const STDIN_NAME: &str = "standard input";
/// What some programs write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What programs write before UTF-16, in either order.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// An input of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelInput<'m> {
    /// Its name.
    pub name: &'m str,
    /// Number of elements.
    pub len: usize,
    /// Set where the elements are indices, such as tokens: the number that they are below.
    pub classes: Option<usize>,
}

/// The samples of an input or calibration file: `{"input_data": [[...], ...]}`, one flat list for each input of the
/// model, in the order of its axes. A list n times the input's size holds n samples. Other keys are ignored. The path
/// `-` is standard input, which is read once.
///
/// # Errors
/// [`Error::File`] and [`Error::Input`], the latter for anything but finite 32-bit floats, and whole numbers where
/// indices are taken, in lists of the right sizes.
pub fn read_samples(path: impl AsRef<Path>, inputs: &[ModelInput<'_>]) -> Result<Vec<Sample>, Error> {
    let path = path.as_ref();
    if path.as_os_str() != STDIN {
        return samples(path, read_bounded(path, MAX_BYTES)?, inputs);
    }
    // A second reader would find it empty, or in the middle of a number.
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let path = Path::new(STDIN_NAME);
    if TAKEN.swap(true, Ordering::Relaxed) {
        let problem = "it is read already, and holds one file: give the other one by its name".into();
        return Err(Error::Input { path: path.into(), problem });
    }
    samples(path, read_stream(std::io::stdin().lock(), path, MAX_BYTES)?, inputs)
}

/// As [`read_samples`], from memory: bytes that are overwritten behind them. `name` stands for the file in messages.
///
/// # Errors
/// [`Error::Input`], as [`read_samples`].
pub fn parse_samples(bytes: Vec<u8>, name: &str, inputs: &[ModelInput<'_>]) -> Result<Vec<Sample>, Error> {
    samples(Path::new(name), bytes, inputs)
}

/// A sample of numbers in memory: a flat list for each input, in the order of its axes. `name` stands for them in messages.
///
/// # Errors
/// [`Error::Input`] for anything but finite numbers, whole ones where indices are taken, in lists of the right sizes.
pub fn sample_of_numbers(lists: &[Vec<f32>], name: &str, inputs: &[ModelInput<'_>]) -> Result<Sample, Error> {
    let fail = |problem| Error::Input { path: name.into(), problem };
    for (list, values) in lists.iter().enumerate() {
        if let Some(place) = values.iter().position(|value| !value.is_finite()) {
            // Not which: an input may be hidden.
            return Err(fail(format!("input_data[{list}][{place}] is no finite number")));
        }
    }
    let mut samples = split(Path::new(name), inputs, lists)?;
    match (samples.pop(), samples.len()) {
        (Some(sample), 0) => Ok(sample),
        (_, before) => Err(fail(format!("the numbers of {} are given, one is taken", plural(before + 1, "sample")))),
    }
}

/// The samples of a file's bytes, which are overwritten behind them.
fn samples(path: &Path, bytes: Vec<u8>, inputs: &[ModelInput<'_>]) -> Result<Vec<Sample>, Error> {
    let bytes = Wiped(vec![bytes]);
    let lists = Wiped(parse(path, &bytes.0[0])?);
    split(path, inputs, &lists.0)
}

/// All bytes of a stream of at most `limit`.
fn read_stream(stream: impl Read, path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = stream.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|source| FileError::File { path: path.into(), action: "read", source })?;
    if bytes.len() as u64 > limit {
        let problem = format!("more than {} are not read", bytes_text(limit));
        return Err(Error::Input { path: path.into(), problem });
    }
    Ok(bytes)
}

/// The one key that counts.
#[derive(Deserialize)]
struct InputFile {
    input_data: Vec<List>,
}

/// A flat list.
#[derive(Deserialize)]
struct List(Vec<Number>);

/// A number; what stands in the place of one is told in words.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneNumber;

        impl<'de> Visitor<'de> for OneNumber {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Number, A::Error> {
                Err(A::Error::custom(
                    "a list inside the list of an input: flatten it, so that each input has one list of numbers in \
                     the order of the model's axes",
                ))
            }
        }

        deserializer.deserialize_any(OneNumber)
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Vec<f32>>, Error> {
    let fail = |problem| Error::Input { path: PathBuf::from(path), problem };
    if UTF_16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
        return Err(fail("it is UTF-16: save it as UTF-8".into()));
    }
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let file: InputFile = serde_json::from_slice(bytes).map_err(|error| fail(in_words(&error, bytes)))?;
    let finite = |list: usize, index: usize, value: f64| {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "numbers are of 32 bits; what is beyond them is refused below"
        )]
        let narrow = value as f32;
        if narrow.is_finite() {
            Ok(narrow)
        } else {
            // Not which: an input may be hidden.
            Err(fail(format!("input_data[{list}][{index}] is beyond a 32-bit float")))
        }
    };
    let lists = file.input_data.iter().enumerate();
    lists.map(|(list, values)| values.0.iter().enumerate().map(|(i, v)| finite(list, i, v.0)).collect()).collect()
}

/// What is wrong with a file, and where; numbers that JSON has no words for are named.
fn in_words(error: &serde_json::Error, bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    // Columns count from 1, and may be those of a sign before.
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let at = error.column().min(line.len());
    let start = line[..at].iter().rposition(|byte| !is_of_word(byte)).map_or(0, |place| place + 1);
    let word: Vec<u8> = line[start..].iter().take_while(|byte| is_of_word(byte)).copied().collect();
    let word = String::from_utf8_lossy(&word);
    match word.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str() {
        "nan" | "inf" | "infinity" => {
            let (line, column) = (error.line(), start + 1);
            format!("{word} at line {line} column {column} is no finite number")
        }
        _ => unquoted(&error.to_string()),
    }
}

/// The reader's words without the value that they quote: the input may be hidden.
fn unquoted(message: &str) -> String {
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match (rest, message.rsplit_once(", expected ")) {
        (Some(rest), Some((_, expected))) => {
            let kind = rest.split(['`', '"', ',']).next().unwrap_or_default().trim_end();
            format!("{kind} in the place of {expected}")
        }
        _ => message.into(),
    }
}

fn split(path: &Path, inputs: &[ModelInput<'_>], lists: &[Vec<f32>]) -> Result<Vec<Sample>, Error> {
    let fail = |problem| Err(Error::Input { path: path.into(), problem });
    if lists.len() != inputs.len() {
        let [lists, inputs] = [plural(lists.len(), "list"), plural(inputs.len(), "input")];
        return fail(format!("input_data holds {lists}, the model has {inputs}"));
    }
    let mut samples: Vec<Sample> = Vec::new();
    for (list, (ModelInput { name, len, classes }, values)) in inputs.iter().zip(lists).enumerate() {
        let count = values.len() / (*len).max(1);
        if *len == 0 || values.is_empty() || !values.len().is_multiple_of(*len) {
            let values = plural(values.len(), "value");
            return fail(format!("input_data[{list}]: {values}, but input '{name}' takes {len}"));
        }
        let is_wrong = |value: &f32| classes.is_some_and(|classes| index(*value, classes).is_none());
        if let Some(place) = values.iter().position(is_wrong) {
            let most = classes.unwrap_or_default() - 1;
            let problem = format!("is no whole number from 0 to {most}, as input '{name}' takes");
            return fail(format!("input_data[{list}][{place}] {problem}"));
        }
        if count > MAX_SAMPLES {
            return fail(format!("input_data[{list}]: {count} samples, at most {MAX_SAMPLES} are read"));
        }
        if list > 0 && count != samples.len() {
            return fail(format!(
                "input_data[{list}]: {}, but the lists before hold {}",
                plural(count, "sample"),
                samples.len()
            ));
        }
        samples.resize(count, Sample::new());
        samples.iter_mut().zip(values.chunks_exact(*len)).for_each(|(sample, chunk)| sample.push(chunk.to_vec()));
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Vec<Vec<f32>>, String> {
        parse(Path::new("input.json"), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn lists_are_read_and_other_keys_ignored() {
        let lists = parse_text(r#"{"input_data": [[1, -2.5, 1e-3], []], "output_data": [["x"]], "n": null}"#);
        assert_eq!(lists, Ok(vec![vec![1.0, -2.5, 1e-3], vec![]]));
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_with_their_place() {
        for text in [r#"{"input_data": [[0], [1, 1e39]]}"#, r#"{"input_data": [[0], [1, -1e300]]}"#] {
            let message = parse_text(text).expect_err("must be refused");
            assert!(message.contains("input_data[1][1]") && message.contains("hint:"), "{message}");
        }
    }

    #[test]
    fn numbers_that_json_has_no_words_for_are_named_with_their_place() {
        for (list, word, column) in [
            ("NaN", "NaN", 18),
            ("0.5, nan]]", "nan", 23),
            ("-Infinity, 1", "-Infinity", 18),
            ("Infinity", "Infinity", 18),
            ("1, -inf", "-inf", 21),
            ("+inf", "+inf", 18),
        ] {
            let message = parse_text(&format!("{{\"input_data\": [[{list}]]}}")).expect_err(list);
            let place = format!("{word} at line 1 column {column}");
            assert!(message.contains("no finite number") && message.contains(&place), "{list}: {message}");
        }
        let message = parse_text("{\"input_data\":\n [[1,\n  NaN]]}").expect_err("lines");
        assert!(message.contains("NaN at line 3 column 3"), "{message}");
        let message = parse_text(r#"{"input_data": [[nano]]}"#).expect_err("a word");
        assert!(!message.contains("finite number is") && message.contains("line 1"), "{message}");
    }

    #[test]
    fn values_of_a_file_are_not_quoted() {
        for list in ["[[1, \"98765, expected 98765\"]]", "98765", "[98765.5]", "[[98765e400]]", "[[true]]"] {
            let message = parse_text(&format!("{{\"input_data\": {list}}}")).expect_err(list);
            assert!(!message.contains("98765") && message.contains("line 1"), "{message}");
        }
    }

    #[test]
    fn nested_lists_are_to_be_flattened() {
        for text in [r#"{"input_data": [[[1]]]}"#, r#"{"input_data": [[1, [2]]]}"#, r#"{"input_data": [[[]]]}"#] {
            let message = parse_text(text).expect_err(text);
            assert!(message.contains("flatten") && message.contains("line 1"), "{message}");
        }
        let message = parse_text(r#"{"input_data": [[null]]}"#).expect_err("null");
        assert!(!message.contains("flatten") && message.contains("null"), "{message}");
    }

    #[test]
    fn a_byte_order_mark_is_passed_over_and_utf_16_named() {
        let text = r#"{"input_data": [[1]]}"#;
        assert_eq!(parse_text(&format!("\u{feff}{text}")), Ok(vec![vec![1.0]]));
        assert!(parse_text(&format!("\u{feff}\u{feff}{text}")).is_err());
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let bytes: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(to_bytes).collect();
            let message = parse(Path::new("input.json"), &bytes).expect_err("UTF-16").to_string();
            assert!(message.contains("UTF-16"), "{message}");
        }
    }

    #[test]
    fn a_stream_is_read_to_its_end_but_no_further_than_allowed() {
        let path = Path::new(STDIN_NAME);
        assert_eq!(read_stream(&b"four"[..], path, 4).expect("read"), b"four");
        let message = read_stream(std::io::repeat(b'1'), path, 2048).expect_err("endless").to_string();
        assert!(message.contains(STDIN_NAME) && message.contains("2 KiB"), "{message}");
    }

    #[test]
    fn what_does_not_fit_the_model_is_counted() {
        let inputs = [ModelInput { name: "x", len: 2, classes: None }];
        let message = |lists: &[Vec<f32>]| split(Path::new("input.json"), &inputs, lists).map_err(|e| e.to_string());
        assert_eq!(message(&[vec![1.0, 2.0, 3.0, 4.0]]).map(|samples| samples.len()), Ok(2));
        for (lists, said) in [
            (vec![], "input_data holds 0 lists, the model has 1 input\n"),
            (vec![vec![1.0, 2.0]; 2], "holds 2 lists, the model has 1 input\n"),
            (vec![vec![1.0]], "1 value, but input 'x' takes 2"),
            (vec![vec![]], "0 values, but input 'x' takes 2"),
        ] {
            assert!(message(&lists).is_err_and(|message| message.contains(said)), "{said}");
        }
    }

    #[test]
    fn other_shapes_of_json_are_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"input_data": [1]}"#,
            r#"{"input_data": [[[1]]]}"#,
            r#"{"input_data": [["1"]]}"#,
            r#"{"input_data": [[null]]}"#,
            r#"{"input_data": [[NaN]]}"#,
            r#"{"input_data": [[1e999]]}"#,
            r#"{"input_data": [[1]]} x"#,
        ] {
            let message = parse_text(text).expect_err(text);
            assert!(message.contains("input.json") && message.contains("hint:"), "{message}");
        }
    }
}
