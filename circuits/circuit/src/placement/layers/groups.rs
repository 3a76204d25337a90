//! Rows for groups of elements, which run over the outermost axis: element `c·groups + p` is member `c` of group `p`.
//!
//! A group's own values, one row a group, have the exponents `w(p)` that its last member has in the output's digest. So
//! their broadcast to all members has the digest `(Σ_c r^u(c))·D`, where `u(c) + w(p)` is the exponent of member `c`.

use std::ops::Range;

use crate::placement::error::LayoutError;
use crate::placement::planner::{Order, Pins, Planner, ResultEntry, Segment};
use crate::system::{Accumulator, Factor, Multiplicand, RowKind};

/// Groups of a node's elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups {
    node: usize,
    groups: usize,
    len: usize,
    /// Exponent between neighbouring members of a group.
    pitch: usize,
}

impl Groups {
    /// The groups of a node's output.
    pub(super) fn new(planner: &Planner<'_>, node: usize, groups: usize, len: usize) -> Result<Self, LayoutError> {
        let geometry = planner.geometry(planner.graph.nodes[node].output);
        let exponent = |c: usize, p: usize| geometry.exponent(c * groups + p);
        let pitch = if len > 1 { exponent(len - 2, 0) - exponent(len - 1, 0) } else { 0 };
        let uniform = |c: usize, p: usize| exponent(c, p) == exponent(len - 1, p) + (len - 1 - c) * pitch;
        if (0..len).any(|c| !(0..groups).all(|p| uniform(c, p))) {
            let reason = "groups of elements that something else reads with another padding".into();
            return Err(LayoutError::Unsupported { node: planner.graph.nodes[node].name.clone(), reason });
        }
        Ok(Self { node, groups, len, pitch })
    }

    fn range(&self, member: usize) -> Range<usize> {
        member * self.groups..(member + 1) * self.groups
    }

    /// The factor of a broadcast's digest.
    pub(super) fn broadcast(&self) -> Factor {
        Factor { runs: vec![(self.pitch, self.len)], ..Factor::default() }
    }

    /// Places one row a group, which looks up no table; returns the last of them.
    pub(super) fn place(&self, planner: &mut Planner<'_>, kind: RowKind) -> Result<usize, LayoutError> {
        let geometry = planner.geometry(planner.graph.nodes[self.node].output);
        let entry = |element| ResultEntry { kind, element, count: 1, exponent: geometry.exponent(element), channel: 0 };
        let entries: Vec<ResultEntry> = self.range(self.len - 1).map(entry).collect();
        let node = self.node;
        planner.place_segment(Segment {
            node,
            entries: &entries,
            order: Order::Positions,
            pins: Pins::Gates,
            output: false,
        })
    }

    /// Ties sums over members, whose rows end with one, to those on the groups' rows, which end with the other.
    pub(super) fn equate_sums(planner: &mut Planner<'_>, members: usize, rows: usize) {
        let sums = planner.identity();
        let total = Multiplicand::Accumulator(Accumulator::ResultTotal);
        planner.term(sums, total, members, Factor::default(), 1);
        planner.term(sums, total, rows, Factor::default(), -1);
    }

    /// Rows of members, those of equal number in one channel, for sums over them, of so many lanes.
    pub(super) fn members(
        &self,
        planner: &Planner<'_>,
        lanes: usize,
        kind: impl Fn(usize) -> RowKind,
    ) -> Vec<ResultEntry> {
        let output = planner.graph.nodes[self.node].output;
        let geometry = planner.geometry(output);
        let mut entries = Vec::new();
        for channel in 0..self.len {
            for (element, count) in planner.lane_groups(output, self.range(channel), lanes) {
                let last = self.range(self.len - 1).start + (element + count - 1) % self.groups;
                let exponent = geometry.exponent(last);
                entries.push(ResultEntry { kind: kind(count), element, count, exponent, channel });
            }
        }
        entries
    }
}
