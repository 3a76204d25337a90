//! Names for the polynomials of a proof, and a store of them.

use std::collections::HashMap;

use super::ProverError;

/// A polynomial of the protocol, whichever form (values on H, on a coset, or coefficients) a store holds it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Poly {
    /// Fixed column.
    Fixed(usize),
    /// Permutation polynomial of the i-th column that takes part in the permutation argument.
    Sigma(usize),
    /// X itself.
    Identity,
    /// 1 at row 0.
    LFirst,
    /// 1 at the first row after the usable ones.
    LLast,
    /// 1 at the usable rows.
    LActive,
    /// Instance column.
    Instance(usize),
    /// Advice column.
    Advice(usize),
    /// Grand product of the i-th chunk of permutation columns.
    PermutationProduct(usize),
    /// A lookup's input, its expressions compressed by theta.
    CompressedInput(usize),
    /// A lookup's table, its expressions compressed by theta.
    CompressedTable(usize),
    /// A lookup's permuted input A'.
    PermutedInput(usize),
    /// A lookup's permuted table S'.
    PermutedTable(usize),
    /// A lookup's grand product.
    LookupProduct(usize),
    /// The quotient's pieces, combined by powers of `x^n`.
    Quotient,
    /// The vanishing argument's random polynomial.
    Random,
}

impl Poly {
    /// Whether the polynomial comes from the proving key alone.
    pub(super) fn is_resident(self) -> bool {
        matches!(self, Poly::Fixed(_) | Poly::Sigma(_) | Poly::Identity | Poly::LFirst | Poly::LLast | Poly::LActive)
    }
}

/// A polynomial of a proof of several circuits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ProofPoly {
    /// Made from the witness or the public inputs of the circuit with this index.
    Circuit(usize, Poly),
    /// The key's or the vanishing argument's, which all circuits share.
    Shared(Poly),
}

/// Polynomials by name. Never iterated, so that its order cannot influence a proof.
#[derive(Debug)]
pub(super) struct Polynomials<S> {
    vectors: HashMap<Poly, S>,
}

impl<S> Default for Polynomials<S> {
    fn default() -> Self {
        Polynomials { vectors: HashMap::new() }
    }
}

impl<S> Polynomials<S> {
    pub(super) fn insert(&mut self, name: Poly, vector: S) {
        self.vectors.insert(name, vector);
    }

    /// Inserts one vector per name.
    pub(super) fn extend(&mut self, names: impl IntoIterator<Item = Poly>, vectors: impl IntoIterator<Item = S>) {
        self.vectors.extend(names.into_iter().zip(vectors));
    }

    pub(super) fn get(&self, name: Poly) -> Option<&S> {
        self.vectors.get(&name)
    }

    /// Takes a vector out.
    pub(super) fn remove(&mut self, name: Poly) -> Option<S> {
        self.vectors.remove(&name)
    }

    /// Drops all vectors but those of these names.
    pub(super) fn retain(&mut self, names: &[Poly]) {
        self.vectors.retain(|name, _| names.contains(name));
    }

    pub(super) fn get_mut(&mut self, name: Poly) -> Option<&mut S> {
        self.vectors.get_mut(&name)
    }

    pub(super) fn expect(&self, name: Poly) -> Result<&S, ProverError> {
        find(&[self], name)
    }
}

/// A polynomial's vector, in the form that there is.
#[derive(Debug)]
pub(super) enum Form<'a, S> {
    /// On H.
    Values(&'a S),
    /// Lowest first.
    Coefficients(&'a S),
}

/// A polynomial's coefficients where there are any, else its values.
pub(super) fn form<'a, S>(
    coefficients: &[&'a Polynomials<S>],
    values: &[&'a Polynomials<S>],
    name: Poly,
) -> Result<Form<'a, S>, ProverError> {
    match coefficients.iter().find_map(|store| store.get(name)) {
        Some(vector) => Ok(Form::Coefficients(vector)),
        None => find(values, name).map(Form::Values),
    }
}

/// The vector of `name`, from the first of the `stores` that has it.
pub(super) fn find<'a, S>(stores: &[&'a Polynomials<S>], name: Poly) -> Result<&'a S, ProverError> {
    let found = stores.iter().find_map(|store| store.get(name));
    found.ok_or_else(|| ProverError::MissingPolynomial { polynomial: format!("{name:?}") })
}

/// The vectors of `names`, each from the first of the `stores` that has it.
pub(super) fn resolve<'a, S>(stores: &[&'a Polynomials<S>], names: &[Poly]) -> Result<Vec<&'a S>, ProverError> {
    names.iter().map(|&name| find(stores, name)).collect()
}
