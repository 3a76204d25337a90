//! What can go wrong while proving.

use std::io;

use halo2_proofs::plonk;

use crate::BackendError;

/// A failure to make a proof. No variant carries a witness value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProverError {
    /// A proof of nothing.
    #[error("no circuit was given\nhint: a proof takes at least one")]
    NoCircuits,
    /// One of several circuits in one proof failed.
    #[error("circuit {circuit}: {source}")]
    InCircuit {
        /// Index of the circuit.
        circuit: usize,
        /// What went wrong; neither the transcript's failure nor the back end's.
        source: Box<ProverError>,
    },
    /// The caller's circuits and instance sets differ in number.
    #[error("{circuits} circuits but {instances} sets of instance columns")]
    InstanceSets {
        /// Number of circuits.
        circuits: usize,
        /// Number of instance sets.
        instances: usize,
    },
    /// The number of instance columns is not the circuit's.
    #[error("the circuit has {expected} instance columns, got {got}")]
    InstanceColumns {
        /// The circuit's number of instance columns.
        expected: usize,
        /// The number given.
        got: usize,
    },
    /// An instance column does not fit the usable rows.
    #[error(
        "instance column {column} has {len} values, but the circuit has {usable_rows} usable rows\nhint: use a larger k"
    )]
    InstanceTooLong {
        /// Index of the instance column.
        column: usize,
        /// Number of values given.
        len: usize,
        /// Rows before the blinding rows: `n - blinding_factors - 1`.
        usable_rows: usize,
    },
    /// A constraint has a higher degree than the keys were made for.
    #[error(
        "{constraint} has degree {degree}, but the keys were made for at most {cap}\n\
         hint: halo2-axiom caps the degree at 5 unless MAX_DEGREE is set when keys are made"
    )]
    DegreeTooHigh {
        /// The gate or lookup.
        constraint: String,
        /// Its degree.
        degree: usize,
        /// The degree that the quotient polynomial of the keys allows.
        cap: usize,
    },
    /// The parameters and the proving key are for different circuit sizes.
    #[error("the parameters are for k = {params}, the proving key is for k = {key}")]
    SizeMismatch {
        /// log2 of the number of points in the parameters.
        params: u32,
        /// log2 of the number of rows of the key.
        key: u32,
    },
    /// The Lagrange points handed in are not one per row.
    #[error("{got} Lagrange points for {expected} rows")]
    LagrangePoints {
        /// Number of rows.
        expected: usize,
        /// Number of points given.
        got: usize,
    },
    /// The circuit is not the one that the key was made for.
    #[error("the circuit has {got} {kind}, the proving key has {expected}")]
    CircuitMismatch {
        /// What was counted.
        kind: &'static str,
        /// The key's number.
        expected: usize,
        /// The circuit's number.
        got: usize,
    },
    /// The circuit left a cell unknown whose phase had come.
    #[error("no value for row {row} of advice column {column} in phase {phase}")]
    MissingWitness {
        /// Index of the advice column.
        column: usize,
        /// Row of the cell.
        row: usize,
        /// The phase in which the value was due.
        phase: u8,
    },
    /// The circuit assigned a cell outside the columns or in the blinding rows.
    #[error("cell (column {column}, row {row}) is outside the {columns} advice columns and {usable_rows} usable rows")]
    CellOutOfRange {
        /// Index of the advice column.
        column: usize,
        /// Row of the cell.
        row: usize,
        /// The circuit's number of advice columns.
        columns: usize,
        /// Rows before the blinding rows.
        usable_rows: usize,
    },
    /// A lookup's input is not in its table.
    #[error("lookup {lookup}: the input of row {row} is not in the table")]
    NotInTable {
        /// The lookup's name and index.
        lookup: String,
        /// First row whose input is missing from the table.
        row: usize,
    },
    /// Two cells that must be equal differ.
    #[error("the witness violates a copy constraint\nhint: MockProver names the cells")]
    CopyConstraint,
    /// A gate does not hold on some row.
    #[error("the witness violates a gate\nhint: MockProver names the gate and the row")]
    GateConstraint,
    /// The key's constraint system still holds virtual selectors.
    #[error("the proving key has virtual selectors\nhint: make keys with keygen_vk and keygen_pk")]
    VirtualSelector,
    /// A step of the protocol asked for a polynomial that no earlier step made.
    #[error("internal: {polynomial} was not computed")]
    MissingPolynomial {
        /// The polynomial's name.
        polynomial: String,
    },
    /// The circuit's synthesis failed.
    #[error("synthesis: {0}")]
    Synthesis(#[from] plonk::Error),
    /// The transcript refused a value.
    #[error("transcript: {0}")]
    Transcript(#[from] io::Error),
    /// The back end failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl ProverError {
    /// Names the circuit that caused the error, if there are others.
    pub(super) fn in_circuit(self, circuit: usize, circuits: usize) -> Self {
        match self {
            ProverError::Transcript(_) | ProverError::Backend(_) => self,
            source if circuits > 1 => ProverError::InCircuit { circuit, source: Box::new(source) },
            own => own,
        }
    }
}

impl From<ProverError> for plonk::Error {
    /// The nearest error of the stock prover; causes it does not know travel inside its transcript error.
    fn from(error: ProverError) -> Self {
        match error {
            ProverError::InCircuit { source, .. } => (*source).into(),
            ProverError::Synthesis(error) => error,
            ProverError::Transcript(error) => plonk::Error::Transcript(error),
            ProverError::InstanceTooLong { .. } => plonk::Error::InstanceTooLarge,
            ProverError::InstanceSets { .. } | ProverError::InstanceColumns { .. } => plonk::Error::InvalidInstances,
            ProverError::MissingWitness { .. } => plonk::Error::Synthesis,
            ProverError::CellOutOfRange { .. } => plonk::Error::BoundsFailure,
            ProverError::NotInTable { .. } | ProverError::CopyConstraint | ProverError::GateConstraint => {
                plonk::Error::ConstraintSystemFailure
            }
            other => plonk::Error::Transcript(io::Error::other(other)),
        }
    }
}
