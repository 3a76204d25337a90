//! A Halo2 circuit of one's own: keys, proofs on any back end, the stock verifier.
//!
//! ```sh
//! cargo run --release -p zkml-gpu-engine --example own_circuit -- auto
//! ```
//!
//! It proves knowledge of a byte whose fourth power is public: a lookup says that it is a byte, a gate squares, and
//! copies carry the first square to the second row and the result to the public inputs.

use std::error::Error;

use zkml_gpu_engine::backend::{Any, BackendChoice, MemoryOps};
use zkml_gpu_engine::halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use zkml_gpu_engine::halo2_proofs::plonk::{
    self, Advice, Circuit, Column, ConstraintSystem, Instance, ProvingKey, Selector, TableColumn, keygen_pk, keygen_vk,
    verify_proof,
};
use zkml_gpu_engine::halo2_proofs::poly::Rotation;
use zkml_gpu_engine::halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use zkml_gpu_engine::halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use zkml_gpu_engine::halo2_proofs::poly::kzg::strategy::SingleStrategy;
use zkml_gpu_engine::halo2_proofs::transcript::{
    Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer,
};
use zkml_gpu_engine::halo2curves::bn256::{Bn256, Fr, G1Affine};
use zkml_gpu_engine::rand_core::OsRng;
use zkml_gpu_engine::{Prover, ProverError};

/// log2 of the number of rows: a table of 256 values and the blinding rows fit.
const K: u32 = 9;
/// Values of a byte.
const BYTES: u64 = 256;

/// Knowledge of a byte with a given fourth power.
#[derive(Clone, Copy, Default)]
struct FourthPower {
    byte: Value<Fr>,
}

#[derive(Clone)]
struct Columns {
    base: Column<Advice>,
    square: Column<Advice>,
    public: Column<Instance>,
    bytes: TableColumn,
    squares: Selector,
    looked_up: Selector,
}

impl Circuit<Fr> for FourthPower {
    type Config = Columns;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        Self::default()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Columns {
        let columns = Columns {
            base: cs.advice_column(),
            square: cs.advice_column(),
            public: cs.instance_column(),
            bytes: cs.lookup_table_column(),
            squares: cs.selector(),
            looked_up: cs.complex_selector(),
        };
        cs.enable_equality(columns.base);
        cs.enable_equality(columns.square);
        cs.enable_equality(columns.public);
        cs.create_gate("square", |cells| {
            let base = cells.query_advice(columns.base, Rotation::cur());
            let square = cells.query_advice(columns.square, Rotation::cur());
            vec![cells.query_selector(columns.squares) * (base.clone() * base - square)]
        });
        cs.lookup("byte", |cells| {
            let base = cells.query_advice(columns.base, Rotation::cur());
            vec![(cells.query_selector(columns.looked_up) * base, columns.bytes)]
        });
        columns
    }

    fn synthesize(&self, columns: Columns, mut layouter: impl Layouter<Fr>) -> Result<(), plonk::Error> {
        layouter.assign_table(
            || "bytes",
            |mut table| {
                (0..BYTES).try_for_each(|byte| {
                    table.assign_cell(|| "byte", columns.bytes, byte as usize, || Value::known(Fr::from(byte)))
                })
            },
        )?;
        let fourth_power = layouter.assign_region(
            || "two squares",
            |mut region| {
                columns.looked_up.enable(&mut region, 0)?;
                columns.squares.enable(&mut region, 0)?;
                columns.squares.enable(&mut region, 1)?;
                region.assign_advice(columns.base, 0, self.byte);
                let square = self.byte.map(|byte| byte.square());
                let square_cell = region.assign_advice(columns.square, 0, square);
                square_cell.copy_advice(&mut region, columns.base, 1);
                Ok(region.assign_advice(columns.square, 1, square.map(|square| square.square())).cell())
            },
        )?;
        layouter.constrain_instance(fourth_power, columns.public, 0);
        Ok(())
    }
}

/// What a run has to tell.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The back end's device, in words.
    pub(crate) device: String,
    /// Bytes of each proof that the stock verifier accepted.
    pub(crate) proof_bytes: Vec<usize>,
    /// How wrong witnesses were refused: what is wrong, and the prover's error.
    pub(crate) refusals: Vec<(&'static str, ProverError)>,
}

/// Keys, two proofs by one prover, their verification, and two wrong witnesses, on the back end of this name.
///
/// # Errors
/// Where there is no such back end, or anything above fails.
pub(crate) fn run(backend: &str) -> Result<Outcome, Box<dyn Error>> {
    let backend = backend.parse::<BackendChoice>()?.open()?;
    let device = backend.description();
    // For real use: the output of a ceremony, by `zkml_gpu_engine::srs::Srs::read`.
    let params = ParamsKZG::<Bn256>::setup(K, OsRng);
    let vk = keygen_vk(&params, &FourthPower::default())?;
    let pk = keygen_pk(&params, vk, &FourthPower::default())?;
    let prover = Prover::new(backend, &params, &pk)?;

    let mut proof_bytes = Vec::new();
    for byte in [7, 200] {
        let public = fourth_power(byte);
        let proof = prove(&prover, byte, public)?;
        verify(&params, &pk, public, &proof)?;
        if verify(&params, &pk, public + Fr::one(), &proof).is_ok() {
            return Err("a proof was accepted for another public input".into());
        }
        proof_bytes.push(proof.len());
    }
    let mut refusals = Vec::new();
    for (what, byte, public) in
        [("a number that is no byte", 300, fourth_power(300)), ("another public input", 7, fourth_power(8))]
    {
        match prove(&prover, byte, public) {
            Err(error) => refusals.push((what, error)),
            Ok(_) => return Err(format!("{what} was proved").into()),
        }
    }
    Ok(Outcome { device, proof_bytes, refusals })
}

fn fourth_power(byte: u64) -> Fr {
    Fr::from(byte).square().square()
}

fn prove(prover: &Prover<Any>, byte: u64, public: Fr) -> Result<Vec<u8>, ProverError> {
    let circuit = FourthPower { byte: Value::known(Fr::from(byte)) };
    let mut transcript = Blake2bWrite::<_, G1Affine, Challenge255<_>>::init(Vec::new());
    prover.create_proof(&circuit, &[&[public]], OsRng, &mut transcript)?;
    Ok(transcript.finalize())
}

/// Halo2's own verifier.
fn verify(params: &ParamsKZG<Bn256>, pk: &ProvingKey<G1Affine>, public: Fr, proof: &[u8]) -> Result<(), plonk::Error> {
    let mut transcript = Blake2bRead::<_, _, Challenge255<_>>::init(proof);
    verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, _>(
        params,
        pk.get_vk(),
        SingleStrategy::new(params),
        &[&[&[public]]],
        &mut transcript,
    )
}

#[allow(dead_code)] // The test that includes this file calls `run`.
fn main() -> Result<(), Box<dyn Error>> {
    let backend = std::env::args().nth(1).unwrap_or_else(|| "auto".to_owned());
    let Outcome { device, proof_bytes, refusals } = run(&backend)?;
    println!("proved on {device}");
    for bytes in proof_bytes {
        println!("a proof of {bytes} bytes, accepted by Halo2's verifier");
    }
    for (what, error) in refusals {
        println!("{what}: {error}");
    }
    Ok(())
}
