//! Long vectors in large pages, where the system gives them on request.
//!
//! A transform of 2^16 elements and a table of points touch more pages than a processor has translations of at hand,
//! and every page of a new vector is a fault. Linux maps two megabytes at once where it is asked to.

/// Bytes from which on a vector holds whole large pages.
#[cfg(any(target_os = "linux", test))]
const LONG: usize = 4 << 20;

/// As [`Vec::with_capacity`].
pub(super) fn with_capacity<T>(len: usize) -> Vec<T> {
    let mut vector = Vec::with_capacity(len);
    advise(vector.spare_capacity_mut());
    vector
}

/// As `[T]::to_vec`.
pub(super) fn copy<T: Copy>(elements: &[T]) -> Vec<T> {
    let mut vector = with_capacity(elements.len());
    vector.extend_from_slice(elements);
    vector
}

/// Asks for large pages.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn advise<T>(room: &mut [T]) {
    /// Pages are at least this large; advice is for whole ones.
    const PAGE: usize = 1 << 16;
    let bytes = size_of_val(room);
    if bytes < LONG {
        return;
    }
    let first = room.as_mut_ptr().cast::<u8>();
    let skipped = first.align_offset(PAGE);
    // SAFETY: the range lies in the room, and advice about large pages changes no memory's contents. Where it is
    // refused, as by a kernel without them, pages are small.
    let _ = unsafe { libc::madvise(first.add(skipped).cast(), (bytes - skipped) / PAGE * PAGE, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise<T>(_: &mut [T]) {}

/// Gives back to the system what the allocator keeps of vectors that are gone, in whole pages.
#[allow(unsafe_code)]
pub(crate) fn give_back() {
    // SAFETY: a call without pointers, at any time; memory that is in use stays where it is.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_vectors_hold_what_is_put_into_them() {
        for len in [0, 1, 1000, LONG / 8, LONG / 8 + 12_345] {
            let numbers: Vec<u64> = (0..len as u64).collect();
            assert_eq!(copy(&numbers), numbers);
            assert!(with_capacity::<u64>(len).capacity() >= len);
        }
    }
}
