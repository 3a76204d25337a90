use ff::Field;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::super::lanes::{Lanes, Portable, Processor};
use super::*;
use crate::backend::MemoryOps;
use crate::backend::program::{NodeId, Operand, ProgramBuilder};

const COLUMNS: usize = 6;

/// Columns of extreme values, then random ones with extreme ones among them.
fn columns(n: usize) -> Vec<Vec<Fr>> {
    let edges = [Fr::ZERO, Fr::ONE, -Fr::ONE];
    let mut rng = ChaCha8Rng::seed_from_u64(n as u64);
    let mut random = |row: usize| if row.is_multiple_of(5) { edges[row % 3] } else { Fr::random(&mut rng) };
    let column = |i: usize| edges.get(i).map(|value| vec![*value; n]);
    (0..COLUMNS).map(|i| column(i).unwrap_or_else(|| (0..n).map(&mut random).collect())).collect()
}

/// One row after the other with the host library's arithmetic.
fn expected(program: &Program, columns: &[Vec<Fr>], scalars: &[Fr]) -> Vec<Vec<Fr>> {
    let n = columns[0].len();
    let table = program.scalar_table(scalars).unwrap();
    let mut outputs = vec![Vec::new(); program.outputs().len()];
    for row in 0..n as i64 {
        let cell = |query: usize| {
            let query = program.queries()[query];
            columns[query.column][(row + i64::from(query.rotation)).rem_euclid(n as i64) as usize]
        };
        let mut results: Vec<Fr> = Vec::new();
        let value = |operand: Operand, results: &[Fr]| match operand {
            Operand::Scalar(index) => table[index],
            Operand::Query(index) => cell(index),
            Operand::Result(index) => results[index],
        };
        for instruction in program.instructions() {
            let result = instruction.map(|operand| value(operand, &results)).apply();
            results.push(result);
        }
        for (output, operand) in outputs.iter_mut().zip(program.outputs()) {
            output.push(value(*operand, &results));
        }
    }
    outputs
}

fn check(program: &Program, n: usize) {
    let (columns, scalars) = (columns(n), [Fr::from(3), -Fr::ONE, Fr::random(ChaCha8Rng::seed_from_u64(1))]);
    let expected = expected(program, &columns, &scalars);
    for backend in Cpu::each() {
        let compiled = backend.compile(program).unwrap();
        let uploaded: Vec<CpuScalars> = columns.iter().map(|column| backend.upload(column).unwrap()).collect();
        let outputs = backend.evaluate(&compiled, n, &uploaded.iter().collect::<Vec<_>>(), &scalars).unwrap();
        let outputs: Vec<Vec<Fr>> = outputs.iter().map(|output| backend.download(output).unwrap()).collect();
        assert_eq!(outputs, expected, "{n} rows, {backend:?}");
        // The kernel too, with the lanes that would run the plain code.
        let (table, slices) =
            (program.scalar_table(&scalars).unwrap(), columns.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let inputs = Inputs::new(&compiled, n, &slices, &table);
        let outputs = task::evaluate(&inputs, |task| Portable.run(task));
        assert_eq!(outputs, expected, "{n} rows, kernels on portable lanes");
    }
    assert!(matches!(Cpu::portable().processor, Processor::Portable(_)));
}

fn leaves(builder: &mut ProgramBuilder) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = (0..COLUMNS).map(|i| builder.column(i, i as i32 - 2)).collect();
    nodes.extend((0..3).map(|i| builder.scalar(i)));
    nodes
}

#[test]
fn random_programs_evaluate_like_the_host() {
    for seed in 0..120 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut builder = ProgramBuilder::new();
        let mut nodes = leaves(&mut builder);
        for _ in 0..1 + seed {
            let mut pick = || {
                let reach = if rng.next_u32() % 3 == 0 { nodes.len() } else { nodes.len().min(5) };
                nodes[nodes.len() - 1 - rng.next_u32() as usize % reach]
            };
            let (a, b) = (pick(), pick());
            let node = match rng.next_u32() % 8 {
                0 | 1 => builder.add(a, b),
                2 | 3 => builder.sub(a, b),
                4 | 5 => builder.mul(a, b),
                6 => builder.mul(a, a),
                _ => builder.negate(a),
            };
            nodes.push(node);
        }
        let outputs = [nodes[nodes.len() - 1], nodes[nodes.len() / 2], nodes[COLUMNS]];
        check(&builder.finish(&outputs), 1 + seed as usize % 70);
    }
}

#[test]
fn sums_that_are_not_reduced_stay_within_their_bounds() {
    let chains: [fn(&mut ProgramBuilder, NodeId, NodeId) -> NodeId; 6] = [
        |builder, a, b| builder.add(a, b),
        |builder, a, b| builder.sub(a, b),
        |builder, a, b| builder.sub(b, a),
        |builder, a, b| {
            let sum = builder.add(a, b);
            builder.mul(sum, sum)
        },
        |builder, a, b| {
            let (sum, difference) = (builder.add(a, b), builder.sub(a, b));
            builder.mul(sum, difference)
        },
        |builder, a, b| {
            let (sum, product) = (builder.add(a, b), builder.mul(a, b));
            builder.sub(sum, product)
        },
    ];
    for chain in chains {
        for depth in [1, 7, 9, 200] {
            let mut builder = ProgramBuilder::new();
            let nodes = leaves(&mut builder);
            let mut kept = vec![nodes[2]];
            for i in 0..depth {
                let (last, before) = (kept[kept.len() - 1], kept[kept.len().saturating_sub(2)]);
                let next = if i % 2 == 0 { nodes[i % nodes.len()] } else { before };
                kept.push(chain(&mut builder, last, next));
            }
            // As outputs too, so that nothing of a chain moves into its successor; and without.
            check(&builder.finish(&kept), 9);
            check(&builder.finish(&kept[depth..]), 9);
        }
    }
}

#[test]
fn blocks_and_tasks_have_edges() {
    let mut builder = ProgramBuilder::new();
    let nodes = leaves(&mut builder);
    let product = builder.mul(nodes[0], nodes[5]);
    let difference = builder.sub(product, nodes[3]);
    let program = builder.finish(&[difference, nodes[4], nodes[6]]);
    for n in [0, 1, 7, 8, 9, 63, 64, 65, 127, 128, 129, 511, 513, 40_000] {
        check(&program, n);
    }
}

#[test]
fn single_uses_are_fused() {
    let mut builder = ProgramBuilder::new();
    let nodes = leaves(&mut builder);
    let (first, second) = (builder.mul(nodes[0], nodes[1]), builder.mul(nodes[2], nodes[6]));
    let (sum, other) = (builder.sub(nodes[3], first), builder.add(second, nodes[4]));
    let total = builder.sub(sum, other);
    let compiled = Cpu::new().compile(&builder.finish(&[total])).unwrap();
    let [step] = compiled.steps.as_slice() else { unreachable!("one sum") };
    // The negative product with a scalar is a positive one with the scalar negated.
    assert_eq!([step.products[0].len(), step.products[1].len()], [1, 1]);
    assert_eq!([step.terms[0].len(), step.terms[1].len()], [1, 1]);
    // The negative product counts 16/84, the negative term 1.
    assert_eq!((step.raise, step.lowered), (2, false));
}
