//! Solidity's compiler, as a program beside this one.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::Error;

/// Solidity's compiler: the program, which reads its standard JSON from stdin.
#[derive(Clone, Debug)]
pub struct Solc {
    program: PathBuf,
}

/// A compiled contract.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Compiled {
    /// What a transaction deploys.
    pub creation: Vec<u8>,
    /// What is deployed.
    pub code: Vec<u8>,
    /// The interface, as the compiler tells it.
    pub abi: Value,
}

impl Default for Solc {
    /// `solc`, wherever the system finds it.
    fn default() -> Self {
        Self { program: "solc".into() }
    }
}

impl Solc {
    /// The compiler that is this program.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into() }
    }

    /// What is given to the compiler: the source with the settings of [`compile`](Self::compile), which whoever
    /// compares deployed code with a source needs, too.
    pub fn input(file: &str, source: &str) -> Value {
        json!({
            "language": "Solidity",
            "sources": { file: { "content": source } },
            "settings": {
                // Constants in their shortest form: code is read once for a call.
                "optimizer": { "enabled": true, "runs": 1000 },
                "evmVersion": "shanghai",
                // No digest of the source's comments behind the code.
                "metadata": { "bytecodeHash": "none", "appendCBOR": false },
                "outputSelection": { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
            },
        })
    }

    /// Compiles a contract by its name.
    ///
    /// # Errors
    /// [`Error::NoCompiler`] where the program does not start, [`Error::Compiler`] with what it says.
    pub fn compile(&self, source: &str, name: &str) -> Result<Compiled, Error> {
        let file = format!("{name}.sol");
        let output = self.run(&Self::input(&file, source))?;
        let text = |message: &Value| message["formattedMessage"].as_str().unwrap_or_default().to_owned();
        let is_error = |message: &&Value| message["severity"] == "error";
        if let Some(error) = output["errors"].as_array().and_then(|all| all.iter().find(is_error)) {
            return Err(Error::Compiler(text(error)));
        }
        let contract = &output["contracts"][file][name];
        let code = |of: &str| {
            let digits = contract["evm"][of]["object"].as_str().unwrap_or_default();
            hex::decode(digits).ok().filter(|code| !code.is_empty())
        };
        match (code("bytecode"), code("deployedBytecode")) {
            (Some(creation), Some(code)) => Ok(Compiled { creation, code, abi: contract["abi"].clone() }),
            _ => Err(Error::Compiler(format!("the compiler gives no code of {name}"))),
        }
    }

    fn run(&self, input: &Value) -> Result<Value, Error> {
        let fail = |error| Error::NoCompiler { program: self.program.clone(), error };
        let mut child = Command::new(&self.program)
            .arg("--standard-json")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(fail)?;
        let text = input.to_string();
        if let Some(mut stdin) = child.stdin.take() {
            // What the compiler does not read it tells of itself.
            let _ = stdin.write_all(text.as_bytes());
        }
        let output = child.wait_with_output().map_err(fail)?;
        // Programs around the compiler may say something first.
        let start = output.stdout.iter().position(|byte| *byte == b'{').unwrap_or(0);
        serde_json::from_slice(&output.stdout[start..]).map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            Error::Compiler(format!("{} answers no JSON: {said}", self.program.display()))
        })
    }
}
