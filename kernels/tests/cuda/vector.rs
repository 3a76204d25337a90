//! Row by row, scans, inversions, divisions and evaluations.

use ff::Field;
use halo2curves::bn256::Fr;
use rand_chacha::rand_core::RngCore;

use crate::device::{Arguments, Device};
use crate::{SEED, bytes, edges_and_random, random, rng, words};

const THREADS: usize = 256;
/// Rows of a block of a scan: `SCAN_BLOCK`.
const SCAN_BLOCK: usize = 1024;
/// `EVALUATION_BLOCK`
const EVALUATION_BLOCK: usize = 2048;
/// One row, around a block, and several blocks.
const SIZES: &[usize] = &[1, 5, 1023, 1025, 3000];

/// A scan: the bytes of an item and of a state, and the kernels that scan totals.
#[derive(Clone, Copy)]
pub(crate) struct Scan {
    pub(crate) reduce: &'static str,
    pub(crate) apply: &'static str,
    pub(crate) item_bytes: usize,
    pub(crate) state_bytes: usize,
    pub(crate) totals: Option<&'static Scan>,
}

impl Scan {
    const fn new(reduce: &'static str, apply: &'static str, bytes: usize) -> Self {
        Self { reduce, apply, item_bytes: bytes, state_bytes: bytes, totals: None }
    }
}

const SUM: Scan = Scan::new("scan_sum_reduce", "scan_sum_apply", 32);
const PRODUCT: Scan = Scan::new("scan_product_reduce", "scan_product_apply", 32);
const NONZERO: Scan = Scan::new("scan_nonzero_reduce", "scan_nonzero_apply", 32);
pub(crate) const COUNT: Scan = Scan::new("scan_count_reduce", "scan_count_apply", 4);
const MAPS: Scan = Scan { item_bytes: 64, ..Scan::new("scan_maps_reduce", "scan_maps_apply", 32) };
const AFFINE: Scan =
    Scan { item_bytes: 64, totals: Some(&MAPS), ..Scan::new("scan_affine_reduce", "scan_affine_apply", 32) };

impl Device {
    /// The states of a scan over the rows of a source, from the state at `initial`.
    pub(crate) fn scan(
        &mut self,
        scan: &Scan,
        len: usize,
        source: &dyn Fn(Arguments) -> Arguments,
        initial: u64,
    ) -> u64 {
        let blocks = len.div_ceil(SCAN_BLOCK);
        let mut states = initial;
        if blocks > 1 {
            let totals = self.allocate(blocks * scan.item_bytes);
            self.launch(scan.reduce, blocks, THREADS, source(Arguments::new().word(len)).address(totals));
            states = self.scan(scan.totals.unwrap_or(scan), blocks, &|arguments| arguments.address(totals), initial);
        }
        let out = self.allocate(len * scan.state_bytes);
        self.launch(scan.apply, blocks, THREADS, source(Arguments::new().word(len)).address(states).address(out));
        out
    }
}

/// What a scan gives, one row after the other.
fn running(initial: Fr, len: usize, step: impl Fn(Fr, usize) -> Fr) -> Vec<Fr> {
    let next = |state: &mut Fr, row| {
        let before = *state;
        *state = step(before, row);
        Some(before)
    };
    (0..len).scan(initial, next).collect()
}

#[test]
fn rows_are_added_subtracted_multiplied_and_scaled() {
    let (mut device, mut rng) = (Device::new(), rng());
    for &len in &[1, 256, 1000] {
        let (a, b) = (edges_and_random(&mut rng, len), edges_and_random(&mut rng, len));
        let factor = Fr::random(&mut rng);
        let other = device.upload_elements(&b);
        let mut check = |kernel: &str, scaled: bool, expected: &dyn Fn(Fr, Fr) -> Fr| {
            let acc = device.upload_elements(&a);
            let arguments = Arguments::new().word(len).address(acc);
            let arguments = if scaled { arguments.elements(bytes(&[factor])) } else { arguments.address(other) };
            device.launch(kernel, len.div_ceil(THREADS), THREADS, arguments);
            let expected: Vec<Fr> = a.iter().zip(&b).map(|(a, b)| expected(*a, *b)).collect();
            assert_eq!(device.read_elements(acc, len), expected, "{kernel}, {len} rows, seed {SEED}");
        };
        check("add_assign", false, &|a, b| a + b);
        check("sub_assign", false, &|a, b| a - b);
        check("mul_assign", false, &|a, b| a * b);
        check("scale", true, &|a, _| a * factor);
    }
}

#[test]
fn integers_of_every_width_become_elements() {
    let (mut device, mut rng) = (Device::new(), rng());
    // Width, integers, zeros and other elements: jobs of different lengths in one grid.
    let kinds = [(1, 300, 0, 6), (2, 5, 600, 0), (4, 257, 3, 2), (8, 1000, 1, 1), (1, 0, 0, 4), (8, 0, 7, 0)];
    let (mut jobs, mut expected) = (Vec::new(), Vec::new());
    for (width, given, zeros, others) in kinds {
        let most = i64::MAX >> (64 - 8 * width);
        let edges = [most, -most - 1, 0, 1, -1];
        let value = |row: usize| edges.get(row).copied().unwrap_or_else(|| rng.next_u64() as i64 >> (64 - 8 * width));
        let integers: Vec<i64> = (0..given).map(value).collect();
        let rest = edges_and_random(&mut rng, others);
        let packed: Vec<u8> = integers.iter().flat_map(|value| value.to_le_bytes()[..width].to_vec()).collect();
        let (packed, behind) = (device.upload(&packed), device.upload_elements(&rest));
        let len = given + zeros + others;
        // A row more, which stays as it is.
        let out = device.upload_elements(&vec![Fr::ONE; len + 1]);
        let job = Arguments::new().address(out).address(packed).address(behind);
        jobs.extend(job.word(given).word(zeros).word(others).word(width).laid_out().0);
        let element = |value: &i64| match Fr::from(value.unsigned_abs()) {
            magnitude if *value < 0 => -magnitude,
            magnitude => magnitude,
        };
        let mut rows: Vec<Fr> = integers.iter().map(element).collect();
        rows.resize(given + zeros, Fr::ZERO);
        rows.extend(rest);
        rows.push(Fr::ONE);
        expected.push((out, rows));
    }
    let list = device.upload(&jobs);
    let rows = expected.iter().map(|(_, rows)| rows.len() - 1).max().unwrap();
    let grid = [rows.div_ceil(THREADS), kinds.len()];
    device.launch_grid("upload_integer_columns", grid, THREADS, 0, Arguments::new().address(list));
    for ((out, rows), kind) in expected.into_iter().zip(kinds) {
        assert_eq!(device.read_elements(out, rows.len()), rows, "{kind:?}, seed {SEED}");
    }
}

#[test]
fn combinations_pad_short_vectors() {
    let (mut device, mut rng) = (Device::new(), rng());
    for lengths in [&[7usize] as &[usize], &[300, 1, 256, 299], &[0, 5, 5]] {
        let vectors: Vec<Vec<Fr>> = lengths.iter().map(|len| edges_and_random(&mut rng, *len)).collect();
        let factors = random(&mut rng, lengths.len());
        let len = *lengths.iter().max().unwrap();
        let mut terms = Vec::new();
        for (factor, vector) in factors.iter().zip(&vectors) {
            let values = device.upload_elements(vector);
            let term = Arguments::new().elements(bytes(&[*factor])).address(values).word(vector.len());
            terms.extend(term.laid_out().0);
        }
        let (terms, out) = (device.upload(&terms), device.allocate(32 * len));
        let arguments = Arguments::new().word(len).word(lengths.len()).address(terms).address(out);
        device.launch("linear_combination", len.div_ceil(THREADS), THREADS, arguments);
        let value = |vector: &Vec<Fr>, row: usize| vector.get(row).copied().unwrap_or(Fr::ZERO);
        let sum = |row| factors.iter().zip(&vectors).map(|(factor, vector)| factor * value(vector, row)).sum();
        assert_eq!(device.read_elements(out, len), (0..len).map(sum).collect::<Vec<Fr>>(), "{lengths:?}, seed {SEED}");
    }
}

#[test]
fn powers_follow_each_other() {
    let (mut device, mut rng) = (Device::new(), rng());
    for (len, stride) in [(1, 1), (300, 256), (3000, 512)] {
        for base in [Fr::random(&mut rng), Fr::ZERO, Fr::ONE] {
            let initial = Fr::random(&mut rng);
            let squares: Vec<Fr> = std::iter::successors(Some(base), |power| Some(power.square())).take(28).collect();
            let params = Arguments::new()
                .elements(bytes(&[initial, base.pow([stride as u64])]))
                .elements(bytes(&squares))
                .word(len)
                .word(stride);
            let out = device.allocate(32 * len);
            let arguments = Arguments::new().structure(params).address(out);
            device.launch("powers", stride.div_ceil(THREADS), THREADS, arguments);
            assert_eq!(device.read_elements(out, len), running(initial, len, |power, _| power * base), "seed {SEED}");
        }
    }
}

#[test]
fn sums_products_and_affine_maps_run_over_blocks() {
    let (mut device, mut rng) = (Device::new(), rng());
    for &len in SIZES {
        let (a, b) = (edges_and_random(&mut rng, len), edges_and_random(&mut rng, len));
        let nonzero = random(&mut rng, len);
        let initial = Fr::random(&mut rng);
        let [start, a_at, b_at, nonzero_at] =
            [&[initial] as &[Fr], &a, &b, &nonzero].map(|values| device.upload_elements(values));
        let sums = device.scan(&SUM, len, &|arguments| arguments.address(a_at), start);
        let expected = running(initial, len, |sum, row| sum + a[row]);
        assert_eq!(device.read_elements(sums, len), expected, "{len} rows, seed {SEED}");
        for (vector, at) in [(&a, a_at), (&nonzero, nonzero_at)] {
            let products = device.scan(&PRODUCT, len, &|arguments| arguments.address(at), start);
            let expected = running(initial, len, |product, row| product * vector[row]);
            assert_eq!(device.read_elements(products, len), expected, "{len} rows, seed {SEED}");
        }
        let pair = Arguments::new;
        let maps = device.scan(
            &AFFINE,
            len,
            &|arguments| arguments.structure(pair().address(nonzero_at).address(b_at)),
            start,
        );
        let expected = running(initial, len, |state, row| nonzero[row] * state + b[row]);
        assert_eq!(device.read_elements(maps, len), expected, "{len} rows, seed {SEED}");
    }
}

#[test]
fn counts_run_over_blocks() {
    let mut device = Device::new();
    for &len in SIZES {
        let values: Vec<u32> = (0..len as u32).map(|i| i * i % 7).collect();
        let (source, start) = (device.upload(&words(&values)), device.upload(&words(&[3])));
        let out = device.scan(&COUNT, len, &|arguments| arguments.address(source), start);
        let expected: Vec<u32> = (0..len).map(|row| 3 + values[..row].iter().sum::<u32>()).collect();
        assert_eq!(device.read_words(out, len), expected, "{len} rows");
    }
}

#[test]
fn inverses_leave_zeros() {
    let (mut device, mut rng) = (Device::new(), rng());
    for &len in SIZES {
        for values in [edges_and_random(&mut rng, len), vec![Fr::ZERO; len], vec![-Fr::ONE; len]] {
            // Products of blocks, and of those blocks, until there is one.
            let mut levels = vec![(device.upload_elements(&values), len)];
            while levels.last().unwrap().1 > 1 {
                let (at, len) = *levels.last().unwrap();
                let blocks = len.div_ceil(SCAN_BLOCK);
                let products = device.allocate(32 * blocks);
                let arguments = Arguments::new().word(len).address(at).address(products);
                device.launch(NONZERO.reduce, blocks, THREADS, arguments);
                levels.push((products, blocks));
            }
            let (top, _) = levels.pop().unwrap();
            device.launch("invert_one", 1, 1, Arguments::new().address(top));
            let mut inverses = top;
            for (at, len) in levels.into_iter().rev() {
                let arguments = Arguments::new().word(len).address(at).address(inverses);
                device.launch("invert_apply", len.div_ceil(SCAN_BLOCK), THREADS, arguments);
                inverses = at;
            }
            let expected: Vec<Fr> = values.iter().map(|value| value.invert().unwrap_or(Fr::ZERO)).collect();
            assert_eq!(device.read_elements(inverses, len), expected, "{len} rows, seed {SEED}");
            // The same by blocks that wait for nobody.
            let alone = device.upload_elements(&values);
            let arguments = Arguments::new().word(len).address(alone);
            device.launch("invert_blocks", len.div_ceil(SCAN_BLOCK), THREADS, arguments);
            assert_eq!(device.read_elements(alone, len), expected, "{len} rows by blocks, seed {SEED}");
        }
    }
}

#[test]
fn quotients_by_linear_polynomials_are_exact() {
    let (mut device, mut rng) = (Device::new(), rng());
    for &len in SIZES {
        let polynomial = edges_and_random(&mut rng, len);
        let at = device.upload_elements(&polynomial);
        for root in [Fr::random(&mut rng), Fr::ZERO, Fr::ONE] {
            let blocks = len.div_ceil(SCAN_BLOCK);
            let dividend = || {
                let fields = Arguments::new().elements(bytes(&[root])).address(at).word(len);
                Arguments::new().structure(fields)
            };
            let mut states = device.zeros(32);
            if blocks > 1 {
                let totals = device.allocate(64 * blocks);
                device.launch("divide_reduce", blocks, THREADS, dividend().address(totals));
                states = device.scan(&MAPS, blocks, &|arguments| arguments.address(totals), states);
            }
            let quotient = device.allocate(32 * len);
            device.launch("divide_apply", blocks, THREADS, dividend().address(states).address(quotient));
            let mut expected = vec![Fr::ZERO; len];
            for i in (1..len).rev() {
                expected[i - 1] = root * expected[i] + polynomial[i];
            }
            assert_eq!(device.read_elements(quotient, len), expected, "{len} coefficients, seed {SEED}");
        }
    }
}

#[test]
fn polynomials_are_evaluated_together() {
    let (mut device, mut rng) = (Device::new(), rng());
    let lengths = [0, 1, 255, 2048, 2049, 5000];
    let polynomials: Vec<Vec<Fr>> = lengths.iter().map(|len| edges_and_random(&mut rng, *len)).collect();
    let points = [Fr::ZERO, Fr::ONE, -Fr::ONE, Fr::random(&mut rng), Fr::random(&mut rng), Fr::random(&mut rng)];
    let mut from: Vec<(u64, usize)> = polynomials.iter().map(|p| (device.upload_elements(p), p.len())).collect();
    let mut at = points.to_vec();
    loop {
        let most = from.iter().map(|(_, len)| *len).max().unwrap();
        let mut queries = Vec::new();
        let mut to = Vec::new();
        for ((coefficients, len), x) in from.iter().zip(&at) {
            let squares: Vec<Fr> = std::iter::successors(Some(*x), |power| Some(power.square())).take(9).collect();
            let values = device.zeros(32 * len.div_ceil(EVALUATION_BLOCK).max(1));
            let query = Arguments::new().elements(bytes(&squares[8..])).elements(bytes(&squares[..8]));
            queries.extend(query.address(*coefficients).address(values).word(*len).laid_out().0);
            to.push((values, len.div_ceil(EVALUATION_BLOCK)));
        }
        let queries = device.upload(&queries);
        let grid = [most.div_ceil(EVALUATION_BLOCK), from.len()];
        device.launch_grid("eval_polynomials", grid, THREADS, 0, Arguments::new().address(queries));
        from = to;
        at.iter_mut().for_each(|x| *x = x.pow([EVALUATION_BLOCK as u64]));
        if most <= EVALUATION_BLOCK {
            break;
        }
    }
    for (((value, _), polynomial), x) in from.into_iter().zip(&polynomials).zip(points) {
        let expected = polynomial.iter().rev().fold(Fr::ZERO, |value, c| value * x + c);
        assert_eq!(device.read_elements(value, 1), [expected], "{} coefficients, seed {SEED}", polynomial.len());
    }
}

#[test]
fn inner_products_are_sums_of_products() {
    let (mut device, mut rng) = (Device::new(), rng());
    for len in [1, 255, 2049, 5000] {
        let (a, b) = (edges_and_random(&mut rng, len), random(&mut rng, len));
        let [left, right] = [&a, &b].map(|values| device.upload_elements(values));
        let blocks = len.div_ceil(EVALUATION_BLOCK);
        let values = device.allocate(32 * blocks);
        let arguments = Arguments::new().word(len).address(left).address(right).address(values);
        device.launch("inner_product", blocks, THREADS, arguments);
        let expected: Fr = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        assert_eq!(device.read_elements(values, blocks).iter().sum::<Fr>(), expected, "{len} rows, seed {SEED}");
    }
}
