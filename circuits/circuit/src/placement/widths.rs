//! Numbers that a layout may choose.

use serde::{Deserialize, Serialize};

/// Numbers that a layout may choose: columns, and lookups to a helper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Widths {
    /// Operand cells per row.
    pub operand_lanes: usize,
    /// Requantised values per row.
    pub activation_lanes: usize,
    /// Columns of the weight bank.
    pub weight_columns: usize,
    /// Free coefficients per row.
    pub cross_term_lanes: usize,
    /// Bits of a limb: the range table is `[0, 2^limb_bits)`.
    pub limb_bits: u32,
    /// Whether a lane whose remainder has the bits of several shifts takes the range cells of as many lanes, so that its
    /// row has fewer of them; otherwise all lanes have cells for the longest remainder.
    pub shared_remainders: bool,
    /// Entries of the lookup table on a row.
    pub table_lanes: usize,
    /// Clamps to ranges of up to so many bits have tables, others limbs.
    pub table_bits: u32,
    /// Whether functions that have straight lines are by these, on rows with fewer results; otherwise they have tables.
    pub lines: bool,
    /// Lookups that share a helper column: gates have degree `lookup_group + 2`.
    pub lookup_group: usize,
}

impl Widths {
    /// Lanes of a row whose remainders have the bits of so many shifts.
    pub(crate) fn lanes_of(&self, shifts: u32) -> usize {
        if self.shared_remainders {
            (self.activation_lanes / shifts.max(1) as usize).max(1)
        } else {
            self.activation_lanes
        }
    }

    /// These widths, raised to what a network with so many weight columns needs; limbs of `shift` bits where none are
    /// given.
    pub(crate) fn at_least(self, weight_columns: usize, shift: u32) -> Self {
        Self {
            operand_lanes: self.operand_lanes.max(1),
            activation_lanes: self.activation_lanes.max(1),
            weight_columns: self.weight_columns.max(weight_columns),
            cross_term_lanes: self.cross_term_lanes.max(1),
            limb_bits: if self.limb_bits > 0 { self.limb_bits } else { shift },
            shared_remainders: self.shared_remainders,
            table_lanes: self.table_lanes.max(1),
            table_bits: self.table_bits,
            lines: self.lines,
            lookup_group: self.lookup_group.clamp(1, 3),
        }
    }
}
