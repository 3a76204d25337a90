//! The maximum of a pooling window whose members are accumulators of one product: the Result accumulator holds
//! `max - d_k` for each member, and the product of the differences `d_k` is zero ([`attained`](super::attained);
//! `docs/protocol.md`, section 6).
//!
//! Accumulators are below `2^60` (graph validation), and differences, in limbs sized for them, below `2^80`: far below
//! p/2.

use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;
use zkml_gpu_graph::Op;

use super::{Computed, Copied, Degree, Facts, Kind, Pinned, RowWitness, spread};
use crate::system::formulas::{Cell, requantised};
use crate::system::kind::MaximumOfWindow;
use crate::system::{Architecture, Ring, RowCells};

impl Kind for MaximumOfWindow {
    fn facts(&self) -> Facts {
        Facts {
            gate: None,
            lanes: Some(1),
            auxiliary: 0,
            pinned: Pinned::Function,
            shifts: 1,
            requantised: 1,
            differences: self.height.saturating_mul(self.width),
            attained: true,
            quotient_limbs: 0,
            copies: Copied::First(0),
            exponents: self
                .height
                .saturating_mul(self.width)
                .saturating_mul(self.vertical.saturating_add(self.horizontal)),
            result_degree: Some(Degree {
                s: 0,
                r: {
                    let vertical = self.height.saturating_sub(1).saturating_mul(self.vertical);
                    vertical.saturating_add(self.width.saturating_sub(1).saturating_mul(self.horizontal))
                },
            }),
            auxiliary_power: 0,
        }
    }

    fn fits(&self, _a: &Architecture) -> bool {
        // A window of one element is no maximum.
        self.height.saturating_mul(self.width) > 1
    }

    fn result<T: Cell>(
        &self,
        a: &Architecture,
        ring: &Ring<T>,
        advice: &mut impl FnMut(usize) -> T,
        _raw: impl FnOnce() -> T,
    ) -> Option<T> {
        let maximum = requantised(a, 0, 1, advice);
        let facts = self.facts();
        let (y, x) = (ring.pow(&ring.r, self.vertical), ring.pow(&ring.r, self.horizontal));
        (0..self.height)
            .filter_map(|i| {
                let member = |j| maximum.clone() - spread(&facts, a, i * self.width + j, advice);
                (0..self.width).map(member).reduce(|sum, value| sum * x.clone() + value)
            })
            .reduce(|sum, row| sum * y.clone() + row)
    }

    fn auxiliary<T: Cell>(
        &self,
        _a: &Architecture,
        _ring: &Ring<T>,
        _advice: &mut impl FnMut(usize) -> T,
    ) -> Option<T> {
        None
    }

    fn gates(&self, _row: &mut RowCells<'_, '_>, _selector: &Expression<Fr>) -> Vec<Expression<Fr>> {
        Vec::new()
    }

    fn fill(&self, row: &mut RowWitness<'_>, computed: &Computed<'_>) {
        let members = self.members(computed);
        let maximum = members.iter().copied().max().unwrap_or(0);
        row.requantise(0, 1, maximum, computed.function);
        let facts = self.facts();
        for (slot, member) in members.iter().enumerate() {
            row.set_spread(&facts, slot, maximum.abs_diff(*member));
        }
    }
}

impl MaximumOfWindow {
    /// Accumulators of the row's pooling window, row by row.
    fn members(&self, computed: &Computed<'_>) -> Vec<i64> {
        let (graph, node, accumulators) = (computed.graph, computed.node, computed.accumulators);
        let Op::Linear(linear) = &node.op else { return Vec::new() };
        let input = graph.tensors[node.inputs[0]].shape;
        let (Some([height, width]), Some([rows, columns])) = (linear.output(input), linear.pooled(input)) else {
            return Vec::new();
        };
        let (element, images) = (computed.element, linear.window.images);
        let (channel, i, j) = (element / (rows * columns), element / columns % rows, element % columns);
        // Columns of several images alternate; the window takes those of its own.
        let column = |b: usize| (j / images * self.width + b) * images + j % images;
        let member = |a: usize, b: usize| accumulators[(channel * height + i * self.height + a) * width + column(b)];
        let places = (0..self.height).flat_map(|a| (0..self.width).map(move |b| (a, b)));
        places.map(|(a, b)| member(a, b)).collect()
    }
}
