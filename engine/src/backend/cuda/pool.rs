//! Memory that is handed out again: what is dropped stays, by size, and the driver is asked for what is missing.
//!
//! All work goes to one stream, so a piece that was dropped can be handed out at once: whoever used it comes before
//! whoever gets it. So the driver's own pools are not needed, which some devices do not have, and no call of the driver
//! lies between operations.

use std::collections::BTreeMap;

use super::driver::{Address, Context, Outcome};

/// The smallest pieces of memory: vectors begin at multiples of this.
const ALIGNMENT: u64 = 256;
/// Sizes are multiples of a power of two by this at least: an eighth of a piece at most is not used.
const STEPS: u64 = 8;

/// Pieces that nobody uses, by their sizes.
#[derive(Debug, Default)]
pub(super) struct Pool {
    free: BTreeMap<u64, Vec<Address>>,
    /// Bytes of all pieces that the driver has given, used or not.
    reserved: u64,
}

/// The size of the piece that so many bytes get. `None` where there is no such number.
pub(super) fn size_class(bytes: u64) -> Option<u64> {
    let step = (bytes.checked_next_power_of_two()? / (2 * STEPS)).max(ALIGNMENT);
    bytes.checked_next_multiple_of(step)
}

impl Pool {
    /// A piece of this size that was used before.
    pub(super) fn take(&mut self, size: u64) -> Option<Address> {
        self.free.get_mut(&size)?.pop()
    }

    /// Takes back a piece, whose user's work has been started.
    pub(super) fn put(&mut self, size: u64, address: Address) {
        self.free.entry(size).or_default().push(address);
    }

    /// A new piece of the driver's.
    pub(super) fn grow(&mut self, context: &Context, size: u64) -> Outcome<Address> {
        let address = context.allocate(size)?;
        self.reserved += size;
        Ok(address)
    }

    /// Gives back what nobody uses, once all work so far is done.
    pub(super) fn trim(&mut self, context: &Context) -> Outcome<()> {
        context.finish()?;
        for (size, pieces) in std::mem::take(&mut self.free) {
            for address in pieces {
                self.reserved -= size;
                context.free(address)?;
            }
        }
        Ok(())
    }

    /// Bytes of all pieces.
    pub(super) fn reserved(&self) -> u64 {
        self.reserved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_few_and_little_larger_than_what_was_asked_for() {
        assert_eq!([1, 256, 257, 4096, 4097].map(size_class), [256, 256, 512, 4096, 4608].map(Some));
        for bytes in (1..1000).chain([(1 << 30) + 1, 12_345_678, u64::MAX >> 2]) {
            let size = size_class(bytes).unwrap();
            assert!(
                size >= bytes && size.is_multiple_of(ALIGNMENT) && size - bytes <= (bytes / STEPS).max(ALIGNMENT),
                "{bytes}"
            );
            assert_eq!(size_class(size), Some(size), "{bytes}");
        }
        assert_eq!(size_class(u64::MAX), None);
    }
}
