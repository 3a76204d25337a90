//! What C gives and takes, checked as far as it can be: nulls, sizes, text.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;

use crate::status::{Failure, Status, guarded};

/// Bytes that the library has made. `zkml_bytes_free` frees them.
#[repr(C)]
#[derive(Debug)]
pub struct Bytes {
    /// The first of them.
    pub data: *mut u8,
    /// How many.
    pub len: usize,
}

/// Frees bytes of the library's, and makes them none: a second call does nothing, and null does nothing.
///
/// # Safety
/// `bytes` is null, or what a function of this library has written and nobody has changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_bytes_free(bytes: *mut Bytes) {
    // SAFETY: null, or the caller's promise.
    let Some(bytes) = (unsafe { bytes.as_mut() }) else { return };
    if !bytes.data.is_null() {
        let slice = std::ptr::slice_from_raw_parts_mut(bytes.data, bytes.len);
        // SAFETY: `give_bytes` has made it of a box, with this length.
        drop(unsafe { Box::from_raw(slice) });
    }
    (bytes.data, bytes.len) = (std::ptr::null_mut(), 0);
}

/// Writes bytes of the library's.
///
/// # Safety
/// `out` is null, or leads to a `Bytes` that may be written.
pub(crate) unsafe fn give_bytes(out: *mut Bytes, name: &str, bytes: Vec<u8>) -> Result<(), Failure> {
    let out = checked_mut(out, name)?;
    let bytes = Box::leak(bytes.into_boxed_slice());
    // SAFETY: not null, and the caller's promise.
    unsafe { out.write(Bytes { data: bytes.as_mut_ptr(), len: bytes.len() }) };
    Ok(())
}

/// Hands an object to C, which frees it.
///
/// # Safety
/// `out` is null, or leads to a pointer that may be written.
pub(crate) unsafe fn give<T>(
    out: *mut *mut T,
    name: &str,
    make: impl FnOnce() -> Result<T, Failure>,
) -> Result<(), Failure> {
    let out = checked_mut(out, name)?;
    // What is not made is null: it may be freed.
    // SAFETY: not null, and the caller's promise.
    unsafe { out.write(std::ptr::null_mut()) };
    let object = Box::into_raw(Box::new(make()?));
    // SAFETY: as above.
    unsafe { out.write(object) };
    Ok(())
}

/// Frees an object, also where its end panics.
///
/// # Safety
/// `object` is null, or one that `give` has handed out and nobody uses any more.
pub(crate) unsafe fn free<T>(object: *mut T) {
    if !object.is_null() {
        // SAFETY: the caller's promise.
        let object = unsafe { Box::from_raw(object) };
        let _: Status = guarded(|| {
            drop(object);
            Ok(())
        });
    }
}

/// An object of the library's.
///
/// # Safety
/// `object` is null, or one that `give` has handed out and that is not freed during `'a`.
pub(crate) unsafe fn object<'a, T>(object: *const T, name: &str) -> Result<&'a T, Failure> {
    // SAFETY: null, or the caller's promise.
    unsafe { object.as_ref() }.ok_or_else(|| null(name))
}

/// A number of elements.
///
/// # Safety
/// `data` is null, or leads to `len` elements, which nobody writes during `'a`.
pub(crate) unsafe fn slice<'a, T>(data: *const T, len: usize, name: &str) -> Result<&'a [T], Failure> {
    check_len::<T>(len, name)?;
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(name));
    }
    check_alignment(data, name)?;
    // SAFETY: not null, aligned, no longer than memory, and the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// As [`slice`], to be written.
///
/// # Safety
/// `data` is null, or leads to `len` elements, which nobody else uses during `'a`.
pub(crate) unsafe fn slice_mut<'a, T>(data: *mut T, len: usize, name: &str) -> Result<&'a mut [T], Failure> {
    check_len::<T>(len, name)?;
    if len == 0 {
        return Ok(&mut []);
    }
    let data = checked_mut(data, name)?;
    // SAFETY: not null, aligned, no longer than memory, and the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(data, len) })
}

/// Text of C's.
///
/// # Safety
/// `text` is null, or leads to bytes that end with a zero and that nobody writes during `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(null(name));
    }
    // SAFETY: not null, and the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Failure::bad_input(format!("{name} is no UTF-8\nhint: give text in UTF-8")))
}

/// The path of a file.
///
/// # Safety
/// As for [`text`].
pub(crate) unsafe fn path(path: *const c_char, name: &str) -> Result<PathBuf, Failure> {
    // SAFETY: the caller's promise.
    Ok(PathBuf::from(unsafe { text(path, name) }?))
}

/// A place that may be written.
pub(crate) fn checked_mut<T>(place: *mut T, name: &str) -> Result<*mut T, Failure> {
    if place.is_null() {
        return Err(null(name));
    }
    check_alignment(place.cast_const(), name)?;
    Ok(place)
}

/// Bytes of so many things, no more than memory can hold.
pub(crate) fn bytes_of(count: usize, bytes: usize, name: &str) -> Result<usize, Failure> {
    let product = count.checked_mul(bytes).filter(|product| isize::try_from(*product).is_ok());
    product.ok_or_else(|| Failure::bad_input(format!("{name}: {count} of {bytes} bytes are more than memory can hold")))
}

fn check_len<T>(len: usize, name: &str) -> Result<(), Failure> {
    bytes_of(len, size_of::<T>().max(1), name).map(drop)
}

fn check_alignment<T>(data: *const T, name: &str) -> Result<(), Failure> {
    match data.is_aligned() {
        true => Ok(()),
        false => Err(Failure::bad_input(format!("{name} is not aligned to {} bytes", align_of::<T>()))),
    }
}

fn null(name: &str) -> Failure {
    Failure::bad_input(format!("{name} is null"))
}
