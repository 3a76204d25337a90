//! The table of the first elements of the scalar field among a module's data.

use walrus::Module;

/// Words of an element, Montgomery form with R = 2^256, least first.
type Words = [u64; 4];

/// The order of BN254's scalar field.
const MODULUS: Words = [0x43e1_f593_f000_0001, 0x2833_e848_79b9_7091, 0xb850_45b6_8181_585d, 0x3064_4e72_e131_a029];
/// R modulo it: the element 1.
const ONE: Words = [0xac96_341c_4fff_fffb, 0x36fc_7695_9f60_cd29, 0x666e_a36f_7879_462e, 0x0e0a_77c1_9a07_df2f];
const ENTRIES: usize = 1 << 16;
const ELEMENT_BYTES: usize = 32;

/// Sets such tables to zeros, but for their first entries, by which they are found again; how many there were.
pub(crate) fn clear(module: &mut Module) -> usize {
    let table = table();
    // It begins with 0, 1, 2: what is compared before the whole of it.
    let head = &table[..3 * ELEMENT_BYTES];
    let mut cleared = 0;
    let all: Vec<_> = module.data.iter().map(|data| data.id()).collect();
    for id in all {
        let data = module.data.get_mut(id);
        let mut at = 0;
        while let Some(found) = data.value[at..].windows(head.len()).position(|window| window == head) {
            at += found;
            match data.value.get_mut(at..at + table.len()) {
                Some(bytes) if *bytes == table[..] => {
                    bytes[head.len()..].fill(0);
                    cleared += 1;
                    at += table.len();
                }
                _ => at += 1,
            }
        }
    }
    cleared
}

/// The table's bytes: each entry is the one before it and 1.
fn table() -> Vec<u8> {
    let mut entry = Words::default();
    let mut bytes = Vec::with_capacity(ENTRIES * ELEMENT_BYTES);
    for _ in 0..ENTRIES {
        entry.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        entry = reduced(add(entry, ONE));
    }
    bytes
}

/// The sum, which is below 2^256: both are below the order, which has 254 bits.
fn add(a: Words, b: Words) -> Words {
    let mut carry = false;
    std::array::from_fn(|i| {
        let (sum, first) = a[i].overflowing_add(b[i]);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        carry = first || second;
        sum
    })
}

fn reduced(a: Words) -> Words {
    let mut borrow = false;
    let difference: Words = std::array::from_fn(|i| {
        let (difference, first) = a[i].overflowing_sub(MODULUS[i]);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        borrow = first || second;
        difference
    });
    if borrow { a } else { difference }
}
