//! halo2-axiom's own functions for the operations that it has as such, called as its prover calls them.

use ff::BatchInvert;
use group::Curve;
use halo2_proofs::arithmetic::{
    best_fft, best_multiexp, compute_inner_product, eval_polynomial, kate_division, powers,
};
use halo2_proofs::halo2curves::bn256::{Fr, G1Affine};
use halo2_proofs::poly::{EvaluationDomain, LagrangeCoeff, Polynomial};
use zkml_gpu_engine::bench::{Inputs, Operation, Outcome, factor, point};

use crate::Peer;

const NAME: &str = "halo2-axiom";

/// The peer of an operation, where halo2-axiom has it as a public function.
pub(crate) fn peer<'a>(inputs: &'a Inputs, points: &'a [G1Affine]) -> Option<Peer<'a>> {
    use Operation as Op;
    match inputs.operation() {
        Op::Msm | Op::MsmI8 | Op::MsmI32 => Some(msm(inputs, points)),
        Op::Ntt | Op::Intt | Op::CosetNtt => Some(transform(inputs)),
        Op::AddAssign | Op::SubAssign | Op::Scale | Op::BatchInvert => Some(in_place(inputs)),
        Op::EvalPolynomials | Op::DivideByLinear | Op::Powers | Op::InnerProduct => Some(vector(inputs)),
        _ => None,
    }
}

fn msm<'a>(inputs: &'a Inputs, points: &'a [G1Affine]) -> Peer<'a> {
    let read = |sum: halo2_proofs::halo2curves::bn256::G1| Outcome { points: vec![sum.to_affine()], scalars: vec![] };
    Peer::new(NAME, || (), move |()| best_multiexp(&inputs.columns()[0], points), read)
}

/// Its prover transforms column by column.
fn transform(inputs: &Inputs) -> Peer<'_> {
    let columns = inputs.columns();
    let log_n = inputs.n().ilog2();
    // Of the quotient's degree 1: no larger domain is prepared.
    let domain = EvaluationDomain::<Fr>::new(2, log_n);
    match inputs.operation() {
        Operation::Ntt => {
            let fft = move |mut columns: Vec<Vec<Fr>>| {
                let data = domain.get_fft_data(1 << log_n);
                columns.iter_mut().for_each(|column| best_fft(column, domain.get_omega(), log_n, data, false));
                columns
            };
            Peer::new(NAME, || columns.to_vec(), fft, |columns| scalars(columns.concat()))
        }
        Operation::Intt => {
            let fresh = || columns.iter().map(|column| polynomial(column)).collect();
            let run = move |columns: Vec<_>| {
                columns.into_iter().map(|column| domain.lagrange_to_coeff(column)).collect::<Vec<_>>()
            };
            Peer::new(NAME, fresh, run, joined)
        }
        _ => {
            // Its cosets are shifted by a root of unity of order 3 and a factor.
            let shift = point() * domain.g_coset_inv;
            let fresh = || columns.iter().map(|column| Polynomial::new(column.clone())).collect();
            let run = move |columns: Vec<_>| {
                columns.into_iter().map(|column| domain.coeff_to_extended_part(column, shift)).collect::<Vec<_>>()
            };
            Peer::new(NAME, fresh, run, joined)
        }
    }
}

fn in_place(inputs: &Inputs) -> Peer<'_> {
    let columns = inputs.columns();
    let fresh = || polynomial(&columns[0]);
    let read = |column: Polynomial<Fr, LagrangeCoeff>| scalars(column.into_values());
    // The last column is the second where there are two.
    let other = polynomial(&columns[columns.len() - 1]);
    match inputs.operation() {
        Operation::AddAssign => Peer::new(NAME, fresh, move |column| column + &other, read),
        Operation::SubAssign => Peer::new(NAME, fresh, move |column| column - &other, read),
        Operation::Scale => Peer::new(NAME, fresh, |column| column * factor(0), read),
        _ => {
            let invert = |mut column: Vec<Fr>| {
                column.iter_mut().batch_invert();
                column
            };
            Peer::new(NAME, || columns[0].clone(), invert, scalars)
        }
    }
}

fn vector(inputs: &Inputs) -> Peer<'_> {
    let (columns, n) = (inputs.columns(), inputs.n());
    match inputs.operation() {
        Operation::EvalPolynomials => {
            let run = |()| columns.iter().map(|column| eval_polynomial(column, point())).collect();
            Peer::new(NAME, || (), run, scalars)
        }
        Operation::DivideByLinear => {
            let padded = move |mut quotient: Vec<Fr>| {
                quotient.resize(n, Fr::zero());
                scalars(quotient)
            };
            Peer::new(NAME, || (), |()| kate_division(&columns[0], point()), padded)
        }
        Operation::Powers => Peer::new(NAME, || (), move |()| powers(point()).take(n).collect(), scalars),
        _ => Peer::new(NAME, || (), |()| vec![compute_inner_product(&columns[0], &columns[1])], scalars),
    }
}

fn polynomial(values: &[Fr]) -> Polynomial<Fr, LagrangeCoeff> {
    Polynomial::new(values.to_vec())
}

fn joined<F>(columns: Vec<Polynomial<Fr, F>>) -> Outcome {
    scalars(columns.iter().map(Polynomial::values).collect::<Vec<_>>().concat())
}

fn scalars(scalars: Vec<Fr>) -> Outcome {
    Outcome { scalars, points: vec![] }
}
