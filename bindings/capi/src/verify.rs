//! Verifying keys, and what accepted proofs show.

use std::ffi::{CString, c_char};

use zkml_gpu::{ModelKey, ProofBundle};

use crate::pointers::{checked_mut, free, give, object, path, slice};
use crate::status::{Failure, Status, guarded};

/// A verifying key, `NAME.vk`: all that a verifier trusts. Get it from someone you trust.
#[derive(Debug)]
pub struct Key(ModelKey);

/// What an accepted proof shows.
#[derive(Debug)]
pub struct Verdict {
    model: CString,
    outputs: Vec<Vec<f64>>,
    inputs: Vec<Vec<f64>>,
}

/// Reads `NAME.vk`; nothing in the file is believed but that it is the model's.
///
/// # Safety
/// `file` is text that ends with a zero, `key` a place for a pointer. It is null unless the status is `OK`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_key_read(file: *const c_char, key: *mut *mut Key) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise.
        unsafe { give(key, "key", || Ok(Key(ModelKey::read(path(file, "file")?)?))) }
    })
}

/// As `zkml_key_read`, from `len` bytes in memory.
///
/// # Safety
/// `data` leads to `len` bytes, `key` is a place for a pointer. It is null unless the status is `OK`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_key_from_bytes(data: *const u8, len: usize, key: *mut *mut Key) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise.
        unsafe { give(key, "key", || Ok(Key(ModelKey::from_bytes(slice(data, len, "data")?, "bytes in memory")?))) }
    })
}

/// Frees a key; null is allowed.
///
/// # Safety
/// `key` is null, or one of this library's that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_key_free(key: *mut Key) {
    // SAFETY: the caller's promise.
    unsafe { free(key) }
}

/// Checks a proof: `len` bytes of a `proof.json`, from whoever. `OK` says that it holds, `REJECTED` that it does
/// not, with the reason in `zkml_last_error()`.
///
/// `verdict` may be null; otherwise it is what the proof shows, and null unless the status is `OK`.
///
/// # Safety
/// `key` is one of this library's, `proof` leads to `len` bytes, `verdict` is null or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_verify(
    key: *const Key,
    proof: *const u8,
    len: usize,
    verdict: *mut *mut Verdict,
) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise, of all three.
        let check = || unsafe {
            let Key(key) = object(key, "key")?;
            let proof = ProofBundle::from_json(slice(proof, len, "proof")?, "proof")?;
            let rejected = |words: String| Failure { status: Status::Rejected, words };
            key.verify(&proof).map_err(|rejection| rejected(rejection.to_string()))?;
            let reals = |tensors: &[zkml_gpu::PublicTensor]| tensors.iter().map(|tensor| tensor.reals()).collect();
            let model = CString::new(key.model()).unwrap_or_default();
            Ok(Verdict { model, outputs: reals(&proof.outputs), inputs: reals(&proof.inputs) })
        };
        match verdict.is_null() {
            true => check().map(drop),
            // SAFETY: the caller's promise.
            false => unsafe { give(verdict, "verdict", check) },
        }
    })
}

/// The model's name, from the key; null for null. It is there as long as the verdict.
///
/// # Safety
/// `verdict` is null, or one of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_verdict_model(verdict: *const Verdict) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { verdict.as_ref() }.map_or(std::ptr::null(), |verdict| verdict.model.as_ptr())
}

/// The numbers of output `index` that were proved, in the order of the model's axes: 64-bit floats, exactly the
/// integers of the proof times their scale. None where the output is hidden. They are there as long as the verdict.
///
/// # Safety
/// `verdict` is one of this library's, `data` and `len` are places that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_verdict_output(
    verdict: *const Verdict,
    index: usize,
    data: *mut *const f64,
    len: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    guarded(|| unsafe { give_numbers(&object(verdict, "verdict")?.outputs, "output", index, (data, len)) })
}

/// As `zkml_verdict_output`, of input `index`.
///
/// # Safety
/// As for `zkml_verdict_output`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_verdict_input(
    verdict: *const Verdict,
    index: usize,
    data: *mut *const f64,
    len: *mut usize,
) -> Status {
    // SAFETY: the caller's promise.
    guarded(|| unsafe { give_numbers(&object(verdict, "verdict")?.inputs, "input", index, (data, len)) })
}

/// # Safety
/// Both places are null, or may be written.
unsafe fn give_numbers(
    tensors: &[Vec<f64>],
    what: &str,
    index: usize,
    (data, len): (*mut *const f64, *mut usize),
) -> Result<(), Failure> {
    let (data, len) = (checked_mut(data, "data")?, checked_mut(len, "len")?);
    let count = tensors.len();
    let missing = || Failure::bad_input(format!("there is no {what} {index}: the model has {count}, from 0 on"));
    let numbers = tensors.get(index).ok_or_else(missing)?;
    // SAFETY: not null, and the caller's promise.
    unsafe {
        data.write(numbers.as_ptr());
        len.write(numbers.len());
    }
    Ok(())
}

/// Frees a verdict; null is allowed.
///
/// # Safety
/// `verdict` is null, or one of this library's that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_verdict_free(verdict: *mut Verdict) {
    // SAFETY: the caller's promise.
    unsafe { free(verdict) }
}
