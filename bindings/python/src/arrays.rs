//! Arrays as samples, and numbers as arrays.
//!
//! An input is an array of the model's shape, in the order of its axes. Where an array lies in memory is no matter:
//! that of another order, with negative strides, or of another byte order is read in the order of its indices. Its
//! shape is the model's own for one sample, or has one more axis in front that counts samples; where the model's first
//! axis is 1, that axis may count them, or be left out. So a shape says which elements are which, and none is guessed.

use numpy::ndarray::ArrayView1;
use numpy::{PyArray1, PyArrayDescrMethods, PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use zkml_gpu::graph::index;
use zkml_gpu::{ModelInput, Sample, read_samples};

use crate::boundary::run;
use crate::error::Failure;

/// Integers up to this are exact as 32-bit floats.
const MOST_EXACT: f64 = 16_777_216.0;

/// An input of a model, as arrays are to fit it.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// Shape of one sample in the model.
    pub(crate) shape: Vec<usize>,
    /// Elements of one sample.
    pub(crate) len: usize,
    /// Set where the elements are indices: the number that they are below.
    pub(crate) classes: Option<usize>,
}

impl Wanted {
    /// Inputs with their shapes.
    pub(crate) fn all(inputs: &[ModelInput<'_>], shapes: impl IntoIterator<Item = Vec<usize>>) -> Vec<Self> {
        let wanted = |(input, shape): (&ModelInput<'_>, Vec<usize>)| {
            let &ModelInput { name, len, classes } = input;
            Self { name: name.into(), shape, len, classes }
        };
        inputs.iter().zip(shapes).map(wanted).collect()
    }
}

/// Samples of a model from a file (a path), one array, several (a list, tuple, or dictionary by names), or what numpy
/// makes arrays of.
pub(crate) fn samples(value: &Bound<'_, PyAny>, wanted: &[Wanted]) -> PyResult<Vec<Sample>> {
    let py = value.py();
    if let Ok(path) = value.extract::<std::path::PathBuf>() {
        let mut inputs = Vec::new();
        for Wanted { name, len, classes, .. } in wanted {
            inputs.push(ModelInput { name, len: *len, classes: *classes });
        }
        return run(py, None, || Ok(read_samples(path, &inputs)?));
    }
    let arrays = by_input(value, wanted)?;
    let mut samples: Vec<Sample> = Vec::new();
    for (place, (array, wanted)) in arrays.iter().zip(wanted).enumerate() {
        let (count, numbers) = numbers(array, wanted)?;
        if place > 0 && count != samples.len() {
            let (name, before) = (&wanted.name, samples.len());
            let problem = format!("input '{name}' holds {count} samples, those before it hold {before}");
            return Err(shape_error(problem).into());
        }
        samples.resize(count, Sample::new());
        samples
            .iter_mut()
            .zip(numbers.chunks_exact(wanted.len.max(1)))
            .for_each(|(sample, own)| sample.push(own.to_vec()));
    }
    Ok(samples)
}

/// One array for each input.
fn by_input<'py>(value: &Bound<'py, PyAny>, wanted: &[Wanted]) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let names = || wanted.iter().map(|wanted| format!("'{}'", wanted.name)).collect::<Vec<_>>().join(", ");
    if let Ok(named) = value.cast::<PyDict>() {
        let hint = "give one array for each input, by these names";
        for key in named.keys() {
            if !wanted.iter().any(|wanted| key.eq(&wanted.name).unwrap_or(false)) {
                let problem = format!("the model has no input {}: it has {}", key.repr()?, names());
                return Err(Failure::arguments(problem, hint).into());
            }
        }
        let array = |wanted: &Wanted| match named.get_item(&wanted.name)? {
            Some(array) => Ok(array),
            None => Err(Failure::arguments(format!("input '{}' is missing", wanted.name), hint).into()),
        };
        return wanted.iter().map(array).collect();
    }
    let several = match (value.cast::<PyList>(), value.cast::<PyTuple>()) {
        (Ok(list), _) => Some(list.iter().collect::<Vec<_>>()),
        (_, Ok(tuple)) => Some(tuple.iter().collect()),
        _ => None,
    };
    let is_array = |item: &Bound<'_, PyAny>| item.cast::<PyUntypedArray>().is_ok();
    let arrays = match several {
        // Of a model with one input a list of numbers is that input.
        Some(items) if wanted.len() > 1 || items.first().is_some_and(|item| items.len() == 1 && is_array(item)) => {
            items
        }
        _ => vec![value.clone()],
    };
    if arrays.len() == wanted.len() {
        return Ok(arrays);
    }
    let problem =
        format!("{} given, and the model has {} inputs: {}", arrays_text(arrays.len()), wanted.len(), names());
    Err(Failure::arguments(problem, "give a list with one array for each input, or a dictionary by their names").into())
}

fn arrays_text(count: usize) -> String {
    if count == 1 { "1 array is".into() } else { format!("{count} arrays are") }
}

/// The numbers of an array, in the order of its indices, and how many samples they are.
fn numbers(value: &Bound<'_, PyAny>, wanted: &Wanted) -> PyResult<(usize, Vec<f32>)> {
    let (shape, numbers) = floats(value, &wanted.name)?;
    let count = samples_of(&shape, wanted)?;
    check_values(&numbers, &shape, wanted)?;
    Ok((count, numbers))
}

/// An array's shape, and its elements as 32-bit floats in the order of its indices.
pub(crate) fn floats(value: &Bound<'_, PyAny>, name: &str) -> PyResult<(Vec<usize>, Vec<f32>)> {
    let py = value.py();
    let numpy = py.import("numpy")?;
    let type_error = |problem: String| {
        let hint = "give numbers: floats, integers or booleans";
        PyErr::from(Failure::new("ElementTypeError", "element_type", format!("input '{name}' {problem}\nhint: {hint}")))
    };
    if numpy.getattr("ma")?.call_method1("isMaskedArray", (value,))?.is_truthy()? {
        return Err(type_error("is a masked array, of which elements have no value".into()));
    }
    let array = numpy
        .call_method1("asarray", (value,))
        .map_err(|error| type_error(format!("is no array: {}", error.value(py))))?
        .cast_into::<PyUntypedArray>()?;
    let shape = array.shape().to_vec();
    let (kind, size) = (array.dtype().kind(), array.dtype().itemsize());
    let require = |to: &str| -> PyResult<Bound<'_, PyAny>> {
        // Copies what is in another order, byte order or place than processors read.
        numpy.call_method1("require", (&array, numpy.getattr(to)?, ("C", "A")))
    };
    match kind {
        b'f' if size == size_of::<f32>() => {
            let array: PyReadonlyArrayDyn<'_, f32> = require("float32")?.extract()?;
            Ok((shape, array.as_slice()?.to_vec()))
        }
        b'f' | b'i' | b'u' | b'b' => {
            let array: PyReadonlyArrayDyn<'_, f64> = require("float64")?.extract()?;
            let is_whole = kind != b'f';
            let narrow = |(place, number): (usize, &f64)| {
                let narrow = *number as f32;
                let lost = is_whole && number.abs() > MOST_EXACT || number.is_finite() && !narrow.is_finite();
                match lost {
                    false => Ok(narrow),
                    true => {
                        let at = place_text(place, &shape);
                        let problem = format!("input '{name}' holds a number at {at} that no 32-bit float is");
                        let hint = "scale it as the model was trained";
                        Err(Failure::new("ValuesError", "values", format!("{problem}\nhint: {hint}")))
                    }
                }
            };
            let numbers: Result<Vec<f32>, Failure> = array.as_slice()?.iter().enumerate().map(narrow).collect();
            Ok((shape.clone(), numbers?))
        }
        _ => Err(type_error(format!("is of type {}", array.dtype()))),
    }
}

/// How many samples an array of this shape holds.
fn samples_of(shape: &[usize], wanted: &Wanted) -> Result<usize, Failure> {
    let own = &wanted.shape[..];
    let (is_counted, inner) = match own.split_first() {
        Some((1, inner)) => (true, inner),
        _ => (false, own),
    };
    let count = match shape.split_first() {
        _ if shape == own => Some(1),
        _ if is_counted && shape == inner => Some(1),
        Some((count, rest)) if rest == own || is_counted && rest == inner => Some(*count),
        _ => None,
    };
    let name = &wanted.name;
    match count {
        Some(0) => Err(shape_error(format!("input '{name}' holds no sample: its shape is {shape:?}"))),
        Some(count) => Ok(count),
        None => Err(shape_error(format!(
            "input '{name}' has the shape {shape:?}, the model takes {own:?}, or {} of n samples",
            if is_counted { text_of("n", inner) } else { text_of("n", own) }
        ))),
    }
}

fn text_of(first: &str, rest: &[usize]) -> String {
    let axes: Vec<String> = std::iter::once(first.to_owned()).chain(rest.iter().map(usize::to_string)).collect();
    format!("[{}]", axes.join(", "))
}

fn shape_error(problem: String) -> Failure {
    let hint = "reshape or transpose the array: its indices are to be those of the model's axes";
    Failure::new("ShapeError", "shape", format!("{problem}\nhint: {hint}"))
}

/// Refuses what is no number, and what is no index where indices are taken.
fn check_values(numbers: &[f32], shape: &[usize], wanted: &Wanted) -> Result<(), Failure> {
    let name = &wanted.name;
    let fail = |problem: String, hint: &str| {
        Err(Failure::new("ValuesError", "values", format!("input '{name}' {problem}\nhint: {hint}")))
    };
    if let Some(place) = numbers.iter().position(|number| !number.is_finite()) {
        let what = if numbers[place].is_nan() { "NaN" } else { "an infinite number" };
        let at = place_text(place, shape);
        return fail(format!("holds {what} at {at}"), "nothing is proved of what is no number: replace it");
    }
    let is_wrong = |number: &f32| wanted.classes.is_some_and(|classes| index(*number, classes).is_none());
    if let Some(place) = numbers.iter().position(is_wrong) {
        let (at, most) = (place_text(place, shape), wanted.classes.unwrap_or_default().saturating_sub(1));
        return fail(format!("holds no index at {at}"), &format!("give whole numbers from 0 to {most}"));
    }
    Ok(())
}

/// Indices of an element.
fn place_text(mut place: usize, shape: &[usize]) -> String {
    let mut indices: Vec<usize> = Vec::new();
    for extent in shape.iter().rev() {
        indices.push(place % extent.max(&1));
        place /= extent.max(&1);
    }
    indices.reverse();
    format!("{indices:?}")
}

/// An array of 64-bit floats.
pub(crate) fn reals<'py>(py: Python<'py>, numbers: &[f64], shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    shaped(PyArray1::from_slice(py, numbers).into_any(), numbers.len(), shape)
}

/// An array of 32-bit floats.
pub(crate) fn singles<'py>(py: Python<'py>, numbers: Vec<f32>, shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    let len = numbers.len();
    shaped(PyArray1::from_vec(py, numbers).into_any(), len, shape)
}

/// An array of 64-bit integers.
pub(crate) fn integers<'py>(py: Python<'py>, numbers: &[i64], shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    let numbers = ArrayView1::from(numbers);
    shaped(PyArray1::from_array(py, &numbers).into_any(), numbers.len(), shape)
}

/// A flat array as one of a shape, which a file may tell in any way.
fn shaped<'py>(flat: Bound<'py, PyAny>, len: usize, shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    if shape.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent)) != Some(len) {
        let problem = format!("{len} values have not the shape {shape:?} that the file tells");
        let hint = "verify the proof: it is damaged, or forged";
        return Err(Failure::new("ArtifactError", "artifact", format!("{problem}\nhint: {hint}")).into());
    }
    flat.call_method1("reshape", (PyTuple::new(flat.py(), shape)?,))
}
