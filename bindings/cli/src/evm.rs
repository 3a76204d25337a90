//! `zkml-gpu evm`: contracts that check proofs, their calls and their gas.

use std::path::{Path, PathBuf};

use serde::Serialize;
use zkml_gpu::verify::report::line;
use zkml_gpu::{AnyKey, Error, ErrorClass, FileError, ModelKey, ProofBundle};
use zkml_gpu_evm::machine::{Answer, Machine, Outcome};
use zkml_gpu_evm::{Contract, Error as EvmError, MAX_CODE_BYTES, Solc};
use zkml_gpu_files::{Access, Staged};

use crate::args::{CalldataOptions, ContractOptions, EvmCommand, GasOptions, VerifierOptions};
use crate::failure::Failed;
use crate::report::{self, grouped};

/// Code that may be deployed for the measurement, where the contract is too long for Ethereum.
const MEASURED_CODE_BYTES: usize = 1 << 20;

/// What `evm verifier --json` prints. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct VerifierReport<'a> {
    model: &'a str,
    contract: &'a str,
    file: PathBuf,
    interface: PathBuf,
    /// Bytes of a proof.
    proof_bytes: usize,
    /// Numbers that the contract takes besides.
    values: usize,
    /// Points that a call multiplies, 6,000 gas each.
    multiplications: usize,
    insecure_srs: bool,
}

/// What `evm calldata --json` prints.
#[derive(Debug, Serialize)]
struct CalldataReport {
    /// The whole call.
    calldata: String,
    /// The first argument.
    proof: String,
    /// The second argument: decimal integers.
    values: Vec<String>,
}

/// What `evm gas --json` prints.
#[derive(Debug, Serialize)]
struct GasReport<'a> {
    model: &'a str,
    accepted: bool,
    /// Bytes of the deployed code.
    code_bytes: usize,
    /// Whether Ethereum takes as much.
    is_deployable: bool,
    deployment_gas: u64,
    calldata_bytes: usize,
    /// Gas of a transaction that calls the contract.
    gas: u64,
    /// Of these what runs: what a call from another contract takes.
    execution_gas: u64,
    multiplications: usize,
}

pub(crate) fn evm(command: &EvmCommand) -> anyhow::Result<u8> {
    match command {
        EvmCommand::Verifier(options) => verifier(options),
        EvmCommand::Calldata(options) => calldata(options),
        EvmCommand::Gas(options) => gas(options),
    }
}

/// Reads the key, and writes its contract.
fn contract(options: &ContractOptions) -> anyhow::Result<(ModelKey, Contract)> {
    let AnyKey::Whole(key) = AnyKey::read(&options.vk)? else {
        let problem = "a key of segments, whose tensors between are committed: contracts take none of these";
        return Err(failed(problem.into(), ErrorClass::Unsupported));
    };
    let contract = Contract::of_model(&options.name, &key).map_err(refused)?;
    Ok((*key, contract))
}

fn verifier(options: &VerifierOptions) -> anyhow::Result<u8> {
    let (key, contract) = contract(&options.contract)?;
    let file = options.out.clone().unwrap_or_else(|| PathBuf::from(format!("{}.sol", contract.name)));
    let interface = file.with_file_name(format!("I{}.sol", contract.name));
    if file == interface {
        let problem =
            format!("{} is the name of the interface's file, which is written beside the contract", file.display());
        return Err(Error::Arguments { problem, hint: "--out FILE.sol with another name" }.into());
    }
    write(&file, &contract.source)?;
    write(&interface, &contract.interface())?;
    let report = VerifierReport {
        model: key.model(),
        contract: &contract.name,
        file,
        interface,
        proof_bytes: contract.proof_bytes,
        values: contract.statement.values.len(),
        multiplications: contract.multiplications,
        insecure_srs: key.is_insecure(),
    };
    if options.json {
        report::print_json(&report)?;
    } else {
        let mut text = format!("{}: a contract that verifies its proofs\n", report.model);
        text += &line("contract", &format!("{}, in {}", report.contract, report.file.display()));
        text += &line("interface", &report.interface.display().to_string());
        text += &line("proof", &format!("{} bytes, and {} numbers", grouped(report.proof_bytes as u64), report.values));
        text += &line("points", &format!("{} multiplied in a call", report.multiplications));
        if report.insecure_srs {
            text += &line("WARNING", "the reference string was made on one machine, whose owner can forge proofs");
        }
        report::print(&text)?;
    }
    Ok(0)
}

fn calldata(options: &CalldataOptions) -> anyhow::Result<u8> {
    let (key, contract) = contract(&options.contract)?;
    let proof = ProofBundle::read(&options.proof)?;
    // A call that reverts costs as much.
    key.verify(&proof)
        .map_err(|rejection| failed(format!("the proof is rejected: {rejection}"), ErrorClass::BadInput))?;
    let call = contract.calldata_of(&proof).map_err(refused)?;
    if options.json {
        let values = zkml_gpu_evm::numbers(&proof).iter().map(ToString::to_string).collect();
        let report = CalldataReport { calldata: hex(&call), proof: hex(&proof.proof_bytes()), values };
        report::print_json(&report)?;
    } else {
        report::print(&(hex(&call) + "\n"))?;
    }
    Ok(0)
}

fn gas(options: &GasOptions) -> anyhow::Result<u8> {
    let (key, contract) = contract(&options.contract)?;
    let proof = ProofBundle::read(&options.proof)?;
    let call = contract.calldata_of(&proof).map_err(refused)?;
    let compiled = Solc::new(&options.solc).compile(&contract.source, &contract.name).map_err(refused)?;
    let is_deployable = compiled.code.len() <= MAX_CODE_BYTES;
    let mut machine = Machine::new((!is_deployable).then_some(MEASURED_CODE_BYTES));
    let (address, deployment_gas) = machine.deploy(&compiled.creation).map_err(refused)?;
    let answer @ Answer { gas, execution_gas, .. } = &machine.call(address, &call, 0).map_err(refused)?;
    let report = GasReport {
        model: key.model(),
        accepted: answer.is_true(),
        code_bytes: compiled.code.len(),
        is_deployable,
        deployment_gas,
        calldata_bytes: call.len(),
        gas: *gas,
        execution_gas: *execution_gas,
        multiplications: contract.multiplications,
    };
    if options.json {
        report::print_json(&report)?;
    } else {
        let mut text = match &answer.outcome {
            _ if report.accepted => format!("{}: the contract accepts the proof\n", report.model),
            Outcome::Halted(reason) => format!("{}: the contract stops: {reason}\n", report.model),
            Outcome::Returned(_) | Outcome::Reverted(_) => {
                format!("{}: the contract REJECTS the proof\n", report.model)
            }
        };
        let code = grouped(report.code_bytes as u64);
        text += &line(
            "code",
            &match is_deployable {
                true => format!("{code} bytes of {}", grouped(MAX_CODE_BYTES as u64)),
                false => format!("{code} bytes, more than the {} that Ethereum takes", grouped(MAX_CODE_BYTES as u64)),
            },
        );
        text += &line("calldata", &format!("{} bytes", grouped(report.calldata_bytes as u64)));
        text += &line("gas", &format!("{}, of which {} execution", grouped(report.gas), grouped(report.execution_gas)));
        text += &line("deployment", &format!("{} gas", grouped(report.deployment_gas)));
        report::print(&text)?;
    }
    Ok(u8::from(!report.accepted))
}

/// A file, whole or not at all.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let staged = Staged::new(path, text.as_bytes(), Access::Public);
    staged.and_then(Staged::publish).map_err(|source| FileError::unwritten(path, source).into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn failed(message: String, class: ErrorClass) -> anyhow::Error {
    Failed { message, exit_code: class.exit_code() }.into()
}

/// An error of contracts, with whose move it is.
fn refused(error: EvmError) -> anyhow::Error {
    let class = match &error {
        EvmError::Statement { .. } => ErrorClass::Unsupported,
        EvmError::Compiler(_) | EvmError::Machine(_) | EvmError::Circuit(_) => ErrorClass::Bug,
        _ => ErrorClass::BadInput,
    };
    failed(error.to_string(), class)
}
