//! Sorting and the lookup argument's grouping.

use ff::Field;
use halo2curves::bn256::Fr;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use crate::device::{Arguments, Device};
use crate::vector::COUNT;
use crate::{SEED, edges, rng, words};

const THREADS: usize = 256;
/// `SORT_BLOCK`
const BLOCK: usize = 1024;

impl Device {
    fn rows(&mut self, kernel: &str, len: usize, addresses: &[u64]) {
        let arguments = addresses.iter().fold(Arguments::new().word(len), |arguments, at| arguments.address(*at));
        self.launch(kernel, len.div_ceil(THREADS), THREADS, arguments);
    }

    /// The canonical integers of elements, sorted.
    fn sorted(&mut self, values: &[Fr]) -> u64 {
        let len = values.len();
        let at = self.upload_elements(values);
        let [mut keys, mut spare] = [self.allocate(32 * len), self.allocate(32 * len)];
        self.rows("sort_load", len, &[at, keys]);
        self.launch("sort_blocks", len.div_ceil(BLOCK), THREADS, Arguments::new().word(len).address(keys));
        let mut run = BLOCK;
        while run < len {
            let arguments = Arguments::new().word(len).word(run).address(keys).address(spare);
            self.launch("sort_merge", len.div_ceil(BLOCK), THREADS, arguments);
            (keys, spare) = (spare, keys);
            run *= 2;
        }
        keys
    }

    fn ranks(&mut self, marks: u64, len: usize) -> u64 {
        let zero = self.zeros(4);
        self.scan(&COUNT, len, &|arguments| arguments.address(marks), zero)
    }

    /// Both columns, or the first row that is not in the table.
    fn permute(&mut self, input: &[Fr], table: &[Fr]) -> Result<[Vec<Fr>; 2], usize> {
        let len = input.len();
        let (inputs, tables) = (self.sorted(input), self.sorted(table));
        let [unused_marks, repeated_marks] = [self.allocate(4 * len), self.allocate(4 * len)];
        let missing = self.upload(&words(&[u32::MAX]));
        self.rows("lookup_mark_unused", len, &[tables, inputs, unused_marks]);
        self.rows("lookup_mark_repeated", len, &[inputs, tables, repeated_marks, missing]);
        if self.read_words(missing, 1) != [u32::MAX] {
            let at = self.upload_elements(input);
            let keys = self.allocate(32 * len);
            self.rows("sort_load", len, &[at, keys]);
            let missing = self.upload(&words(&[u32::MAX]));
            self.rows("lookup_mark_repeated", len, &[keys, tables, repeated_marks, missing]);
            return Err(self.read_words(missing, 1)[0] as usize);
        }
        let [unused_ranks, repeated_ranks] = [unused_marks, repeated_marks].map(|marks| self.ranks(marks, len));
        let [unused, permuted_input, permuted_table] = [0; 3].map(|_| self.allocate(32 * len));
        self.rows("lookup_collect", len, &[tables, unused_marks, unused_ranks, unused]);
        let columns = [inputs, unused, repeated_marks, repeated_ranks, permuted_input, permuted_table];
        self.rows("lookup_place", len, &columns);
        Ok([permuted_input, permuted_table].map(|column| self.read_elements(column, len)))
    }
}

#[test]
fn keys_are_sorted() {
    let (mut device, mut rng) = (Device::new(), rng());
    for len in [1, 1000, 1024, 1025, 5000] {
        let small: Vec<Fr> = (0..len).map(|_| Fr::from(u64::from(rng.next_u32() % 50))).collect();
        let full: Vec<Fr> = (0..len).map(|_| Fr::random(&mut rng)).collect();
        let descending: Vec<Fr> = (0..len).map(|i| -Fr::from(i as u64)).collect();
        for values in [small, full, descending, vec![-Fr::ONE; len], edges().into_iter().cycle().take(len).collect()] {
            let keys = device.sorted(&values);
            let mut expected = values.clone();
            expected.sort();
            let expected: Vec<u8> = expected.iter().flat_map(ff::PrimeField::to_repr).collect();
            assert_eq!(device.read(keys, 32 * len), expected, "{len} keys, seed {SEED}");
        }
    }
}

/// The grouping by its definition.
fn grouped(input: &[Fr], table: &[Fr]) -> [Vec<Fr>; 2] {
    let mut inputs = input.to_vec();
    inputs.sort();
    let mut left = table.to_vec();
    left.sort();
    for (i, value) in inputs.iter().enumerate() {
        if i == 0 || inputs[i - 1] != *value {
            left.remove(left.iter().position(|row| row == value).unwrap());
        }
    }
    let mut left = left.into_iter();
    let row = |(i, value): (usize, &Fr)| if i == 0 || inputs[i - 1] != *value { *value } else { left.next().unwrap() };
    let tables = inputs.iter().enumerate().map(row).collect();
    [inputs, tables]
}

fn table(rng: &mut ChaCha8Rng, len: usize) -> Vec<Fr> {
    (0..len).map(|i| if i % 4 == 3 { Fr::random(&mut *rng) } else { Fr::from((i / 2) as u64) }).collect()
}

#[test]
fn inputs_are_grouped_with_the_table() {
    let (mut device, mut rng) = (Device::new(), rng());
    for len in [1, 100, 2500] {
        let table = table(&mut rng, len);
        let random: Vec<Fr> = (0..len).map(|_| table[rng.next_u32() as usize % len]).collect();
        let few: Vec<Fr> = (0..len).map(|_| table[rng.next_u32() as usize % len.min(3)]).collect();
        for input in [random, few, vec![table[len - 1]; len], table.clone()] {
            let columns = device.permute(&input, &table).unwrap();
            assert_eq!(columns, grouped(&input, &table), "{len} rows, seed {SEED}");
        }
    }
}

#[test]
fn the_first_row_that_is_not_in_the_table_is_found() {
    let (mut device, mut rng) = (Device::new(), rng());
    let table = table(&mut rng, 600);
    let mut input = table.clone();
    input[411] = Fr::random(&mut rng);
    input[412] = input[411];
    input[500] = -Fr::ONE;
    assert_eq!(device.permute(&input, &table), Err(411), "seed {SEED}");
}
