//! Copy constraints: cells that must be equal, as cycles of a permutation.
//!
//! A copy constraint joins the cycles of two cells by exchanging their successors ([halo2
//! book](https://zcash.github.io/halo2/design/proving-system/permutation.html)); cells of one cycle are told by a
//! forest of disjoint sets. The permutation's column of column c holds, on row i, the label `δ^c'·ω^i'` of the
//! successor (c', i') of (c, i).

use std::iter::successors;

use ff::{Field, PrimeField};
use halo2_proofs::plonk::{Any, Column};
use halo2curves::bn256::Fr;
use rayon::prelude::*;

/// The permutation of all cells of the columns under copy constraints. Cell (c, i) has the number `c·n + i`.
pub(super) struct Copies {
    columns: Vec<Column<Any>>,
    n: usize,
    successor: Vec<usize>,
    /// Points towards the one cell that stands for the cycle.
    parent: Vec<usize>,
}

impl Copies {
    /// Every cell is its own successor.
    pub(super) fn new(columns: Vec<Column<Any>>, n: usize) -> Self {
        let cells: Vec<usize> = (0..columns.len() * n).collect();
        Copies { columns, n, parent: cells.clone(), successor: cells }
    }

    /// The number of a cell, where its column is under copy constraints.
    pub(super) fn cell(&self, column: Column<Any>, row: usize) -> Option<usize> {
        let index = self.columns.iter().position(|known| *known == column)?;
        (row < self.n).then_some(index * self.n + row)
    }

    /// Joins the cycles of two cells.
    pub(super) fn join(&mut self, left: usize, right: usize) {
        let roots = [self.root(left), self.root(right)];
        if roots[0] != roots[1] {
            self.parent[roots[1]] = roots[0];
            self.successor.swap(left, right);
        }
    }

    fn root(&mut self, mut cell: usize) -> usize {
        while self.parent[cell] != cell {
            // Halving the path keeps all paths short.
            self.parent[cell] = self.parent[self.parent[cell]];
            cell = self.parent[cell];
        }
        cell
    }

    /// The permutation's columns, for the domain that `omega` generates.
    pub(super) fn columns(self, omega: Fr) -> Vec<Vec<Fr>> {
        let powers = |base: Fr, count| -> Vec<Fr> {
            successors(Some(Fr::ONE), |power| Some(power * base)).take(count).collect()
        };
        let (rows, columns) = (powers(omega, self.n), powers(Fr::DELTA, self.columns.len()));
        let label = |cell: &usize| columns[cell / self.n] * rows[cell % self.n];
        self.successor.par_chunks(self.n).map(|column| column.iter().map(label).collect()).collect()
    }
}
