//! Input and calibration files, in EZKL's format.

use std::path::Path;

use serde::Deserialize;
use zkml_gpu_graph::index;
use zkml_gpu_onnx::quant::Sample;

use crate::{Error, ModelInput, read_bounded};

/// Largest input file that is read.
const MAX_BYTES: u64 = 1 << 30;
/// Most samples of a file: each takes memory of its own, however small its input is.
const MAX_SAMPLES: usize = 1 << 16;

/// The samples of an input or calibration file: `{"input_data": [[...], ...]}`, one flat list for each input of the
/// model, in the order of its axes. A list n times the input's size holds n samples. Other keys are ignored.
///
/// # Errors
/// [`Error::File`] and [`Error::Input`], the latter for anything but finite 32-bit floats, and whole numbers where
/// indices are taken, in lists of the right sizes.
pub fn read_samples(path: impl AsRef<Path>, inputs: &[ModelInput<'_>]) -> Result<Vec<Sample>, Error> {
    let path = path.as_ref();
    let lists = parse(path, &read_bounded(path, MAX_BYTES)?)?;
    split(path, inputs, &lists)
}

/// The one key that counts.
#[derive(Deserialize)]
struct InputFile {
    input_data: Vec<Vec<f64>>,
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<Vec<f32>>, Error> {
    let fail = |problem| Error::Input { path: path.into(), problem };
    let file: InputFile = serde_json::from_slice(bytes).map_err(|error| fail(error.to_string()))?;
    let finite = |list: usize, index: usize, value: f64| {
        let narrow = value as f32;
        if narrow.is_finite() {
            Ok(narrow)
        } else {
            Err(fail(format!("input_data[{list}][{index}]: {value:e} is beyond a 32-bit float")))
        }
    };
    let lists = file.input_data.iter().enumerate();
    lists.map(|(list, values)| values.iter().enumerate().map(|(i, v)| finite(list, i, *v)).collect()).collect()
}

fn split(path: &Path, inputs: &[ModelInput<'_>], lists: &[Vec<f32>]) -> Result<Vec<Sample>, Error> {
    let fail = |problem| Err(Error::Input { path: path.into(), problem });
    if lists.len() != inputs.len() {
        return fail(format!("input_data holds {} lists, the model has {} inputs", lists.len(), inputs.len()));
    }
    let mut samples: Vec<Sample> = Vec::new();
    for (list, (ModelInput { name, len, classes }, values)) in inputs.iter().zip(lists).enumerate() {
        let count = values.len() / (*len).max(1);
        if *len == 0 || values.is_empty() || !values.len().is_multiple_of(*len) {
            return fail(format!("input_data[{list}]: {} values, but input '{name}' takes {len}", values.len()));
        }
        let is_wrong = |value: &f32| classes.is_some_and(|classes| index(*value, classes).is_none());
        if let Some(place) = values.iter().position(is_wrong) {
            let most = classes.unwrap_or_default() - 1;
            let problem = format!("{} is no whole number from 0 to {most}, as input '{name}' takes", values[place]);
            return fail(format!("input_data[{list}][{place}]: {problem}"));
        }
        if count > MAX_SAMPLES {
            return fail(format!("input_data[{list}]: {count} samples, at most {MAX_SAMPLES} are read"));
        }
        if list > 0 && count != samples.len() {
            return fail(format!("input_data[{list}]: {count} samples, but the lists before hold {}", samples.len()));
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
