//! Folds of integers.

use halo2curves::bn256::Fr;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use zkml_gpu_engine::backend::{Backend, IntegerRow, Result};

use super::compare;
use super::data::{Case, SIZES};

/// First factor and integers of a row.
type Row = (usize, Vec<i16>);

/// The extreme integers and small ones, then random ones: of eight bits where narrow.
fn integers(rng: &mut ChaCha8Rng, len: usize, narrow: bool) -> Vec<i16> {
    let edges = if narrow { [-128, 127, 0, -1] } else { [i16::MIN, i16::MAX, 1, -129] };
    let random = |word: u32| if narrow { i16::from(word as i8) } else { word as i16 };
    (0..len).map(|i| if i % 3 == 0 { edges[i / 3 % 4] } else { random(rng.next_u32()) }).collect()
}

/// Rows for so many factors, by name.
type Rows = (&'static str, fn(usize) -> Vec<Row>);

/// All factors, the first, the last, some, none; of both widths, the extreme integer alone among them.
fn every_kind(factors: usize) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(factors as u64);
    let mut rows = vec![(0, vec![]), (factors, vec![])];
    let one = factors.min(1);
    for narrow in [false, true] {
        for (first, len) in [(0, factors), (0, one), (factors - one, one), (factors / 3, factors / 2)] {
            rows.push((first, integers(&mut rng, len, narrow)));
        }
        rows.push((factors / 2, vec![]));
        rows.push((0, vec![if narrow { -128 } else { i16::MIN }; factors]));
    }
    rows
}

/// A row past the factors after one that has them all.
fn past_the_end(factors: usize) -> Vec<Row> {
    vec![(0, vec![1; factors]), (factors, vec![1])]
}

/// More rows than a small device sees at once, after some of every kind.
fn many(factors: usize) -> Vec<Row> {
    let short = (0..5000).map(|i| (i % (factors - 5), vec![(i % 300) as i16 - 150; i % 5]));
    every_kind(factors).into_iter().chain(short).collect()
}

/// Rows of every kind and none; rows past the factors; more factors and more rows than a small device sees at once.
/// What is resident serves two folds.
pub fn fold_integers<B: Backend>(backend: &B) {
    fn scenario<B: Backend>(backend: &B, case: &Case, (_, rows): &Rows) -> Result<Vec<Fr>> {
        let rows = rows(case.len);
        let rows: Vec<_> = rows.iter().map(|(first, integers)| IntegerRow { first: *first, integers }).collect();
        let resident = backend.load_integers(&rows)?;
        let fold = |seed| backend.download(&backend.fold_integers(&resident, &case.scalars(seed))?);
        Ok([fold(0)?, fold(1)?].concat())
    }
    let rows: [Rows; 3] = [("every kind", every_kind), ("past the end", past_the_end), ("none", |_| vec![])];
    for case in Case::all(SIZES) {
        for rows in &rows {
            compare!(backend, scenario, &case, rows);
        }
    }
    for case in Case::all(&[3000]).take(1) {
        let rows: Rows = ("many", many);
        compare!(backend, scenario, &case, &rows);
    }
}
