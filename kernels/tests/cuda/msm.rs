//! Multi-scalar multiplication.

use ff::{Field, PrimeField};
use group::{Curve, Group};
use halo2curves::bn256::{Fq, Fr, G1, G1Affine};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use crate::device::{Arguments, Device};
use crate::vector::{COUNT, Scan};
use crate::{SEED, elements, point_bytes, random, rng};

const DIGIT_THREADS: usize = 256;
const DIGIT_ROWS: usize = 512;
const BUCKET_THREADS: usize = 256;
const BUCKET_ENTRIES: usize = 2048;
const CHUNK_THREADS: usize = 128;
const CHUNK_LENGTHS: usize = 256;
const POINT_THREADS: usize = 64;
const TABLE_THREAD_ROWS: usize = 8;

/// Bits of the absolute value of a scalar in (-p/2, p/2], plus one for the sign of its top digit.
const SCALAR_BITS: usize = 254;

const SIZES: Scan = Scan {
    reduce: "msm_bucket_sizes_reduce",
    apply: "msm_bucket_sizes_apply",
    item_bytes: 8,
    state_bytes: 8,
    totals: None,
};
const COUNTED: Scan =
    Scan { reduce: "msm_counted_buckets_reduce", apply: "msm_counted_buckets_apply", totals: Some(&SIZES), ..SIZES };

#[derive(Clone, Copy, Debug)]
struct Plan {
    bits: usize,
    sets: usize,
    low_bits: usize,
    chunk: usize,
    segments: usize,
}

impl Plan {
    fn windows(&self) -> usize {
        SCALAR_BITS.div_ceil(self.bits)
    }

    fn levels(&self) -> usize {
        self.windows().div_ceil(self.sets)
    }

    fn parts(&self) -> usize {
        1 << (self.bits - 1 - self.low_bits)
    }

    fn halves(&self) -> [u32; 10] {
        let mut words = [0; 10];
        for bit in (0..self.windows()).map(|window| window * self.bits + self.bits - 1) {
            words[bit / 32] |= 1 << (bit % 32);
        }
        words
    }
}

/// Entries sorted by bucket, and the chunks of buckets.
struct Sorted {
    sizes: u64,
    chunks: u64,
    order: u64,
    entries: u64,
    /// Chunks at most.
    most: usize,
}

struct Msm<'d> {
    device: &'d mut Device,
    plan: Plan,
    table: u64,
    points: usize,
}

impl<'d> Msm<'d> {
    fn new(device: &'d mut Device, plan: Plan, points: &[G1Affine]) -> Self {
        let len = points.len();
        let table = device.allocate(64 * len * plan.levels());
        device.write(table, &point_bytes(points));
        let doubled = device.allocate(128 * len);
        for level in 1..plan.levels() {
            let from = table + (64 * len * (level - 1)) as u64;
            let arguments = Arguments::new().word(len).word(plan.bits * plan.sets).address(from).address(doubled);
            device.launch("msm_double", len.div_ceil(POINT_THREADS), POINT_THREADS, arguments);
            let to = from + 64 * len as u64;
            let arguments = Arguments::new().word(len).address(doubled).address(to);
            let blocks = len.div_ceil(POINT_THREADS * TABLE_THREAD_ROWS);
            device.launch("msm_normalize", blocks, POINT_THREADS, arguments);
        }
        Self { device, plan, table, points: len }
    }

    fn digits(&self, columns: u64) -> Arguments {
        let Plan { bits, sets, low_bits, .. } = self.plan;
        let fields = Arguments::new().address(columns).words(&self.plan.halves()).word(self.points);
        Arguments::new().structure(fields.word(bits).word(sets).word(self.plan.windows()).word(low_bits))
    }

    /// `Σ_i column_i·points_i` for every column.
    fn sums(&mut self, columns: &[Vec<Fr>]) -> Vec<G1Affine> {
        let (plan, windows, parts) = (self.plan, self.plan.windows(), self.plan.parts());
        let resident: Vec<(u64, usize)> =
            columns.iter().map(|column| (self.device.upload_elements(column), column.len())).collect();
        let describe = |used: &[usize]| {
            let mut first_job = 0;
            let mut list = Vec::new();
            for ((at, len), used) in resident.iter().zip(used) {
                list.extend(Arguments::new().address(*at).word(*len).word(0).word(*used).word(first_job).laid_out().0);
                first_job += used;
            }
            list
        };
        let rows = columns.iter().map(Vec::len).max().unwrap();
        let grid = [rows.div_ceil(DIGIT_ROWS).max(1), columns.len()];
        let list = self.device.upload(&describe(&vec![plan.sets; columns.len()]));
        let counts = self.device.zeros(4 * columns.len() * windows * parts);
        self.device.launch_grid("msm_count", grid, DIGIT_THREADS, 0, self.digits(list).address(counts));
        let all = columns.len() * windows;
        let totals = self.device.allocate(4 * all);
        let arguments = Arguments::new().word(all).word(parts).address(counts).address(totals);
        self.device.launch("msm_totals", all.div_ceil(DIGIT_THREADS), DIGIT_THREADS, arguments);
        let totals = self.device.read_words(totals, all);
        // The sets of a column as far as digits reach.
        let used = |totals: &[u32]| {
            (0..plan.sets).rev().find(|set| totals.iter().skip(*set).step_by(plan.sets).any(|t| *t > 0))
        };
        let used: Vec<usize> = totals.chunks(windows).map(|totals| used(totals).map_or(0, |set| set + 1)).collect();
        let entries = totals.iter().sum::<u32>() as usize;
        let jobs: Vec<u32> =
            (0..).zip(&used).flat_map(|(column, used)| (0..*used as u32).flat_map(move |set| [column, set])).collect();
        let set_sums = self.device.zeros(128 * columns.len() * plan.sets);
        if entries > 0 {
            let list = self.device.upload(&describe(&used));
            let jobs_at = self.device.upload(&crate::words(&jobs));
            let sorted = self.sort(grid, list, counts, (jobs_at, jobs.len() / 2), entries);
            let sums = self.accumulate(&sorted, jobs.len() / 2);
            let arguments = Arguments::new().word(jobs.len() / 2).word(plan.sets).address(jobs_at).address(sums);
            let blocks = (jobs.len() / 2).div_ceil(POINT_THREADS);
            self.device.launch("msm_deposit", blocks, POINT_THREADS, arguments.address(set_sums));
        }
        let out = self.device.allocate(128 * columns.len());
        let arguments = Arguments::new().word(columns.len()).word(plan.sets).word(plan.bits).address(set_sums);
        let blocks = columns.len().div_ceil(POINT_THREADS);
        self.device.launch("msm_combine", blocks, POINT_THREADS, arguments.address(out));
        self.device.read(out, 128 * columns.len()).chunks(128).map(to_affine).collect()
    }

    fn sort(&mut self, grid: [usize; 2], columns: u64, counts: u64, jobs: (u64, usize), entries: usize) -> Sorted {
        let (plan, parts) = (self.plan, self.plan.parts());
        let (jobs, count) = jobs;
        let sizes = self.device.allocate(4 * count * parts);
        let arguments = self.digits(columns).word(count).address(jobs).address(counts).address(sizes);
        self.device.launch("msm_starts", (count * parts).div_ceil(DIGIT_THREADS), DIGIT_THREADS, arguments);
        let zero = self.device.zeros(8);
        let next = self.device.scan(&COUNT, count * parts, &|arguments| arguments.address(sizes), zero);
        let [keys, unsorted, sorted] = [0; 3].map(|_| self.device.allocate(4 * entries));
        let arguments = self.digits(columns).address(next).address(keys).address(unsorted);
        self.device.launch_grid("msm_place", grid, DIGIT_THREADS, 0, arguments);
        let buckets = count << (plan.bits - 1);
        let bucket_counts = self.device.zeros(4 * (buckets + 1));
        let params = || {
            let fields = Arguments::new().address(keys).word(entries).word(plan.low_bits);
            Arguments::new().structure(fields)
        };
        let blocks = entries.div_ceil(BUCKET_ENTRIES);
        self.device.launch("msm_count_buckets", blocks, BUCKET_THREADS, params().address(bucket_counts));
        let source =
            |arguments: Arguments| arguments.structure(Arguments::new().address(bucket_counts).word(plan.chunk));
        let sizes = self.device.scan(&COUNTED, buckets + 1, &source, zero);
        let arguments = params().address(unsorted).address(sizes).address(sorted);
        self.device.launch("msm_place_buckets", blocks, BUCKET_THREADS, arguments);
        let most = entries.min(buckets) + entries / plan.chunk;
        let [chunks, order] = [self.device.allocate(12 * most), self.device.allocate(4 * most)];
        let lengths = self.device.zeros(4 * CHUNK_LENGTHS);
        let params = || Arguments::new().structure(Arguments::new().address(sizes).word(buckets));
        let blocks = most.div_ceil(CHUNK_THREADS);
        self.device.launch("msm_chunks", blocks, CHUNK_THREADS, params().address(chunks).address(lengths));
        self.device.launch("msm_lengths", 1, 1, Arguments::new().address(lengths));
        let arguments = params().address(chunks).address(lengths).address(order);
        self.device.launch("msm_order", blocks, CHUNK_THREADS, arguments);
        Sorted { sizes, chunks, order, entries: sorted, most }
    }

    /// The weighted sum of each job.
    fn accumulate(&mut self, sorted: &Sorted, jobs: usize) -> u64 {
        let plan = self.plan;
        let sums = self.device.allocate(128 * sorted.most);
        let buckets = jobs << (plan.bits - 1);
        let params = Arguments::new().address(sorted.sizes).word(buckets);
        let arguments = Arguments::new().structure(params).address(sorted.chunks).address(sorted.order);
        let arguments = arguments.address(sorted.entries).address(self.table).address(sums);
        self.device.launch("msm_accumulate", sorted.most.div_ceil(CHUNK_THREADS), CHUNK_THREADS, arguments);
        let mut len = plan.segments;
        let mut segments = self.device.allocate(128 * jobs * len);
        let params = Arguments::new().address(sorted.sizes).address(sorted.chunks);
        let params = params.word(jobs).word(len).word(plan.bits - 1);
        let arguments = Arguments::new().structure(params).address(sums).address(segments);
        self.device.launch("msm_weigh", (jobs * len).div_ceil(POINT_THREADS), POINT_THREADS, arguments);
        while len > 1 {
            let groups = len.div_ceil(POINT_THREADS);
            let joined = self.device.allocate(128 * jobs * groups);
            let arguments = Arguments::new().word(len).word(groups).address(segments).address(joined);
            self.device.launch("msm_join", jobs * groups, POINT_THREADS, arguments);
            (segments, len) = (joined, groups);
        }
        segments
    }
}

/// The table of all multiples, window by window, and the sums of columns by it.
struct Direct<'d> {
    device: &'d mut Device,
    bits: usize,
    table: u64,
    points: usize,
}

impl<'d> Direct<'d> {
    fn windows(bits: usize) -> usize {
        SCALAR_BITS.div_ceil(bits)
    }

    fn new(device: &'d mut Device, bits: usize, points: &[G1Affine]) -> Self {
        let (len, half) = (points.len(), 1 << (bits - 1));
        let table = device.allocate(64 * len * half * Self::windows(bits));
        let scratch = device.allocate(128 * len * half);
        let mut level = device.upload(&point_bytes(points));
        for window in 0..Self::windows(bits) {
            let next = device.allocate(64 * len);
            let place = table + (64 * window * len * half) as u64;
            let arguments = Arguments::new().word(len).word(half).address(level).address(scratch);
            let arguments = arguments.address(place).address(next);
            device.launch("msm_multiples", len.div_ceil(POINT_THREADS), POINT_THREADS, arguments);
            level = next;
        }
        Self { device, bits, table, points: len }
    }

    /// `Σ_i column_i·points_i` for every column, with so many digits a thread.
    fn sums(&mut self, columns: &[Vec<Fr>], each: usize) -> Vec<G1Affine> {
        let windows = Self::windows(self.bits);
        let mut list = Vec::new();
        for column in columns {
            let at = self.device.upload_elements(column);
            list.extend(Arguments::new().address(at).word(column.len()).word(0).word(0).word(0).laid_out().0);
        }
        let list = self.device.upload(&list);
        let digits = columns.iter().map(Vec::len).max().unwrap() * windows;
        let mut len = digits.div_ceil(each * POINT_THREADS);
        let plan = Plan { bits: self.bits, sets: windows, low_bits: 0, chunk: 0, segments: 0 };
        let params = Arguments::new().address(list).words(&plan.halves()).word(self.points);
        let params = params.word(self.bits).word(windows).word(each).word(len);
        let mut sums = self.device.allocate(128 * columns.len() * len);
        let arguments = Arguments::new().structure(params).address(self.table).address(sums);
        self.device.launch_grid("msm_direct", [len, columns.len()], POINT_THREADS, 0, arguments);
        while len > 1 {
            let groups = len.div_ceil(POINT_THREADS);
            let joined = self.device.allocate(128 * columns.len() * groups);
            let arguments = Arguments::new().word(len).word(groups).address(sums).address(joined);
            self.device.launch("msm_join", columns.len() * groups, POINT_THREADS, arguments);
            (sums, len) = (joined, groups);
        }
        self.device.read(sums, 128 * columns.len()).chunks(128).map(to_affine).collect()
    }
}

/// The affine point of (x·ZZ, y·ZZZ, ZZ, ZZZ).
fn to_affine(memory: &[u8]) -> G1Affine {
    let point: Vec<Fq> = elements(memory);
    let inverse = point[3].invert().unwrap_or(Fq::ZERO);
    G1Affine { x: point[0] * (point[2] * inverse).square(), y: point[1] * inverse }
}

/// Without a table, with one, and with a level for each window; with all of a set's buckets in one part or in many.
const PLANS: &[Plan] = &[
    Plan { bits: 4, sets: 64, low_bits: 3, chunk: 255, segments: 1 },
    Plan { bits: 8, sets: 32, low_bits: 4, chunk: 8, segments: 3 },
    Plan { bits: 10, sets: 9, low_bits: 9, chunk: 5, segments: 70 },
    Plan { bits: 13, sets: 1, low_bits: 2, chunk: 16, segments: 40 },
    Plan { bits: 16, sets: 1, low_bits: 11, chunk: 16, segments: 9 },
];

/// Points and their multiples of one, so that the sum of a column is one multiplication:
/// `point_i = exponent_i·generator`.
fn check(exponents: &[Fr], columns: &[Vec<Fr>]) {
    let points: Vec<G1> = exponents.iter().map(|exponent| G1::generator() * exponent).collect();
    let mut affine = vec![G1Affine::default(); points.len()];
    G1::batch_normalize(&points, &mut affine);
    let sum =
        |column: &Vec<Fr>| -> Fr { column.iter().zip(exponents).map(|(scalar, exponent)| scalar * exponent).sum() };
    let expected: Vec<G1Affine> = columns.iter().map(|column| (G1::generator() * sum(column)).to_affine()).collect();
    let mut device = Device::new();
    for plan in PLANS {
        let sums = Msm::new(&mut device, *plan, &affine).sums(columns);
        assert_eq!(point_bytes(&sums), point_bytes(&expected), "{plan:?}, seed {SEED}");
    }
    for bits in [4, 5] {
        let mut direct = Direct::new(&mut device, bits, &affine);
        // Parts of a scalar, several scalars, and ends within one.
        for each in [4, 32, 70] {
            let sums = direct.sums(columns, each);
            assert_eq!(point_bytes(&sums), point_bytes(&expected), "{bits} bits, {each} digits each, seed {SEED}");
        }
    }
}

fn small(rng: &mut ChaCha8Rng, len: usize) -> Vec<Fr> {
    (0..len).map(|_| Fr::from(u64::from(rng.next_u32() & 0xff)) - Fr::from(128)).collect()
}

#[test]
fn columns_of_different_lengths_are_summed_together() {
    let mut rng = rng();
    let exponents = random(&mut rng, 700);
    check(&exponents, &[700, 0, 1, 513, 699].map(|len| random(&mut rng, len)));
}

#[test]
fn small_zero_and_edge_scalars_are_summed() {
    let mut rng = rng();
    let exponents = random(&mut rng, 600);
    let half = -Fr::TWO_INV;
    let edges = [Fr::ZERO, Fr::ONE, -Fr::ONE, half, -half, Fr::from(u64::MAX), -Fr::from(1 << 31), Fr::from(8)];
    // Around half of a window's values, where digits carry, in every window of four bits.
    let carries = (0..252u64).flat_map(|bit| {
        let power = Fr::from(2).pow([bit]);
        [power, power - Fr::ONE, -power, -power - Fr::ONE]
    });
    let carries: Vec<Fr> = carries.collect();
    let mut blinded = small(&mut rng, 600);
    blinded[590..].copy_from_slice(&random(&mut rng, 10));
    let columns = [small(&mut rng, 600), blinded, vec![Fr::ZERO; 600], edges.into_iter().cycle().take(600).collect()];
    check(&exponents, &columns);
    check(&exponents, &[carries[..600].to_vec(), carries[carries.len() - 600..].to_vec()]);
    check(&exponents, &[vec![Fr::ZERO; 3]]);
}

#[test]
fn equal_scalars_fill_one_bucket() {
    let mut rng = rng();
    let exponents = random(&mut rng, 2100);
    check(&exponents, &[vec![Fr::random(&mut rng); 2100], vec![Fr::ONE; 2100], vec![-Fr::from(3); 2099]]);
}

#[test]
fn equal_opposite_and_identity_points_are_summed() {
    let mut rng = rng();
    let e = Fr::random(&mut rng);
    let exponents: Vec<Fr> = [e, -e, Fr::ZERO, e.double(), e, -e.double()].into_iter().cycle().take(500).collect();
    let alternating = (0..500).map(|i| if i % 2 == 0 { Fr::ONE } else { -Fr::ONE }).collect();
    check(&exponents, &[vec![Fr::ONE; 500], alternating, random(&mut rng, 500), vec![Fr::from(5); 2]]);
    check(&[Fr::ZERO; 20], &[random(&mut rng, 20)]);
}

#[test]
fn levels_of_tables_are_affine_multiples() {
    let mut rng = rng();
    let mut device = Device::new();
    for len in [1, 8, 600] {
        let points: Vec<G1Affine> =
            (0..len).map(|i| if i % 5 == 3 { G1Affine::default() } else { G1::random(&mut rng).to_affine() }).collect();
        let plan = Plan { bits: 16, sets: 6, low_bits: 8, chunk: 8, segments: 1 };
        let table = Msm::new(&mut device, plan, &points).table;
        let mut expected = points;
        for level in 0..plan.levels() {
            let memory = device.read(table + (64 * len * level) as u64, 64 * len);
            assert_eq!(memory, point_bytes(&expected), "level {level}, seed {SEED}");
            let multiple = |point: &G1Affine| (0..96).fold(G1::from(*point), |sum, _| sum.double()).to_affine();
            expected.iter_mut().for_each(|point| *point = multiple(point));
        }
    }
}
