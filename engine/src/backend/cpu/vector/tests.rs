use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::backend::MemoryOps;

/// Around the lengths of vectors, of the fewest rows of a scan in segments, of blocks, of chunks and of tasks.
const LENGTHS: [usize; 25] = [
    0, 1, 7, 8, 9, 31, 63, 64, 65, 127, 128, 129, 255, 511, 512, 513, 2047, 2048, 2049, 4095, 4096, 4097, 8192, 8209,
    20_011,
];

/// Random values with extreme ones among them, or extreme ones alone.
fn vectors(len: usize) -> Vec<Vec<Fr>> {
    let edges = [Fr::ZERO, Fr::ONE, -Fr::ONE];
    let mut rng = ChaCha8Rng::seed_from_u64(len as u64);
    let mut random = |row: usize| if row % 11 == 3 { edges[row % 3] } else { Fr::random(&mut rng) };
    let mut vectors: Vec<Vec<Fr>> = (0..2).map(|_| (0..len).map(&mut random).collect()).collect();
    vectors.extend([vec![-Fr::ONE; len], vec![Fr::ONE; len], vec![Fr::ZERO; len]]);
    vectors
}

/// Runs a comparison with every back end on every pair of vectors of every length.
fn for_pairs(check: impl Fn(&Cpu, &[Fr], &[Fr])) {
    for backend in Cpu::each() {
        for len in LENGTHS {
            let vectors = vectors(len);
            check(&backend, &vectors[0], &vectors[1]);
            for vector in &vectors[2..] {
                check(&backend, vector, &vectors[1]);
                check(&backend, &vectors[1], vector);
                check(&backend, vector, vector);
            }
        }
    }
}

/// States before each row.
fn states(rows: impl Iterator<Item = [Fr; 2]>, initial: Fr) -> Vec<Fr> {
    let mut state = initial;
    let advance = |[factor, term]: [Fr; 2]| {
        let before = state;
        state = before * factor + term;
        before
    };
    rows.map(advance).collect()
}

fn scalars(values: &[Fr]) -> CpuScalars {
    Cpu::portable().upload(values).unwrap()
}

fn values(vector: &CpuScalars) -> Vec<Fr> {
    Cpu::portable().download(vector).unwrap()
}

fn initials() -> [Fr; 3] {
    [Fr::ZERO, -Fr::ONE, Fr::random(ChaCha8Rng::seed_from_u64(5))]
}

#[test]
fn rows_are_added_subtracted_and_multiplied() {
    type Operation = (fn(&Cpu, &mut CpuScalars, &CpuScalars) -> Result<()>, fn(Fr, Fr) -> Fr);
    let operations: [Operation; 3] =
        [(Cpu::add_assign, |a, b| a + b), (Cpu::sub_assign, |a, b| a - b), (Cpu::mul_assign, |a, b| a * b)];
    for_pairs(|backend, a, b| {
        for (operation, expected) in operations {
            let mut acc = scalars(a);
            operation(backend, &mut acc, &scalars(b)).unwrap();
            assert_eq!(values(&acc), a.iter().zip(b).map(|(a, b)| expected(*a, *b)).collect::<Vec<_>>());
        }
        for factor in initials() {
            let mut acc = scalars(a);
            backend.scale(&mut acc, factor).unwrap();
            assert_eq!(values(&acc), a.iter().map(|a| a * factor).collect::<Vec<_>>());
        }
    });
}

#[test]
fn combinations_pad_and_group_their_terms() {
    for_pairs(|backend, a, b| {
        let short = &b[..b.len() - b.len() / 3];
        for groups in [0, 1, if a.len() < 600 { 50 } else { 2 }] {
            let mut terms = Vec::new();
            let mut expected = vec![Fr::ZERO; if groups == 0 { 0 } else { a.len() }];
            let vectors = [scalars(a), scalars(short), scalars(b)];
            for i in 0..groups {
                let factors = [Fr::from(i as u64), -Fr::from(i as u64 + 1), initials()[2]];
                terms.extend(factors.into_iter().zip(&vectors));
                for (factor, vector) in factors.into_iter().zip([a, short, b]) {
                    expected.iter_mut().zip(vector).for_each(|(acc, value)| *acc += factor * value);
                }
            }
            assert_eq!(values(&backend.linear_combination(&terms).unwrap()), expected);
        }
    });
}

#[test]
fn inverses_leave_zeros() {
    for_pairs(|backend, a, _| {
        let mut vector = scalars(a);
        backend.batch_invert(&mut vector).unwrap();
        for (value, inverse) in a.iter().zip(values(&vector)) {
            assert!(value * inverse == Fr::ONE || (*value == Fr::ZERO && inverse == Fr::ZERO));
        }
    });
}

#[test]
fn scans_carry_their_state_through_every_segment() {
    for_pairs(|backend, a, b| {
        let (factors, terms) = (scalars(a), scalars(b));
        for initial in initials() {
            let sums = states(a.iter().map(|term| [Fr::ONE, *term]), initial);
            assert_eq!(values(&backend.prefix_sum(&factors, initial).unwrap()), sums);
            let products = states(a.iter().map(|factor| [*factor, Fr::ZERO]), initial);
            assert_eq!(values(&backend.prefix_product(&factors, initial).unwrap()), products);
            let maps = states(a.iter().zip(b).map(|(factor, term)| [*factor, *term]), initial);
            assert_eq!(values(&backend.affine_scan(&factors, &terms, initial).unwrap()), maps);
            let mut quotient = states(a.iter().rev().map(|term| [initial, *term]), Fr::ZERO);
            quotient.reverse();
            assert_eq!(values(&backend.divide_by_linear(&factors, initial).unwrap()), quotient);
            let powers = states(a.iter().map(|_| [initials()[2], Fr::ZERO]), initial);
            assert_eq!(values(&backend.powers(initial, initials()[2], a.len()).unwrap()), powers);
        }
    });
}

#[test]
fn polynomials_are_evaluated_at_shared_points() {
    for_pairs(|backend, a, b| {
        let short = &b[..b.len() - b.len() / 3];
        let polynomials = [scalars(a), scalars(short), scalars(b)];
        let queries: Vec<(&CpuScalars, Fr)> =
            polynomials.iter().flat_map(|polynomial| initials().map(|point| (polynomial, point))).collect();
        let horner =
            |coefficients: &[Fr], point: Fr| coefficients.iter().rev().fold(Fr::ZERO, |acc, c| acc * point + c);
        let expected: Vec<Fr> =
            [a, short, b].iter().flat_map(|polynomial| initials().map(|point| horner(polynomial, point))).collect();
        assert_eq!(backend.eval_polynomials(&queries).unwrap(), expected);
        let product: Fr = a.iter().zip(b).map(|(a, b)| a * b).sum();
        assert_eq!(backend.inner_product(&polynomials[0], &polynomials[2]).unwrap(), product);
    });
}
