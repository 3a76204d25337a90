//! Memory that several tasks write at once, each its own elements, and memory that is written before it is read.

#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::mem::{ManuallyDrop, MaybeUninit};

use super::pages;

/// Room for a vector of this length, not cleared.
pub(super) fn reserve<T>(len: usize) -> Vec<MaybeUninit<T>> {
    let mut room = pages::with_capacity(len);
    // SAFETY: what may be uninitialised needs no initialisation, and the capacity is at least this.
    unsafe { room.set_len(len) };
    room
}

/// The vector that was written into such room.
///
/// # Safety
/// Every element was written.
pub(super) unsafe fn written<T>(room: Vec<MaybeUninit<T>>) -> Vec<T> {
    let mut room = ManuallyDrop::new(room);
    // SAFETY: the allocation of a vector of `MaybeUninit<T>`, which has the size and the alignment of T; its elements
    // are initialised by the caller's word, and the old owner is not dropped.
    unsafe { Vec::from_raw_parts(room.as_mut_ptr().cast(), room.len(), room.capacity()) }
}

/// A mutable slice that is lent to several tasks.
#[derive(Debug)]
pub(super) struct Shared<'a, T> {
    first: *mut T,
    len: usize,
    borrowed: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: tasks only write through it, and by the contract of its methods never the same element: what `T: Send`
// allows.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// Lends a slice.
    pub(super) fn new(slice: &'a mut [T]) -> Self {
        Shared { first: slice.as_mut_ptr(), len: slice.len(), borrowed: PhantomData }
    }

    /// `N` elements from `start` on, which must lie in the slice: checked.
    ///
    /// # Safety
    /// While the reference lives no other one to any of these elements may be made.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn window<const N: usize>(&self, start: usize) -> &mut [T; N] {
        assert!(start <= self.len && N <= self.len - start);
        // SAFETY: within the slice, as just checked; exclusive by the caller's word.
        unsafe { &mut *self.first.add(start).cast() }
    }
}
