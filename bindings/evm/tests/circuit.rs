//! Contracts of any circuit: with permutations, lookups, selectors, challenges and rotations in both directions.

use crate::support::{Deployed, solc};
use ff::Field;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Challenge, Circuit as Halo2Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase, Fixed,
    Instance, SecondPhase, Selector, keygen_pk, keygen_vk, verify_proof,
};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{TranscriptReadBuffer, TranscriptWriterBuffer};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zkml_gpu_engine::Prover;
use zkml_gpu_engine::backend::Cpu;
use zkml_gpu_engine::transcript::{EvmRead, EvmWrite};
use zkml_gpu_evm::machine::Outcome;
use zkml_gpu_evm::{Circuit, Contract, Number, Statement};

/// Rows in use.
const ROWS: u64 = 12;
const K: u32 = 6;

/// Proves `b_i = a_i² + 3`, `a` counting up from a public start within a table, the last `b` public; and a combination
/// by a challenge, which a second phase holds.
#[derive(Clone)]
struct Squares(u64);

#[derive(Clone)]
struct Config {
    a: Column<Advice>,
    b: Column<Advice>,
    /// `a + challenge·b`, and its sum so far.
    folded: Column<Advice>,
    table: Column<Fixed>,
    first: Column<Instance>,
    second: Column<Instance>,
    square: Selector,
    step: Selector,
    challenge: Challenge,
}

impl Halo2Circuit<Fr> for Squares {
    type Config = Config;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = ();

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(cs: &mut ConstraintSystem<Fr>) -> Config {
        let [a, b] = [cs.advice_column_in(FirstPhase), cs.advice_column_in(FirstPhase)];
        let challenge = cs.challenge_usable_after(FirstPhase);
        let folded = cs.advice_column_in(SecondPhase);
        let table = cs.fixed_column();
        let [first, second] = [cs.instance_column(), cs.instance_column()];
        let (square, step) = (cs.selector(), cs.complex_selector());
        for column in [a, b] {
            cs.enable_equality(column);
        }
        cs.enable_equality(first);
        cs.create_gate("square", |cells| {
            let (q, a, b) = (
                cells.query_selector(square),
                cells.query_advice(a, Rotation::cur()),
                cells.query_advice(b, Rotation::cur()),
            );
            vec![q * (a.clone() * a + Expression::Constant(Fr::from(3)) - b)]
        });
        cs.create_gate("step", |cells| {
            let q = cells.query_selector(step);
            let [here, next] = [Rotation::cur(), Rotation::next()].map(|at| cells.query_advice(a, at));
            let before = cells.query_advice(folded, Rotation::prev());
            let [folded, b] = [folded, b].map(|column| cells.query_advice(column, Rotation::cur()));
            let challenge = cells.query_challenge(challenge);
            vec![
                q.clone() * (next - here.clone() - Expression::Constant(Fr::ONE)),
                q * (folded - before - here - challenge * b),
            ]
        });
        // The second column is read by a gate, on every row: `b` less it is the first row's rest nowhere.
        cs.create_gate("instance", |cells| {
            let q = cells.query_selector(square);
            let value = cells.query_instance(second, Rotation::cur());
            let a = cells.query_advice(a, Rotation::cur());
            vec![q * value.clone() * (value - a)]
        });
        cs.lookup_any("within the table", |cells| {
            let q = cells.query_selector(step);
            let a = cells.query_advice(a, Rotation::cur());
            let table = cells.query_fixed(table, Rotation::cur());
            vec![(q * a, table)]
        });
        Config { a, b, folded, table, first, second, square, step, challenge }
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let challenge = layouter.get_challenge(config.challenge);
        let cells = layouter.assign_region(
            || "squares",
            |mut region| {
                let mut cells = Vec::new();
                for row in 0..40usize {
                    region.assign_fixed(config.table, row, Fr::from(row as u64));
                }
                let mut sum = Value::known(Fr::ZERO);
                for row in 0..ROWS as usize {
                    let a = Fr::from(self.0 + row as u64);
                    let b = a * a + Fr::from(3);
                    config.square.enable(&mut region, row)?;
                    let assigned_a = region.assign_advice(config.a, row, Value::known(a));
                    let assigned_b = region.assign_advice(config.b, row, Value::known(b));
                    if row > 0 && row + 1 < ROWS as usize {
                        config.step.enable(&mut region, row)?;
                        sum = sum + challenge.map(|challenge| a + challenge * b);
                    }
                    region.assign_advice(config.folded, row, sum);
                    if row == 0 {
                        cells.push(assigned_a.cell());
                    }
                    if row + 1 == ROWS as usize {
                        cells.push(assigned_b.cell());
                    }
                }
                Ok(cells)
            },
        )?;
        for (row, cell) in cells.into_iter().enumerate() {
            layouter.constrain_instance(cell, config.first, row);
        }
        let _ = config.second;
        Ok(())
    }
}

#[test]
fn contracts_of_any_circuit_agree_with_the_stock_verifier() {
    let circuit = Squares(5);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let params = ParamsKZG::<Bn256>::setup(K, &mut rng);
    let vk = keygen_vk::<G1Affine, _, _>(&params, &circuit).expect("a key");
    let pk = keygen_pk(&params, vk.clone(), &circuit).expect("a key");
    let prover = Prover::new(Cpu::new(), &params, &pk).expect("a prover");
    let last = 5 + ROWS - 1;
    let numbers = [5, last * last + 3, 5].map(Fr::from);
    let (first, second) = numbers.split_at(2);
    let mut transcript = EvmWrite::init(Vec::new());
    prover.create_proof(&circuit, &[first, second], &mut rng, &mut transcript).expect("a proof");
    let proof = transcript.finalize();
    let stock = |numbers: &[Fr], proof: &[u8]| {
        let (first, second) = numbers.split_at(2);
        let mut transcript = EvmRead::init(proof);
        let strategy = SingleStrategy::new(&params);
        let columns: &[&[Fr]] = &[first, second];
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, SingleStrategy<'_, Bn256>>(
            &params,
            &vk,
            strategy,
            &[columns],
            &mut transcript,
        )
        .is_ok()
    };
    assert!(stock(&numbers, &proof));

    let circuit = Circuit { vk: &vk, k: K, s_g2: params.s_g2(), statement: Statement::elements(&[2, 1]), link: None };
    let contract = Contract::new("Squares", &circuit, &["for a test".into()]).expect("a contract");
    assert_eq!(contract.proof_bytes, proof.len());
    let Some(solc) = solc() else { return };
    let mut deployed = Deployed::new(&solc.compile(&contract.source, "Squares").expect("it compiles"));
    let call = |numbers: &[Fr], proof: &[u8]| {
        let numbers: Vec<Number> = numbers.iter().copied().map(Number::Element).collect();
        contract.calldata(proof, &numbers).expect("calldata")
    };
    let answer = deployed.call(&call(&numbers, &proof));
    println!("{} bytes of code, {} gas", deployed.code_bytes, answer.gas);
    assert!(answer.is_true(), "{answer:?}");
    for index in 0..numbers.len() {
        let mut changed = numbers;
        changed[index] += Fr::ONE;
        assert!(!stock(&changed, &proof));
        assert!(matches!(deployed.call(&call(&changed, &proof)).outcome, Outcome::Reverted(_) | Outcome::Halted(_)));
    }
    for at in (0..proof.len()).step_by(32) {
        let mut changed = proof.clone();
        changed[at + 31] ^= 1;
        assert!(!stock(&numbers, &changed), "word {}", at / 32);
        assert!(!deployed.accepts(&call(&numbers, &changed)), "word {}", at / 32);
    }
}

#[test]
fn what_is_no_name_of_a_contract_is_refused() {
    let circuit = Squares(5);
    let params = ParamsKZG::<Bn256>::setup(K, ChaCha20Rng::seed_from_u64(3));
    let vk = keygen_vk::<G1Affine, _, _>(&params, &circuit).expect("a key");
    let of = |lengths: &[usize]| Circuit {
        vk: &vk,
        k: K,
        s_g2: params.s_g2(),
        statement: Statement::elements(lengths),
        link: None,
    };
    for name in ["", "a", "A b", "A{", "1A", "A\n", "É"] {
        assert!(Contract::new(name, &of(&[2, 1]), &[]).is_err(), "{name:?}");
    }
    assert!(Contract::new("A", &of(&[2, 1]), &[]).is_ok());
    // Not as many instance columns as the circuit has; more cells than a contract takes.
    assert!(Contract::new("A", &of(&[2]), &[]).is_err());
    assert!(Contract::new("A", &of(&[2, 1 << 20]), &[]).is_err());
    // What a model is called stays in its comment.
    let source = Contract::new("A", &of(&[2, 1]), &["a\n} contract B {".into()]).expect("a contract").source;
    assert!(source.contains("/// a } contract B {") && !source.contains("\n} contract B"));
}
