//! Keys of the library's key generation are those of the stock functions, byte for byte, and refusals are errors.

use halo2_proofs::SerdeFormat;
use halo2_proofs::circuit::{Cell, Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Assigned, Circuit, Column, ConstraintSystem, Error, Fixed, create_proof, keygen_pk, keygen_vk, verify_proof,
};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverSHPLONK, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkml_gpu_engine::backend::{Backend, Cpu, Dual};
use zkml_gpu_engine::keygen::keygen;
use zkml_gpu_engine::{BackendError, KeygenError};
use zkml_gpu_tests::naive::Naive;
use zkml_gpu_tests::zoo::*;

const SEED: u64 = 20_261_123;

fn params(k: u32) -> ParamsKZG<Bn256> {
    ParamsKZG::setup(k, ChaCha20Rng::seed_from_u64(SEED))
}

/// Both keys on these back ends, against the stock functions'.
fn equals_stock<B: Backend, C: Circuit<Fr>>(backend: &B, k: u32, circuit: &C) {
    let params = params(k);
    let ours = keygen(backend, &params, circuit).unwrap();
    let stock = keygen_pk(&params, keygen_vk::<G1Affine, _, _>(&params, circuit).unwrap(), circuit).unwrap();
    let format = SerdeFormat::RawBytes;
    assert_eq!(ours.get_vk().to_bytes(format), stock.get_vk().to_bytes(format));
    assert_eq!(ours.get_vk().transcript_repr(), stock.get_vk().transcript_repr());
    assert!(ours.to_bytes(format) == stock.to_bytes(format), "proving keys differ");
}

macro_rules! keys_equal_stock_keys {
    ($($name:ident: $circuit:ty,)*) => {$(
        #[test]
        fn $name() {
            equals_stock(&Cpu::new(), <$circuit>::K, &<$circuit>::honest());
        }
    )*};
}

keys_equal_stock_keys! {
    keys_of_gates_equal_stock_keys: Arithmetic,
    keys_of_selectors_equal_stock_keys: Switches,
    keys_of_lookups_equal_stock_keys: ManyLookups,
    keys_of_a_table_equal_stock_keys: RangeCheck,
    keys_of_copied_constants_equal_stock_keys: Constants,
    keys_of_copied_public_values_equal_stock_keys: Public,
    keys_of_several_permutation_chunks_equal_stock_keys: Chunks,
    keys_of_phases_equal_stock_keys: ThreePhases,
    keys_of_no_column_equal_stock_keys: Empty,
    keys_of_a_wide_circuit_equal_stock_keys: Wide,
    keys_of_a_tall_circuit_equal_stock_keys: Tall,
    keys_of_everything_equal_stock_keys: Everything,
}

#[test]
fn back_ends_in_lock_step_make_the_same_keys() {
    equals_stock(&Dual::new(Cpu::new(), Naive::new()), Everything::K, &Everything::honest());
}

#[test]
fn the_stock_prover_proves_with_our_key_for_the_stock_verifier() {
    let (params, circuit) = (params(Public::K), Public::honest());
    let pk = keygen(&Cpu::new(), &params, &circuit).unwrap();
    let instances = circuit.instances();
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
    create_proof::<KZGCommitmentScheme<Bn256>, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        &params,
        &pk,
        &[circuit],
        &[&columns],
        ChaCha20Rng::seed_from_u64(SEED),
        &mut transcript,
    )
    .unwrap();
    let proof = transcript.finalize();
    let verify = |columns: &[&[Fr]]| {
        let mut transcript = Blake2bRead::<_, G1Affine, Challenge255<_>>::init(&proof[..]);
        let strategy = SingleStrategy::new(&params);
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
            &params,
            pk.get_vk(),
            strategy,
            &[columns],
            &mut transcript,
        )
    };
    assert!(verify(&columns).is_ok());
    let mut changed = instances.clone();
    changed[0][0] += Fr::one();
    let changed: Vec<&[Fr]> = changed.iter().map(Vec::as_slice).collect();
    assert!(verify(&changed).is_err());
}

/// What [`Odd`] does in its synthesis.
#[derive(Debug, Clone, Copy)]
enum Doing {
    /// Fractions: one over zero, and some that are assigned again.
    Fractions,
    /// Copies of copies, in a circle, and of a cell to itself.
    Circle,
    /// A fixed cell in a blinding row.
    FixedOutside,
    /// A copy of a cell in a blinding row.
    CopyOutside,
    /// A copy of a column without equality.
    CopyOfOther,
    /// Fails by itself.
    Failure,
}

/// A circuit whose synthesis does one odd thing.
struct Odd(Doing);

impl Circuit<Fr> for Odd {
    type Config = (Column<Fixed>, [Column<Advice>; 3]);
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        Odd(self.0)
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Self::Config {
        let (fixed, advice) = (cs.fixed_column(), [(); 3].map(|()| cs.advice_column()));
        advice[..2].iter().for_each(|column| cs.enable_equality(*column));
        (fixed, advice)
    }

    fn synthesize(&self, (fixed, advice): Self::Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let fraction = |a: u64, b: u64| Assigned::Rational(Fr::from(a), Fr::from(b));
        let last = (1 << ODD_K) - 1;
        layouter.assign_region(
            || "odd",
            |mut region| {
                let mut cell = |column: usize, row: usize| -> Cell {
                    region.assign_advice(advice[column], row, Value::known(Fr::one())).cell()
                };
                let cells = [cell(0, 0), cell(1, 0), cell(0, 1), cell(1, 1), cell(2, 0), cell(0, last)];
                match self.0 {
                    Doing::Fractions => {
                        for (row, value) in [(0, fraction(3, 7)), (1, fraction(1, 0)), (2, fraction(2, 5))] {
                            region.assign_fixed(fixed, row, value);
                        }
                        region.assign_fixed(fixed, 2, Fr::from(9));
                        region.assign_fixed(fixed, 3, Fr::from(9));
                        region.assign_fixed(fixed, 3, fraction(4, 9));
                    }
                    Doing::Circle => {
                        for [a, b] in [[0, 1], [2, 3], [1, 2], [3, 0], [0, 0], [2, 0]] {
                            region.constrain_equal(cells[a], cells[b]);
                        }
                    }
                    Doing::FixedOutside => drop(region.assign_fixed(fixed, last, Fr::one())),
                    Doing::CopyOutside => region.constrain_equal(cells[0], cells[5]),
                    Doing::CopyOfOther => region.constrain_equal(cells[0], cells[4]),
                    Doing::Failure => return Err(Error::Synthesis),
                }
                Ok(())
            },
        )
    }
}

const ODD_K: u32 = 4;

#[test]
fn fractions_and_circles_of_copies_equal_stock_keys() {
    equals_stock(&Cpu::new(), ODD_K, &Odd(Doing::Fractions));
    equals_stock(&Cpu::new(), ODD_K, &Odd(Doing::Circle));
}

#[test]
fn what_the_stock_functions_panic_on_is_an_error() {
    let refusal = |doing| keygen(&Cpu::new(), &params(ODD_K), &Odd(doing)).map(drop).unwrap_err();
    let fixed = refusal(Doing::FixedOutside);
    assert!(matches!(fixed, KeygenError::CellOutOfRange { column: 0, row: 15, .. }), "{fixed}");
    let copy = refusal(Doing::CopyOutside);
    assert!(matches!(copy, KeygenError::CellOutOfRange { row: 15, .. }), "{copy}");
    let other = refusal(Doing::CopyOfOther);
    assert!(matches!(other, KeygenError::NotEnabled { .. }), "{other}");
    let failure = refusal(Doing::Failure);
    assert!(matches!(failure, KeygenError::Synthesis(Error::Synthesis)), "{failure}");
}

#[test]
fn too_few_rows_are_refused() {
    let error = keygen(&Cpu::new(), &params(2), &Odd(Doing::Circle)).map(drop).unwrap_err();
    assert!(matches!(error, KeygenError::TooFewRows { k: 2, needed } if needed > 4), "{error}");
}

#[test]
fn points_of_a_smaller_size_are_an_error_of_the_back_end() {
    use zkml_gpu_engine::{CircuitKey, backend::MsmOps, prover::lagrange_points};
    let points = lagrange_points(&params(ODD_K), 1 << ODD_K).unwrap();
    let backend = Cpu::new();
    let short = backend.load_bases(&points[1..], 0).unwrap();
    let error = CircuitKey::new(&backend, &short, ODD_K, &Odd(Doing::Fractions)).map(drop).unwrap_err();
    assert!(matches!(error, KeygenError::Backend(BackendError::TooFewBases { scalars: 16, bases: 15 })), "{error}");
}
