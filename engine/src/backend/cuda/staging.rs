//! Pinned memory that copies to and from the device pass through, so that the host goes on while they run.

use std::sync::{Mutex, PoisonError};

use super::driver::{Address, Context, Event, Outcome, Pinned};

/// Bytes of a slot.
const SLOT_BYTES: usize = 4 << 20;
/// Slots for copies to the device: while one is filled, others are on their way.
const SLOTS: usize = 4;

/// Slots for copies to the device, and one for copies from it.
#[derive(Debug)]
pub(super) struct Staging {
    up: Mutex<Ring>,
    down: Mutex<Pinned>,
}

/// Slots that are filled in turn.
#[derive(Debug)]
struct Ring {
    slots: Vec<Slot>,
    current: usize,
    /// Bytes of the current slot that are in use.
    filled: usize,
}

#[derive(Debug)]
struct Slot {
    memory: Pinned,
    /// After the last copy out of it.
    done: Event,
}

impl Staging {
    pub(super) fn new(context: &Context) -> Outcome<Self> {
        let slot = |_| Ok(Slot { memory: context.pinned(SLOT_BYTES)?, done: context.event()? });
        let slots = (0..SLOTS).map(slot).collect::<Outcome<Vec<_>>>()?;
        let up = Ring { slots, current: 0, filled: 0 };
        Ok(Self { up: Mutex::new(up), down: Mutex::new(context.pinned(SLOT_BYTES)?) })
    }

    /// Copies to the device, in the order of its work. The bytes may change afterwards.
    pub(super) fn upload(&self, context: &Context, to: Address, bytes: &[u8]) -> Outcome<()> {
        let mut ring = self.up.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = to;
        let mut rest = bytes;
        while !rest.is_empty() {
            if ring.filled == SLOT_BYTES {
                ring.next(context)?;
            }
            let (current, start) = (ring.current, ring.filled);
            let (piece, after) = rest.split_at(rest.len().min(SLOT_BYTES - start));
            let memory = &mut ring.slots[current].memory;
            memory.bytes_mut()[start..start + piece.len()].copy_from_slice(piece);
            context.upload(memory, start..start + piece.len(), place)?;
            ring.filled += piece.len();
            place += piece.len() as u64;
            rest = after;
        }
        Ok(())
    }

    /// Copies from the device and waits for it: a piece at a time is shown to `take`.
    pub(super) fn download(
        &self,
        context: &Context,
        from: Address,
        bytes: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Outcome<()> {
        let mut slot = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let mut start = 0;
        while start < bytes {
            let piece = (bytes - start).min(SLOT_BYTES);
            context.download(from + start as u64, &mut slot, piece)?;
            context.finish()?;
            take(&slot.bytes()[..piece]);
            start += piece;
        }
        Ok(())
    }
}

impl Ring {
    /// Goes on to the next slot, once nothing is copied out of it any more.
    fn next(&mut self, context: &Context) -> Outcome<()> {
        context.record(&self.slots[self.current].done)?;
        self.current = (self.current + 1) % self.slots.len();
        self.filled = 0;
        context.wait(&self.slots[self.current].done)
    }
}
