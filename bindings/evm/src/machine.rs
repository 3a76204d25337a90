//! Contracts in Ethereum's virtual machine, as the newest rules have it: what they answer and what that takes.

use revm::context::result::{ExecutionResult, Output};
use revm::context::{CfgEnv, Context, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::handler::MainnetContext;
use revm::primitives::hardfork::SpecId;
use revm::primitives::{Address, Bytes, TxKind, U256};
use revm::state::AccountInfo;
use revm::{ExecuteCommitEvm as _, MainBuilder as _, MainContext as _, MainnetEvm};

use crate::Error;

/// Gas of a transaction before anything runs, and of each byte of its data.
const TRANSACTION: u64 = 21_000;
const ZERO_BYTE: u64 = 4;
const OTHER_BYTE: u64 = 16;
/// Most gas of a transaction (EIP-7825).
const LIMIT: u64 = 1 << 24;
/// Whoever sends: anybody.
const SENDER: [u8; 20] = [0x11; 20];
/// What the sender has, in wei.
const BALANCE: u128 = 1 << 100;

/// A chain with nothing on it but what is deployed.
pub struct Machine {
    evm: MainnetEvm<MainnetContext<CacheDB<EmptyDB>>>,
    nonce: u64,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("nonce", &self.nonce).finish_non_exhaustive()
    }
}

/// What came of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned this.
    Returned(Vec<u8>),
    /// It reverted with this.
    Reverted(Vec<u8>),
    /// It stopped for another reason, and took all gas.
    Halted(String),
}

/// A transaction's outcome and gas.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The outcome.
    pub outcome: Outcome,
    /// Gas of the whole transaction.
    pub gas: u64,
    /// Gas of what runs: what a call from another contract takes.
    pub execution_gas: u64,
}

impl Answer {
    /// Whether the answer is the word 1, which is `true`.
    pub fn is_true(&self) -> bool {
        matches!(&self.outcome, Outcome::Returned(data) if data.len() == 32 && data[31] == 1 && data[..31] == [0; 31])
    }
}

/// The address of a contract.
pub type ContractAddress = [u8; 20];

impl Default for Machine {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Machine {
    /// A chain; with another limit of the bytes of a contract's code than Ethereum's own, where one is given.
    pub fn new(code_limit: Option<usize>) -> Self {
        let mut database = CacheDB::new(EmptyDB::default());
        let sender = AccountInfo { balance: U256::from(BALANCE), ..AccountInfo::default() };
        database.insert_account_info(Address::from(SENDER), sender);
        let configure = |cfg: &mut CfgEnv| {
            *cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
            if let Some(limit) = code_limit {
                cfg.limit_contract_code_size = Some(limit);
                cfg.limit_contract_initcode_size = Some(2 * limit);
            }
        };
        let context = Context::mainnet().with_db(database).modify_cfg_chained(configure);
        Self { evm: context.build_mainnet(), nonce: 0 }
    }

    /// Deploys a contract: its creation code with the constructor's arguments behind. Returns its address and the gas.
    ///
    /// # Errors
    /// [`Error::Machine`] where it is not deployed.
    pub fn deploy(&mut self, creation: &[u8]) -> Result<(ContractAddress, u64), Error> {
        self.deploy_with(creation, 0)
    }

    /// As [`deploy`](Self::deploy), with so many wei.
    ///
    /// # Errors
    /// As there.
    pub fn deploy_with(&mut self, creation: &[u8], wei: u128) -> Result<(ContractAddress, u64), Error> {
        match self.send(TxKind::Create, creation, wei)? {
            ExecutionResult::Success { output: Output::Create(_, Some(address)), gas, .. } => {
                Ok((address.into_array(), gas.tx_gas_used()))
            }
            other => Err(Error::Machine(format!("the contract is not deployed: {other:?}"))),
        }
    }

    /// Sends a call with so many wei.
    ///
    /// # Errors
    /// [`Error::Machine`] where the transaction is none.
    pub fn call(&mut self, to: ContractAddress, data: &[u8], wei: u128) -> Result<Answer, Error> {
        let result = self.send(TxKind::Call(Address::from(to)), data, wei)?;
        let gas = result.tx_gas_used();
        let outcome = match result {
            ExecutionResult::Success { output, .. } => Outcome::Returned(output.into_data().to_vec()),
            ExecutionResult::Revert { output, .. } => Outcome::Reverted(output.to_vec()),
            ExecutionResult::Halt { reason, .. } => Outcome::Halted(format!("{reason:?}")),
        };
        let data_gas: u64 = data.iter().map(|byte| if *byte == 0 { ZERO_BYTE } else { OTHER_BYTE }).sum();
        Ok(Answer { outcome, gas, execution_gas: gas.saturating_sub(TRANSACTION + data_gas) })
    }

    /// What an account has, in wei.
    pub fn balance(&mut self, of: ContractAddress) -> u128 {
        let account = self.evm.ctx.journaled_state.database.cache.accounts.get(&Address::from(of));
        account.map_or(0, |account| account.info.balance.saturating_to())
    }

    /// Whoever sends all calls.
    pub const fn sender() -> ContractAddress {
        SENDER
    }

    fn send(&mut self, kind: TxKind, data: &[u8], wei: u128) -> Result<ExecutionResult, Error> {
        let transaction = TxEnv::builder()
            .caller(Address::from(SENDER))
            .kind(kind)
            .data(Bytes::copy_from_slice(data))
            .value(U256::from(wei))
            .gas_limit(LIMIT)
            .nonce(self.nonce)
            .build()
            .map_err(|error| Error::Machine(format!("{error:?}")))?;
        let result = self.evm.transact_commit(transaction).map_err(|error| Error::Machine(format!("{error:?}")))?;
        self.nonce += 1;
        Ok(result)
    }
}
