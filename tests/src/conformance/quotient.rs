//! Expression programs.

use ff::Field;
use halo2curves::bn256::Fr;
use rand_chacha::rand_core::RngCore;
use zkml_gpu_engine::backend::program::{NodeId, Program, ProgramBuilder};
use zkml_gpu_engine::backend::{Backend, Result};

use super::compare;
use super::data::{Case, SIZES};

const COLUMNS: usize = 5;
const SCALARS: usize = 3;

fn run<B: Backend>(backend: &B, program: &Program, case: &Case) -> Result<Vec<Fr>> {
    let columns: Vec<B::Scalars> =
        (0..COLUMNS).map(|i| backend.upload(&case.scalars(i as u64))).collect::<Result<_>>()?;
    let scalars: Vec<Fr> = (0..SCALARS).map(|i| case.random(i as u64)).collect();
    let compiled = backend.compile(program)?;
    let outputs = backend.evaluate(&compiled, case.len, &columns.iter().collect::<Vec<_>>(), &scalars)?;
    let downloaded = outputs.iter().map(|output| backend.download(output)).collect::<Result<Vec<_>>>()?;
    Ok(downloaded.concat())
}

/// Random programs: every instruction on every kind of operand, results used once, often or never, and several outputs.
pub fn evaluate<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, steps: usize) -> Result<Vec<Fr>> {
        run(backend, &random_program(case, steps), case)
    }
    for case in Case::all(SIZES) {
        for steps in [1, 10, 100] {
            compare!(backend, scenario, &case, steps);
        }
    }
}

fn random_program(case: &Case, steps: usize) -> Program {
    let mut rng = case.rng(99);
    let mut builder = ProgramBuilder::new();
    let mut nodes: Vec<NodeId> = (0..COLUMNS).map(|i| builder.column(i, i as i32 - 2)).collect();
    nodes.extend((0..SCALARS).map(|i| builder.scalar(i)));
    nodes.extend([Fr::ZERO, Fr::ONE, -Fr::ONE, case.random(9)].map(|value| builder.constant(value)));
    let mut outputs = vec![nodes[0], nodes[COLUMNS], nodes[COLUMNS + SCALARS]];
    for _ in 0..steps {
        let mut pick = || {
            // Recent nodes more often, so that long chains arise.
            let from_end = (rng.next_u32() as usize % nodes.len()).min(rng.next_u32() as usize % nodes.len());
            nodes[nodes.len() - 1 - from_end]
        };
        let (a, b, c) = (pick(), pick(), pick());
        let node = match rng.next_u32() % 6 {
            0 => builder.add(a, b),
            1 => builder.sub(a, b),
            2 => builder.mul(a, b),
            3 => builder.mul(a, a),
            4 => builder.negate(a),
            _ => builder.horner(&[a, b, c], nodes[COLUMNS]),
        };
        nodes.push(node);
    }
    outputs.extend(nodes.last().copied());
    outputs.push(nodes[nodes.len() / 2]);
    builder.finish(&outputs)
}

/// Rotations beyond the column's length in either direction; columns and scalars that are missing or too long.
pub fn evaluate_rotations<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, rotation: i32) -> Result<Vec<Fr>> {
        let mut builder = ProgramBuilder::new();
        let (here, there) = (builder.column(0, 0), builder.column(1, rotation));
        let sum = builder.add(here, there);
        run(backend, &builder.finish(&[sum, there]), case)
    }
    fn missing<B: Backend>(backend: &B, case: &Case, column: usize, scalar: usize) -> Result<Vec<Fr>> {
        let mut builder = ProgramBuilder::new();
        let (column, scalar) = (builder.column(column, 0), builder.scalar(scalar));
        let product = builder.mul(column, scalar);
        run(backend, &builder.finish(&[product]), case)
    }
    fn unequal<B: Backend>(backend: &B, case: &Case) -> Result<Vec<Fr>> {
        let mut builder = ProgramBuilder::new();
        let column = builder.column(0, 0);
        let compiled = backend.compile(&builder.finish(&[column]))?;
        backend.evaluate(&compiled, case.len + 1, &[&backend.upload(&case.scalars(0))?], &[]).map(|_| Vec::new())
    }
    for case in Case::all(SIZES) {
        for rotation in [-1, 1, 5, -70, 70, -2048, 2049, i32::MIN, i32::MAX] {
            compare!(backend, scenario, &case, rotation);
        }
        compare!(backend, missing, &case, COLUMNS, 0);
        compare!(backend, missing, &case, 0, SCALARS);
        compare!(backend, unequal, &case);
    }
}

/// Thousands of nodes that depend on scalars alone, an output that is a scalar, and deep trees.
pub fn evaluate_scalars<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, depth: usize) -> Result<Vec<Fr>> {
        let mut builder = ProgramBuilder::new();
        let (mut power, r) = (builder.scalar(0), builder.scalar(1));
        let mut folded = builder.column(0, 0);
        for i in 0..depth {
            power = builder.mul(power, r);
            let weight = builder.constant(Fr::from(i as u64 + 2));
            let term = builder.add(power, weight);
            folded = if i % 64 == 0 { builder.mul(folded, term) } else { builder.add(term, folded) };
        }
        let program = builder.finish(&[folded, power]);
        assert!(program.instructions().len() <= 2 * depth);
        run(backend, &program, case)
    }
    for case in Case::all(&[0, 1, 65, 1025]) {
        for depth in [1, 300] {
            compare!(backend, scenario, &case, depth);
        }
    }
}
