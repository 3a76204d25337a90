//! The rows of hashes ([`hash`](crate::hash)) in a network's circuit, and their values, which a digest ties to a tensor.

use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;

use crate::hash::{self, HashColumns, Poseidon};
use crate::system::{FixedRole, NetworkConfig, RowCells, total};

/// Creates the gates, where some tensor is hashed.
pub(super) fn configure(meta: &mut ConstraintSystem<Fr>, config: &NetworkConfig) {
    let a = &config.architecture;
    if !a.has_hashes() {
        return;
    }
    let [first, second, third, square, word, held, value] = [0, 1, 2, 3, 4, 5, 6].map(|i| config.advice[a.hash(i)]);
    let roles = a.fixed.iter().zip(&config.fixed);
    let fixed =
        roles.filter_map(|(role, column)| if let FixedRole::Hash(role) = role { Some((*role, *column)) } else { None });
    let columns = HashColumns {
        state: [first, second, third],
        square,
        word,
        held,
        value,
        public: config.instance[a.hash_instance()],
        fixed: fixed.collect(),
    };
    hash::configure(meta, &columns, &Poseidon::new());
}

/// The value of a row that has one.
pub(super) fn value(row: &mut RowCells<'_, '_>) -> Expression<Fr> {
    let a = row.architecture();
    let mut terms = Vec::new();
    for (index, role) in a.fixed.iter().enumerate() {
        if matches!(role, FixedRole::Hash(role) if role.has_value()) {
            terms.push(row.fixed_at(index) * row.advice(a.hashed_values()));
        }
    }
    total(terms)
}
