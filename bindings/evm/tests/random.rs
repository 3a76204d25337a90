//! Circuits of any shape, drawn from seeds, with their proofs.

use crate::support::Deployed;
use ff::{Field, PrimeField};
use group::prime::PrimeCurveAffine;
use halo2_proofs::circuit::{Layouter, SimpleFloorPlanner, Value};
use halo2_proofs::plonk::{
    Advice, Challenge, Circuit as Halo2Circuit, Column, ConstraintSystem, Error, Expression, FirstPhase, Fixed,
    Instance, ProvingKey, SecondPhase, VirtualCells, keygen_pk, keygen_vk, verify_proof,
};
use halo2_proofs::poly::Rotation;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::VerifierSHPLONK;
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Transcript, TranscriptRead, TranscriptReadBuffer, TranscriptWriterBuffer};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;
use zkml_gpu_engine::Prover;
use zkml_gpu_engine::backend::Cpu;
use zkml_gpu_engine::transcript::{EvmChallenge, EvmRead, EvmWrite};
use zkml_gpu_evm::{Circuit, Contract, Link, Number, Statement};

pub(crate) const K: u32 = 5;
/// Rows with values; gates hold on those whose neighbours are among them.
const ROWS: usize = 14;
const EDGE: usize = 2;

#[derive(Clone, Copy, Debug)]
enum Leaf {
    Advice(usize, i32),
    Fixed(usize, i32),
    Instance(usize, i32),
    Challenge(usize),
}

/// A product of leaves with a factor.
#[derive(Clone, Debug)]
struct Term {
    factor: i64,
    leaves: Vec<Leaf>,
}

/// What a random circuit has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    advice: usize,
    fixed: usize,
    /// Lengths of the instance columns.
    pub(crate) instances: Vec<usize>,
    challenges: usize,
    /// Gates: the sum of each is the value of a column of its own.
    gates: Vec<Vec<Term>>,
    lookups: usize,
    /// Whether cells of the first column are those of the instances.
    copies: bool,
}

fn below(rng: &mut impl RngCore, bound: usize) -> usize {
    (rng.next_u32() as usize) % bound
}

impl Shape {
    pub(crate) fn draw(rng: &mut impl RngCore) -> Self {
        let mut shape = Self {
            advice: 1 + below(rng, 3),
            fixed: 1 + below(rng, 2),
            instances: (0..below(rng, 3)).map(|_| below(rng, 6)).collect(),
            challenges: below(rng, 3),
            lookups: below(rng, 3),
            copies: below(rng, 2) == 0,
            gates: Vec::new(),
        };
        shape.gates =
            (0..1 + below(rng, 3)).map(|_| (0..1 + below(rng, 3)).map(|_| shape.term(rng)).collect()).collect();
        shape
    }

    /// With a challenge, and columns of a second phase.
    pub(crate) fn of_two_phases(rng: &mut impl RngCore) -> Self {
        let mut shape =
            Self { advice: 2, fixed: 1, instances: vec![2], challenges: 1, copies: true, ..Self::default() };
        shape.gates = vec![vec![shape.term(rng)]];
        shape
    }

    fn term(&self, rng: &mut impl RngCore) -> Term {
        let leaves = (0..below(rng, 3))
            .map(|_| {
                let rotation = below(rng, 2 * EDGE + 1) as i32 - EDGE as i32;
                match below(rng, 5) {
                    0 => Leaf::Fixed(below(rng, self.fixed), rotation),
                    1 if !self.instances.is_empty() => Leaf::Instance(below(rng, self.instances.len()), rotation),
                    2 if self.challenges > 0 => Leaf::Challenge(below(rng, self.challenges)),
                    _ => Leaf::Advice(below(rng, self.advice), rotation),
                }
            })
            .collect();
        Term { factor: [1, -1, 7, -300, 1 << 40][below(rng, 5)], leaves }
    }

    /// The first column's of the second phase, the first one that a gate has.
    pub(crate) const fn later(&self) -> usize {
        self.advice
    }
}

fn element(integer: i64) -> Fr {
    if integer < 0 { -Fr::from(integer.unsigned_abs()) } else { Fr::from(integer.unsigned_abs()) }
}

#[derive(Clone)]
pub(crate) struct Random {
    pub(crate) shape: Shape,
    values: Vec<Vec<Fr>>,
    fixed: Vec<Vec<Fr>>,
    pub(crate) instances: Vec<Vec<Fr>>,
}

#[derive(Clone)]
pub(crate) struct Config {
    advice: Vec<Column<Advice>>,
    fixed: Vec<Column<Fixed>>,
    selectors: Vec<Column<Fixed>>,
    instances: Vec<Column<Instance>>,
    challenges: Vec<Challenge>,
    outputs: Vec<Column<Advice>>,
    looked_up: Vec<Column<Advice>>,
    table: Option<Column<Fixed>>,
}

impl Random {
    pub(crate) fn draw(shape: Shape, rng: &mut impl RngCore) -> Self {
        let mut column = |len: usize| (0..len).map(|_| Fr::random(&mut *rng)).collect::<Vec<_>>();
        let instances: Vec<Vec<Fr>> = shape.instances.iter().map(|len| column(*len)).collect();
        let mut values: Vec<Vec<Fr>> = (0..shape.advice).map(|_| column(ROWS)).collect();
        if shape.copies {
            // One cell of the first column for each instance column that has one.
            for (row, first) in instances.iter().enumerate().filter_map(|(row, own)| Some((row, own.first()?))) {
                values[0][row] = *first;
            }
        }
        let fixed = (0..shape.fixed).map(|_| column(ROWS)).collect();
        Self { shape, values, fixed, instances }
    }

    fn leaf(&self, leaf: Leaf, row: usize, challenges: &[Value<Fr>]) -> Value<Fr> {
        let at = |rotation: i32| (row as i32 + rotation) as usize;
        let of = |column: &[Fr], row: usize| Value::known(column.get(row).copied().unwrap_or(Fr::ZERO));
        match leaf {
            Leaf::Advice(column, rotation) => of(&self.values[column], at(rotation)),
            Leaf::Fixed(column, rotation) => of(&self.fixed[column], at(rotation)),
            Leaf::Instance(column, rotation) => of(&self.instances[column], at(rotation)),
            Leaf::Challenge(index) => challenges[index],
        }
    }

    fn output(&self, gate: &[Term], row: usize, challenges: &[Value<Fr>]) -> Value<Fr> {
        let term = |term: &Term| {
            let start = Value::known(element(term.factor));
            term.leaves.iter().fold(start, |product, leaf| product * self.leaf(*leaf, row, challenges))
        };
        gate.iter().fold(Value::known(Fr::ZERO), |sum, own| sum + term(own))
    }
}

fn query(cells: &mut VirtualCells<'_, Fr>, config: &Config, leaf: Leaf) -> Expression<Fr> {
    match leaf {
        Leaf::Advice(column, rotation) => cells.query_advice(config.advice[column], Rotation(rotation)),
        Leaf::Fixed(column, rotation) => cells.query_fixed(config.fixed[column], Rotation(rotation)),
        Leaf::Instance(column, rotation) => cells.query_instance(config.instances[column], Rotation(rotation)),
        Leaf::Challenge(index) => cells.query_challenge(config.challenges[index]),
    }
}

impl Halo2Circuit<Fr> for Random {
    type Config = Config;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Shape;

    fn params(&self) -> Shape {
        self.shape.clone()
    }

    fn without_witnesses(&self) -> Self {
        self.clone()
    }

    fn configure(_: &mut ConstraintSystem<Fr>) -> Config {
        unreachable!("a circuit has its shape")
    }

    fn configure_with_params(cs: &mut ConstraintSystem<Fr>, shape: Shape) -> Config {
        let advice: Vec<_> = (0..shape.advice).map(|_| cs.advice_column_in(FirstPhase)).collect();
        let looked_up: Vec<_> = (0..shape.lookups).map(|_| cs.advice_column_in(FirstPhase)).collect();
        let challenges: Vec<_> = (0..shape.challenges).map(|_| cs.challenge_usable_after(FirstPhase)).collect();
        let output = |cs: &mut ConstraintSystem<Fr>| match shape.challenges {
            0 => cs.advice_column_in(FirstPhase),
            _ => cs.advice_column_in(SecondPhase),
        };
        let outputs: Vec<_> = shape.gates.iter().map(|_| output(cs)).collect();
        let config = Config {
            fixed: (0..shape.fixed).map(|_| cs.fixed_column()).collect(),
            selectors: shape.gates.iter().map(|_| cs.fixed_column()).collect(),
            instances: shape.instances.iter().map(|_| cs.instance_column()).collect(),
            table: (shape.lookups > 0).then(|| cs.fixed_column()),
            advice,
            challenges,
            outputs,
            looked_up,
        };
        if shape.copies {
            cs.enable_equality(config.advice[0]);
            config.instances.iter().for_each(|column| cs.enable_equality(*column));
        }
        for (index, gate) in shape.gates.iter().enumerate() {
            cs.create_gate("sum", |cells| {
                let mut sum = Expression::Constant(Fr::ZERO);
                for term in gate {
                    let product = term
                        .leaves
                        .iter()
                        .fold(Expression::Constant(Fr::ONE), |product, leaf| product * query(cells, &config, *leaf));
                    sum = sum + product * element(term.factor);
                }
                let selector = cells.query_fixed(config.selectors[index], Rotation::cur());
                let output = cells.query_advice(config.outputs[index], Rotation::cur());
                vec![selector * (sum - output)]
            });
        }
        for column in &config.looked_up {
            cs.lookup_any("table", |cells| {
                let value = cells.query_advice(*column, Rotation::cur());
                config.table.map(|table| (value, cells.query_fixed(table, Rotation::cur()))).into_iter().collect()
            });
        }
        config
    }

    fn synthesize(&self, config: Config, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        let challenges: Vec<Value<Fr>> = config.challenges.iter().map(|own| layouter.get_challenge(*own)).collect();
        let cells = layouter.assign_region(
            || "all",
            |mut region| {
                let mut cells = Vec::new();
                for row in 0..ROWS {
                    for (index, column) in config.advice.iter().enumerate() {
                        let value = Value::known(self.values[index][row]);
                        let cell = region.assign_advice(*column, row, value).cell();
                        if index == 0 {
                            cells.push(cell);
                        }
                    }
                    for (index, column) in config.fixed.iter().enumerate() {
                        region.assign_fixed(*column, row, self.fixed[index][row]);
                    }
                    for column in config.table.iter() {
                        region.assign_fixed(*column, row, Fr::from(row as u64));
                    }
                    for (index, column) in config.looked_up.iter().enumerate() {
                        region.assign_advice(*column, row, Value::known(Fr::from((row * (index + 3) % ROWS) as u64)));
                    }
                    for (index, gate) in self.shape.gates.iter().enumerate() {
                        if (EDGE..ROWS - EDGE).contains(&row) {
                            region.assign_fixed(config.selectors[index], row, Fr::ONE);
                            let value = self.output(gate, row, &challenges);
                            region.assign_advice(config.outputs[index], row, value);
                        }
                    }
                }
                Ok(cells)
            },
        )?;
        if self.shape.copies {
            for (row, column) in config.instances.iter().enumerate().filter(|(row, _)| self.shape.instances[*row] > 0) {
                layouter.constrain_instance(cells[row], *column, 0);
            }
        }
        Ok(())
    }
}

/// A circuit with its key and a proof.
pub(crate) struct Proven {
    pub(crate) circuit: Random,
    pub(crate) params: ParamsKZG<Bn256>,
    pub(crate) pk: ProvingKey<G1Affine>,
}

impl Proven {
    pub(crate) fn new(circuit: Random, rng: &mut ChaCha20Rng) -> Self {
        let params = ParamsKZG::<Bn256>::setup(K, &mut *rng);
        let vk = keygen_vk::<G1Affine, _, _>(&params, &circuit).expect("a key");
        let pk = keygen_pk(&params, vk, &circuit).expect("a key");
        Self { circuit, params, pk }
    }

    /// Proves behind a scalar, where there is one.
    pub(crate) fn prove(&self, digest: Option<Fr>, rng: &mut ChaCha20Rng) -> EvmWrite<Vec<u8>> {
        let prover = Prover::new(Cpu::new(), &self.params, &self.pk).expect("a prover");
        let columns: Vec<&[Fr]> = self.circuit.instances.iter().map(Vec::as_slice).collect();
        let mut transcript = EvmWrite::init(Vec::new());
        digest.into_iter().for_each(|digest| transcript.common_scalar(digest).expect("a scalar"));
        prover.create_proof(&self.circuit, &columns, rng, &mut transcript).expect("a proof");
        transcript
    }

    /// What the contract is written for.
    pub(crate) fn contract_of(&self, link: Option<Link>) -> Circuit<'_> {
        let statement = Statement::elements(&self.circuit.shape.instances);
        Circuit { vk: self.pk.get_vk(), k: K, s_g2: self.params.s_g2(), statement, link }
    }

    /// What the stock verifier says, where no point is the identity and nothing is left of the proof.
    pub(crate) fn stock(&self, instances: &[Vec<Fr>], proof: &[u8]) -> bool {
        let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
        let mut transcript = WithoutIdentity { inner: EvmRead::init(proof), read: 0 };
        let strategy = SingleStrategy::new(&self.params);
        verify_proof::<KZGCommitmentScheme<Bn256>, VerifierSHPLONK<'_, Bn256>, _, _, SingleStrategy<'_, Bn256>>(
            &self.params,
            self.pk.get_vk(),
            strategy,
            &[&columns],
            &mut transcript,
        )
        .is_ok()
            && transcript.read == proof.len()
    }
}

/// A reader that refuses the identity, as contracts do.
struct WithoutIdentity<'p> {
    inner: EvmRead<&'p [u8]>,
    read: usize,
}

impl Transcript<G1Affine, EvmChallenge> for WithoutIdentity<'_> {
    fn squeeze_challenge(&mut self) -> EvmChallenge {
        self.inner.squeeze_challenge()
    }

    fn common_point(&mut self, point: G1Affine) -> std::io::Result<()> {
        self.inner.common_point(point)
    }

    fn common_scalar(&mut self, scalar: Fr) -> std::io::Result<()> {
        self.inner.common_scalar(scalar)
    }
}

impl TranscriptRead<G1Affine, EvmChallenge> for WithoutIdentity<'_> {
    fn read_point(&mut self) -> std::io::Result<G1Affine> {
        let point = self.inner.read_point()?;
        self.read += 64;
        if bool::from(point.is_identity()) { Err(std::io::Error::other("the identity")) } else { Ok(point) }
    }

    fn read_scalar(&mut self) -> std::io::Result<Fr> {
        self.read += 32;
        self.inner.read_scalar()
    }
}

/// What a contract says of numbers and a proof.
pub(crate) fn accepts(deployed: &mut Deployed, contract: &Contract, instances: &[Vec<Fr>], proof: &[u8]) -> bool {
    let numbers: Vec<Number> = instances.iter().flatten().copied().map(Number::Element).collect();
    deployed.accepts(&contract.calldata(proof, &numbers).expect("calldata"))
}

/// A field's modulus, big-endian.
pub(crate) fn modulus<F: PrimeField<Repr = [u8; 32]>>() -> [u8; 32] {
    let mut word = (-F::ONE).to_repr();
    word.reverse();
    // Both moduli are odd, so that nothing is carried.
    word[31] += 1;
    word
}
