//! Operations that other provers need, on any back end: multi-scalar multiplication against resident points, and
//! number-theoretic transforms.

use std::ffi::{CString, c_char};

use ff::PrimeField;
use halo2curves::CurveAffine;
use halo2curves::bn256::{Fq, Fr, G1Affine};
use rayon::prelude::*;
use zkml_gpu::{BackendChoice, Error};
use zkml_gpu_engine::backend::{Any, MemoryOps, MsmOps, NttOps};

use crate::pointers::{bytes_of, free, give, object, slice, slice_mut, text};
use crate::status::{Failure, Status, guarded};

/// Bytes of a field element.
const ELEMENT_BYTES: usize = 32;
/// Bytes of a point.
const POINT_BYTES: usize = 64;
/// The field's greatest power of two, as a logarithm.
const MOST_LOG_N: u32 = Fr::S;

/// Hardware that computes.
#[derive(Debug)]
pub struct Backend {
    backend: Any,
    device: CString,
}

/// Points that are resident on a back end.
#[derive(Debug)]
pub struct BasesHandle {
    backend: Any,
    bases: <Any as MsmOps>::Bases,
}

/// Which way a transform goes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Coefficients to values.
    Forward = 0,
    /// Values to coefficients.
    Inverse = 1,
}

/// Opens a back end: `auto`, `cpu`, `wgpu`, `cuda`, `icicle`, with `:N` for one of several devices.
///
/// # Safety
/// `name` is text that ends with a zero, `backend` a place for a pointer. It is null unless the status is `OK`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_backend_open(name: *const c_char, backend: *mut *mut Backend) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise.
        let open = || unsafe {
            let choice = text(name, "name")?.parse::<BackendChoice>().map_err(Error::from)?;
            let backend = choice.open().map_err(Error::from)?;
            let device = CString::new(backend.description()).unwrap_or_default();
            Ok(Backend { backend, device })
        };
        // SAFETY: the caller's promise.
        unsafe { give(backend, "backend", open) }
    })
}

/// The device in words, UTF-8; null for null. It is there as long as the back end.
///
/// # Safety
/// `backend` is null, or one of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_backend_device(backend: *const Backend) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { backend.as_ref() }.map_or(std::ptr::null(), |backend| backend.device.as_ptr())
}

/// Frees a back end; null is allowed. Points that were loaded to it are still good.
///
/// # Safety
/// `backend` is null, or one of this library's that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_backend_free(backend: *mut Backend) {
    // SAFETY: the caller's promise.
    unsafe { free(backend) }
}

/// Makes `count` points resident, for any number of multiplications. Points that are not on the curve are refused
/// by their place. `table_bytes` is what multiples of them may take on the device, which make multiplications
/// faster; 0 for none.
///
/// # Safety
/// `backend` is one of this library's, `points` leads to `count` points of 64 bytes, `bases` is a place for a
/// pointer. It is null unless the status is `OK`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_bases_load(
    backend: *const Backend,
    points: *const u8,
    count: usize,
    table_bytes: usize,
    bases: *mut *mut BasesHandle,
) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise, of both.
        let load = || unsafe {
            let backend = &object(backend, "backend")?.backend;
            let bytes = slice(points, bytes_of(count, POINT_BYTES, "points")?, "points")?;
            let points = bytes.par_chunks_exact(POINT_BYTES).enumerate().map(|(place, bytes)| {
                let refused =
                    || Failure::bad_input(format!("point {place} is not on the curve, or not below the order"));
                point(bytes).ok_or_else(refused)
            });
            let points: Vec<G1Affine> = points.collect::<Result<_, _>>()?;
            let bases = backend.load_bases(&points, table_bytes)?;
            Ok(BasesHandle { backend: backend.clone(), bases })
        };
        // SAFETY: the caller's promise.
        unsafe { give(bases, "bases", load) }
    })
}

/// Frees points; null is allowed.
///
/// # Safety
/// `bases` is null, or one of this library's that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_bases_free(bases: *mut BasesHandle) {
    // SAFETY: the caller's promise.
    unsafe { free(bases) }
}

/// Multi-scalar multiplication: for each of `columns` columns of `len` scalars, one column after the other, the sum
/// of each scalar times the point of its place. A column may be shorter than the points. Not in constant time.
///
/// # Safety
/// `bases` is one of this library's, `scalars` leads to `columns * len` elements of 32 bytes, `results` to
/// `columns` points of 64, which are written where the status is `OK`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_msm(
    bases: *const BasesHandle,
    scalars: *const u8,
    len: usize,
    columns: usize,
    results: *mut u8,
) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise.
        let BasesHandle { backend, bases } = unsafe { object(bases, "bases") }?;
        let count = bytes_of(columns, len, "scalars")?;
        // SAFETY: the caller's promise, of both.
        let (scalars, results) = unsafe {
            let scalars = slice(scalars, bytes_of(count, ELEMENT_BYTES, "scalars")?, "scalars")?;
            (scalars, slice_mut(results, bytes_of(columns, POINT_BYTES, "results")?, "results")?)
        };
        let points = backend.bases_len(bases);
        if len > points {
            return Err(Failure::bad_input(format!("a column has {len} scalars, and there are {points} points")));
        }
        if len == 0 {
            // The sum of nothing.
            results.fill(0);
            return Ok(());
        }
        let scalars = elements(scalars, "scalar")?;
        let uploaded: Vec<_> = backend.upload_columns(&scalars.chunks_exact(len).collect::<Vec<_>>())?;
        let sums = backend.msm(bases, &uploaded.iter().collect::<Vec<_>>())?;
        for (sum, bytes) in sums.iter().zip(results.chunks_exact_mut(POINT_BYTES)) {
            write_point(sum, bytes);
        }
        Ok(())
    })
}

/// Number-theoretic transforms of `columns` columns of `2^log_n` elements, one column after the other, in the place
/// of the input and in natural order: `FORWARD` gives the values of the polynomials at the powers of the root of
/// unity that Halo2 uses, `7^((r - 1) / 2^log_n)`; `INVERSE` gives the coefficients of such values.
///
/// `direction` is one of `zkml_direction`. `shift` is null, or an element of 32 bytes: `FORWARD` then gives the
/// values at its products with those powers.
///
/// # Safety
/// `backend` is one of this library's, `values` leads to `columns * 2^log_n` elements of 32 bytes, which are
/// changed where the status is `OK`; `shift` is null, or leads to 32 bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkml_ntt(
    backend: *const Backend,
    values: *mut u8,
    log_n: u32,
    columns: usize,
    direction: i32,
    shift: *const u8,
) -> Status {
    guarded(|| {
        // SAFETY: the caller's promise.
        let backend = &unsafe { object(backend, "backend") }?.backend;
        // Any number may come from C.
        let known = [Direction::Forward, Direction::Inverse].into_iter().find(|known| *known as i32 == direction);
        let unknown = || Failure::bad_input(format!("direction is {direction}, and none of zkml_direction"));
        let direction = known.ok_or_else(unknown)?;
        if log_n > MOST_LOG_N {
            return Err(Failure::bad_input(format!(
                "log_n is {log_n}, and the field has transforms up to {MOST_LOG_N}"
            )));
        }
        let n = 1usize << log_n;
        let bytes = bytes_of(bytes_of(columns, n, "values")?, ELEMENT_BYTES, "values")?;
        // SAFETY: the caller's promise, of both.
        let (values, shift) = unsafe {
            let shift = (!shift.is_null()).then(|| slice(shift, ELEMENT_BYTES, "shift")).transpose()?;
            (slice_mut(values, bytes, "values")?, shift)
        };
        let shift = shift.map(|bytes| element(bytes).ok_or_else(|| not_below("shift", 0))).transpose()?;
        if direction == Direction::Inverse && shift.is_some() {
            return Err(Failure::bad_input("an inverse transform takes no shift: give null"));
        }
        let elements = elements(values, "value")?;
        let uploaded = backend.upload_columns(&elements.chunks_exact(n).collect::<Vec<_>>())?;
        let uploaded: Vec<_> = uploaded.iter().collect();
        let transformed = match (direction, shift) {
            (Direction::Forward, None) => backend.ntt(&uploaded),
            (Direction::Forward, Some(shift)) => backend.coset_ntt(&uploaded, shift),
            (Direction::Inverse, _) => backend.intt(&uploaded),
        }?;
        for (column, bytes) in transformed.iter().zip(values.chunks_exact_mut(n * ELEMENT_BYTES)) {
            let column = backend.download(column)?;
            let pairs = bytes.par_chunks_exact_mut(ELEMENT_BYTES).zip(&column);
            pairs.for_each(|(bytes, element)| bytes.copy_from_slice(element.to_repr().as_ref()));
        }
        Ok(())
    })
}

/// Elements of bytes; one that is not below the order is refused by its place.
fn elements(bytes: &[u8], what: &str) -> Result<Vec<Fr>, Failure> {
    let numbered = bytes.par_chunks_exact(ELEMENT_BYTES).enumerate();
    numbered.map(|(place, bytes)| element(bytes).ok_or_else(|| not_below(what, place))).collect()
}

fn not_below(what: &str, place: usize) -> Failure {
    Failure::bad_input(format!("{what} {place} is not below the field's order\nhint: reduce it"))
}

fn element(bytes: &[u8]) -> Option<Fr> {
    let mut repr = <Fr as PrimeField>::Repr::default();
    repr.as_mut().copy_from_slice(bytes);
    Option::from(Fr::from_repr(repr))
}

/// A point of bytes; none where it is not on the curve, or in another form.
fn point(bytes: &[u8]) -> Option<G1Affine> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Some(G1Affine::default());
    }
    let coordinate = |bytes: &[u8]| -> Option<Fq> {
        let mut repr = <Fq as PrimeField>::Repr::default();
        repr.as_mut().copy_from_slice(bytes);
        Option::from(Fq::from_repr(repr))
    };
    let (x, y) = bytes.split_at(ELEMENT_BYTES);
    Option::from(G1Affine::from_xy(coordinate(x)?, coordinate(y)?))
}

fn write_point(point: &G1Affine, bytes: &mut [u8]) {
    match Option::<halo2curves::Coordinates<G1Affine>>::from(point.coordinates()) {
        // The identity has no coordinates.
        None => bytes.fill(0),
        Some(coordinates) => {
            let (x, y) = bytes.split_at_mut(ELEMENT_BYTES);
            x.copy_from_slice(coordinates.x().to_repr().as_ref());
            y.copy_from_slice(coordinates.y().to_repr().as_ref());
        }
    }
}
