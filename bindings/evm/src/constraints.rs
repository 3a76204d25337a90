//! What the quotient's value is computed from: all constraints, in the order in which the stock verifier combines them.

use std::collections::HashMap;

use ff::{Field, PrimeField};
use halo2_proofs::plonk::Expression;
use halo2curves::bn256::Fr;

use crate::Error;
use crate::contract::Writer;
use crate::expressions::{Expressions, Id, Leaves};
use crate::protocol::{Challenge, Current, SCALAR_BYTES};

/// All constraints in the order in which the stock verifier combines them.
pub(crate) struct Roots<'r, 'c> {
    pub(crate) writer: &'r Writer<'c>,
    pub(crate) graph: &'r mut Expressions,
}

impl Roots<'_, '_> {
    pub(crate) fn all(mut self) -> Result<Vec<Id>, Error> {
        let mut roots = Vec::new();
        for gate in self.writer.protocol.gates() {
            roots.push(self.expression(gate)?);
        }
        self.permutation(&mut roots)?;
        self.lookups(&mut roots)?;
        Ok(roots)
    }

    fn proof(&mut self, offset: usize) -> Id {
        self.graph.calldata(self.writer.proof(offset))
    }

    fn challenge(&mut self, challenge: Challenge) -> Id {
        self.graph.memory(self.writer.challenge(challenge))
    }

    fn expression(&mut self, expression: &Expression<Fr>) -> Result<Id, Error> {
        let Self { writer, graph } = self;
        let cs = writer.circuit.vk.cs();
        let protocol = writer.protocol;
        let mut advice = HashMap::new();
        for (index, (column, at)) in cs.advice_queries().iter().enumerate() {
            let value = graph.calldata(writer.proof(protocol.advice_values + index * SCALAR_BYTES));
            advice.insert((column.index(), at.0), value);
        }
        let mut fixed = HashMap::new();
        for (index, (column, at)) in cs.fixed_queries().iter().enumerate() {
            let value = graph.calldata(writer.proof(protocol.fixed_values + index * SCALAR_BYTES));
            fixed.insert((column.index(), at.0), value);
        }
        let mut instance = HashMap::new();
        for (index, (column, at)) in cs.instance_queries().iter().enumerate() {
            instance.insert((column.index(), at.0), graph.memory(writer.words.instance.plus(index)));
        }
        let challenges: Vec<Id> =
            (0..cs.num_challenges()).map(|i| graph.memory(writer.challenge(Challenge::Circuit(i)))).collect();
        let leaves = Leaves {
            fixed: &|column, rotation| fixed.get(&(column, rotation)).copied(),
            advice: &|column, rotation| advice.get(&(column, rotation)).copied(),
            instance: &|column, rotation| instance.get(&(column, rotation)).copied(),
            challenge: &|index| challenges[index],
        };
        graph
            .circuit(expression, &leaves)
            .ok_or_else(|| Error::Circuit("a gate reads a selector, or a cell that is not opened".into()))
    }

    /// `l_0`, `l_last`, and 1 on the usable rows.
    fn ends(&mut self) -> [Id; 3] {
        let writer = self.writer;
        let unusable = writer.circuit.vk.cs().blinding_factors() as i64 + 1;
        let row = |graph: &mut Expressions, row: i64| graph.memory(writer.lagrange(row));
        let (first, last) = (row(self.graph, 0), row(self.graph, -unusable));
        let mut unusable_rows = last;
        for blinding in 1..unusable {
            let own = row(self.graph, -blinding);
            unusable_rows = self.graph.sum(unusable_rows, own);
        }
        let active = self.one_minus(unusable_rows);
        [first, last, active]
    }

    fn one_minus(&mut self, of: Id) -> Id {
        let one = self.graph.constant(Fr::ONE);
        self.minus(one, of)
    }

    fn minus(&mut self, a: Id, b: Id) -> Id {
        let b = self.graph.negated(b);
        self.graph.sum(a, b)
    }

    fn times(&mut self, factors: &[Id]) -> Id {
        let one = self.graph.constant(Fr::ONE);
        factors.iter().fold(one, |product, factor| self.graph.product(product, *factor))
    }

    /// `a² − a`.
    fn boolean(&mut self, a: Id) -> Id {
        let square = self.graph.product(a, a);
        self.minus(square, a)
    }

    fn permutation(&mut self, roots: &mut Vec<Id>) -> Result<(), Error> {
        let protocol = self.writer.protocol;
        let cs = self.writer.circuit.vk.cs();
        let columns = cs.permutation().get_columns();
        let (Some(first), Some(last)) = (protocol.permutation.first(), protocol.permutation.last()) else {
            return Ok(());
        };
        let [l_first, l_last, active] = self.ends();
        let here = self.proof(first.here);
        let start = self.one_minus(here);
        roots.push(self.times(&[l_first, start]));
        let here = self.proof(last.here);
        let end = self.boolean(here);
        roots.push(self.times(&[end, l_last]));
        for pair in protocol.permutation.windows(2) {
            let (here, before) = (self.proof(pair[1].here), pair[0].last.map(|offset| self.proof(offset)));
            let before = before.ok_or_else(|| Error::Circuit("a piece of the permutation has no end".into()))?;
            let step = self.minus(here, before);
            roots.push(self.times(&[step, l_first]));
        }
        let [beta, gamma, x] = [Challenge::Beta, Challenge::Gamma, Challenge::X].map(|c| self.challenge(c));
        let beta_x = self.graph.product(beta, x);
        let chunk = cs.degree() - 2;
        for (index, (piece, columns)) in protocol.permutation.iter().zip(columns.chunks(chunk)).enumerate() {
            let (mut left, mut right) = (self.proof(piece.next), self.proof(piece.here));
            for (offset, column) in columns.iter().enumerate() {
                let number = index * chunk + offset;
                let value = match protocol.current(*column) {
                    Some(Current::Value(offset)) => self.proof(offset),
                    Some(Current::Instance(query)) => self.graph.memory(self.writer.words.instance.plus(query)),
                    None => return Err(Error::Circuit("a column of the permutation is not opened".into())),
                };
                let shifted = self.graph.sum(value, gamma);
                let sigma = self.proof(protocol.permutation_values + number * SCALAR_BYTES);
                let sigma = self.graph.product(beta, sigma);
                let factor = self.graph.sum(shifted, sigma);
                left = self.graph.product(left, factor);
                let identity = self.graph.scaled(beta_x, Fr::DELTA.pow_vartime([number as u64]));
                let factor = self.graph.sum(shifted, identity);
                right = self.graph.product(right, factor);
            }
            let difference = self.minus(left, right);
            roots.push(self.times(&[difference, active]));
        }
        Ok(())
    }

    fn lookups(&mut self, roots: &mut Vec<Id>) -> Result<(), Error> {
        let protocol = self.writer.protocol;
        for (argument, values) in self.writer.circuit.vk.cs().lookups().iter().zip(&protocol.lookups) {
            let [l_first, l_last, active] = self.ends();
            let [theta, beta, gamma] = [Challenge::Theta, Challenge::Beta, Challenge::Gamma].map(|c| self.challenge(c));
            let [product, next, input, previous, table] =
                [values.product, values.product_next, values.input, values.input_previous, values.table]
                    .map(|offset| self.proof(offset));
            let start = self.one_minus(product);
            roots.push(self.times(&[l_first, start]));
            let end = self.boolean(product);
            roots.push(self.times(&[l_last, end]));
            let (a, b) = (self.graph.sum(input, beta), self.graph.sum(table, gamma));
            let left = self.times(&[next, a, b]);
            let mut compressed = [Id::MAX; 2];
            for (side, expressions) in
                compressed.iter_mut().zip([argument.input_expressions(), argument.table_expressions()])
            {
                let mut sum = self.graph.constant(Fr::ZERO);
                for expression in expressions {
                    let value = self.expression(expression)?;
                    let product = self.graph.product(sum, theta);
                    sum = self.graph.sum(product, value);
                }
                *side = sum;
            }
            let [a, b] = compressed;
            let (a, b) = (self.graph.sum(a, beta), self.graph.sum(b, gamma));
            let right = self.times(&[product, a, b]);
            let difference = self.minus(left, right);
            roots.push(self.times(&[difference, active]));
            let difference = self.minus(input, table);
            roots.push(self.times(&[l_first, difference]));
            let step = self.minus(input, previous);
            roots.push(self.times(&[difference, step, active]));
        }
        Ok(())
    }
}
