//! Provers: a proving key that is loaded to a back end.

use std::ffi::{CString, c_char};

use rand_core::OsRng;
use zkml_gpu::{BackendChoice, Error, ModelProver, ProverKey, Sample, saturation};

use crate::pointers::{Bytes, checked_mut, free, give, give_bytes, object, path, slice, text};
use crate::status::{Failure, Status, guarded};

/// A model that is ready to prove.
#[derive(Debug)]
pub struct ProverHandle {
    prover: ModelProver,
    device: CString,
}

/// Reads `NAME.pk`, one's own file, and loads it to a back end: `auto`, `cpu`, `wgpu`, `cuda`, `icicle`, with `:N`
/// for one of several devices.
///
/// `max_memory_bytes` bounds what it uses; 0 takes what is free.
///
/// # Safety
/// `file` and `backend` are text that ends with a zero, `prover` is a place for a pointer. It is null unless the
/// status is `OK`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_prover_open(
    file: *const c_char,
    backend: *const c_char,
    max_memory_bytes: u64,
    prover: *mut *mut ProverHandle,
) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise.
        let open = || unsafe {
            let backend = text(backend, "backend")?.parse::<BackendChoice>().map_err(Error::from)?;
            let key = ProverKey::read(path(file, "file")?)?;
            let budget = key.model().memory_budget((max_memory_bytes > 0).then_some(max_memory_bytes))?;
            let prover = key.prover(&backend, &budget)?;
            let device = CString::new(prover.device()).unwrap_or_default();
            Ok(ProverHandle { prover, device })
        };
        // SAFETY: the caller's promise.
        unsafe { give(prover, "prover", open) }
    })
}

/// The device in words, UTF-8; null for null. It is there as long as the prover.
///
/// # Safety
/// `prover` is null, or one of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_prover_device(prover: *const ProverHandle) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { prover.as_ref() }.map_or(std::ptr::null(), |prover| prover.device.as_ptr())
}

/// How many numbers input `index` takes in a proof. Beyond the last input the status is `BAD_INPUT`.
///
/// # Safety
/// `prover` is one of this library's, `len` a place that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_prover_input_len(prover: *const ProverHandle, index: usize, len: *mut usize) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise.
        let prover = &unsafe { object(prover, "prover") }?.prover;
        let (len, lens) = (checked_mut(len, "len")?, lens(prover));
        let missing =
            || Failure::bad_input(format!("there is no input {index}: the model has {}, from 0 on", lens.len()));
        // SAFETY: not null, and the caller's promise.
        unsafe { len.write(*lens.get(index).ok_or_else(missing)?) };
        Ok(())
    })
}

/// Numbers of each input in a proof.
fn lens(prover: &ModelProver) -> Vec<usize> {
    let model = prover.model();
    model.inputs().iter().map(|input| input.len * model.inferences()).collect()
}

/// Proves what the model gives for an input, and verifies the proof.
///
/// `inputs` has a pointer for each input, in the model's order, to as many 32-bit floats as `lens` says beside it,
/// in the order of the model's axes; of a model for several inferences in a proof, all of them one after the other.
/// `proof` gets the bytes of a `proof.json`, which `zkml_bytes_free` frees; it is changed only where the status is
/// `OK`.
///
/// `max_saturation` is the share of an input's values, 0 to 1, that may lie beyond the calibrated range, where they
/// are clamped.
///
/// # Safety
/// `prover` is one of this library's; `inputs` and `lens` lead to `count` elements, and each pointer to as many
/// numbers as the length beside it; `proof` is a place that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_prove(
    prover: *const ProverHandle,
    inputs: *const *const f32,
    lens: *const usize,
    count: usize,
    max_saturation: f64,
    proof: *mut Bytes,
) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise, of all four.
        let (prover, inputs, given) = unsafe {
            (&object(prover, "prover")?.prover, slice(inputs, count, "inputs")?, slice(lens, count, "lens")?)
        };
        // Before the work that it is for.
        checked_mut(proof, "proof")?;
        // SAFETY: the caller's promise.
        let sample = unsafe { sample(prover, inputs, given) }?;
        if !(0.0..=1.0).contains(&max_saturation) {
            return Err(Failure::bad_input(format!("max_saturation {max_saturation} is no share from 0 to 1")));
        }
        if let Some(clamped) = saturation(prover.model(), &sample).filter(|clamped| clamped.share > max_saturation) {
            let (name, share, [low, high]) = (clamped.input, 100.0 * clamped.share, clamped.range);
            return Err(Failure::bad_input(format!(
                "{share:.1} % of input '{name}' lies beyond {low} to {high}, the range of the calibration\n\
                 hint: scale it as the samples were; a greater max_saturation clamps it"
            )));
        }
        let bundle = prover.prove(&sample, OsRng)?.bundle;
        let bug = |rejection| Error::Internal(format!("the proof just made was rejected: {rejection}"));
        prover.key().verify(&bundle).map_err(bug)?;
        // SAFETY: the caller's promise.
        unsafe { give_bytes(proof, "proof", bundle.to_json()?) }
    })
}

/// The numbers of one proof, of the right number for each input, and finite.
///
/// # Safety
/// Each pointer is null, or leads to as many numbers as the length beside it.
unsafe fn sample(prover: &ModelProver, inputs: &[*const f32], given: &[usize]) -> Result<Sample, Failure> {
    let lens = lens(prover);
    if inputs.len() != lens.len() {
        let problem = format!("{} inputs are given, and the model has {}", inputs.len(), lens.len());
        return Err(Failure::bad_input(problem));
    }
    let mut sample = Sample::new();
    for (index, ((data, given), wanted)) in inputs.iter().zip(given).zip(&lens).enumerate() {
        if given != wanted {
            return Err(Failure::bad_input(format!("input {index} has {given} numbers, and the model takes {wanted}")));
        }
        // SAFETY: the caller's promise.
        let numbers = unsafe { slice(*data, *given, &format!("inputs[{index}]")) }?;
        let classes = prover.model().inputs()[index].classes;
        let is_index = |number: &f32| classes.is_none_or(|most| zkml_gpu::graph::index(*number, most).is_some());
        if let Some(place) = numbers.iter().position(|number| !number.is_finite() || !is_index(number)) {
            let problem = format!("number {place} of input {index} is not finite, or no index where one is taken");
            return Err(Failure::bad_input(problem));
        }
        sample.push(numbers.to_vec());
    }
    Ok(sample)
}

/// The verifying key to publish: the bytes of `NAME.vk`, which `zkml_bytes_free` frees.
///
/// # Safety
/// `prover` is one of this library's, `key` a place that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_prover_key(prover: *const ProverHandle, key: *mut Bytes) -> Status {
    // SAFETY: the caller's promise.
    guarded(|| unsafe { give_bytes(key, "key", object(prover, "prover")?.prover.key().to_bytes().to_vec()) })
}

/// Frees a prover; null is allowed.
///
/// # Safety
/// `prover` is null, or one of this library's that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_prover_free(prover: *mut ProverHandle) {
    // SAFETY: the caller's promise.
    unsafe { free(prover) }
}
