//! The gates of a hash. The state follows from the row before, so rotations are 0 and −1 only, and no row of a hash is
//! row 0: no gate with a nonzero coefficient reads a blinding row.
//!
//! With the first lane `x` (its constant added), `q = x²`, and `y = q²·x` the S-box, on a row and the row before (`'`):
//!
//! | role of the row | first lane | second | third |
//! |---|---|---|---|
//! | none (first row) | constant | salt: free | 0 |
//! | Rotation | second' + constant | third' | y' |
//! | FullMix | `M·(second', third', y')` + constant | of the same | of the same |
//! | PartialMix | `M·(y', second', third')` + constant | of the same | of the same |
//! | Pair | `M·(second', third', y')` + constant | held | word |
//! | Lone (first row) | constant | salt: free | word |
//!
//! On rows with a value, `word = value + offset`, plus `2^bits·word'` for a further digit, and `held` is `word'` on a
//! word's first row and `held'` on the others: where a pair is taken in, `held` is the word before.
//!
//! *Bounds.* All but the words are equations of the field, which Poseidon is defined over. A digit `value + offset` is
//! in `[0, 2^bits)` for each value in its format's range, which is for the tensor's own cells to show. A word has at
//! most `248 / bits` digits, so it is an integer below `2^248 < p`: its digits are determined by it.
//!
//! *Degree.* 4: a selector times `q²·x`.

use halo2_proofs::plonk::{Advice, Column, ConstraintSystem, Expression, Fixed, Instance, VirtualCells};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;

use super::place::HashRole;
use super::poseidon::{Poseidon, WIDTH};

/// The columns of a circuit's hashes, which other rows may use otherwise.
#[derive(Clone, Debug)]
pub struct HashColumns {
    /// The state; the constant of the S-box is in the first lane already.
    pub state: [Column<Advice>; WIDTH],
    /// The square of the first lane.
    pub square: Column<Advice>,
    /// The word that the digits so far make.
    pub word: Column<Advice>,
    /// The first word of a pair.
    pub held: Column<Advice>,
    /// The values, of the first phase: to be tied to the tensor.
    pub value: Column<Advice>,
    /// The public hashes, on the rows where they come out.
    pub public: Column<Instance>,
    /// A fixed column for each role that some row has.
    pub fixed: Vec<(HashRole, Column<Fixed>)>,
}

impl HashColumns {
    /// Advice columns of field elements: state, square, word, held, in this order; the values are one more.
    pub const ELEMENTS: usize = WIDTH + 3;
}

/// Creates the gates.
pub fn configure(meta: &mut ConstraintSystem<Fr>, columns: &HashColumns, poseidon: &Poseidon) {
    meta.create_gate("hash: square", |cells| {
        let mut row = Row { cells, columns };
        let [x, ..] = row.state(Rotation::cur());
        vec![row.fixed(HashRole::Row) * (row.advice(columns.square) - x.clone() * x)]
    });
    meta.create_gate("hash: state", |cells| state(&mut Row { cells, columns }, poseidon));
    meta.create_gate("hash: words", |cells| words(&mut Row { cells, columns }));
    meta.create_gate("hash: public", |cells| {
        let mut row = Row { cells, columns };
        let [x, ..] = row.state(Rotation::cur());
        let public = row.cells.query_instance(columns.public, Rotation::cur());
        vec![row.fixed(HashRole::Public) * (x - public)]
    });
}

fn state(row: &mut Row<'_, '_>, poseidon: &Poseidon) -> Vec<Expression<Fr>> {
    let columns = row.columns;
    let [first, second, third] = row.state(Rotation::prev());
    let square = row.previous(columns.square);
    let powered = square.clone() * square * first;
    // The state behind the S-boxes of a round, in the order of its elements.
    let full = [second.clone(), third.clone(), powered.clone()];
    let partial = [powered.clone(), second.clone(), third.clone()];
    let mixed = |state: &[Expression<Fr>; WIDTH], lane: usize| {
        let products = state.iter().zip(poseidon.matrix[lane]).map(|(element, m)| element.clone() * m);
        products.fold(zero(), |sum, product| sum + product)
    };
    let roles = [HashRole::Row, HashRole::Rotation, HashRole::FullMix, HashRole::PartialMix, HashRole::Pair];
    let [any, rotation, full_mix, partial_mix, pair] = roles.map(|role| row.fixed(role));
    let [lone, constant] = [HashRole::Lone, HashRole::Constant].map(|role| row.fixed(role));
    let [x, a, b] = row.state(Rotation::cur());
    let [held, word] = [columns.held, columns.word].map(|column| row.advice(column));
    let from_mixes = |lane: usize| full_mix.clone() * mixed(&full, lane) + partial_mix.clone() * mixed(&partial, lane);
    let follows = rotation.clone() + full_mix.clone() + partial_mix.clone() + pair.clone();
    vec![
        any.clone() * (x - constant) - from_mixes(0) - pair.clone() * mixed(&full, 0) - rotation.clone() * second,
        // The first row's is the salt, which is free.
        follows * a - from_mixes(1) - rotation.clone() * third - pair.clone() * held,
        any * b - from_mixes(2) - rotation * powered - (pair + lone) * word,
    ]
}

fn words(row: &mut Row<'_, '_>) -> Vec<Expression<Fr>> {
    let columns = row.columns;
    let [word, held, value] = [columns.word, columns.held, columns.value].map(|column| row.advice(column));
    let [word_before, held_before] = [columns.word, columns.held].map(|column| row.previous(column));
    let [mut words, mut helds] = [Vec::new(), Vec::new()];
    for (role, _) in &columns.fixed {
        let (packing, before) = match role {
            HashRole::First(packing) => (packing, None),
            HashRole::Next(packing) => (packing, Some(packing.base())),
            HashRole::Row
            | HashRole::Constant
            | HashRole::Rotation
            | HashRole::FullMix
            | HashRole::PartialMix
            | HashRole::Pair
            | HashRole::Lone
            | HashRole::Public => continue,
        };
        let selector = row.fixed(*role);
        let digit = value.clone() + Expression::Constant(packing.offset());
        let (higher, held_before) = match before {
            Some(base) => (word_before.clone() * base, held_before.clone()),
            None => (zero(), word_before.clone()),
        };
        words.push(selector.clone() * (word.clone() - digit - higher));
        helds.push(selector * (held.clone() - held_before));
    }
    // A row has one of these roles at most.
    [words, helds].map(|terms| terms.into_iter().fold(zero(), |sum, term| sum + term)).into()
}

/// The cells of a row, and of the row before.
struct Row<'r, 'm> {
    cells: &'r mut VirtualCells<'m, Fr>,
    columns: &'r HashColumns,
}

impl Row<'_, '_> {
    fn advice(&mut self, column: Column<Advice>) -> Expression<Fr> {
        self.cells.query_advice(column, Rotation::cur())
    }

    fn previous(&mut self, column: Column<Advice>) -> Expression<Fr> {
        self.cells.query_advice(column, Rotation::prev())
    }

    fn state(&mut self, rotation: Rotation) -> [Expression<Fr>; WIDTH] {
        self.columns.state.map(|lane| self.cells.query_advice(lane, rotation))
    }

    /// 0 for a role that no row has.
    fn fixed(&mut self, role: HashRole) -> Expression<Fr> {
        let column = self.columns.fixed.iter().find(|(of, _)| *of == role);
        column.map_or(zero(), |(_, column)| self.cells.query_fixed(*column, Rotation::cur()))
    }
}

fn zero() -> Expression<Fr> {
    Expression::Constant(Fr::zero())
}
