//! The example contract: it pays on a proven class, once, to whoever reserved the input.

use crate::support::{Session, network, solc};
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_evm::calldata::selector;
use zkml_gpu_evm::machine::{ContractAddress, Machine, Outcome};
use zkml_gpu_graph::Visibility;

const EXAMPLE: &str = include_str!("../../../examples/contracts/PayOnClass.sol");
/// Wei that a proof is paid, and what the contract has.
const PRIZE: u128 = 1000;
const FUNDS: u128 = 2500;

fn word(value: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&value.to_be_bytes());
    word
}

fn address_word(address: ContractAddress) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address);
    word
}

#[test]
fn a_contract_pays_on_a_proven_class_alone_and_once() {
    let session = Session::new(network(Visibility::Hashed, Visibility::Public), WeightMode::Embedded);
    let scores = &session.outputs[0];
    // Of equal scores the first one counts, in the contract as well.
    let class = (0..scores.len()).rev().max_by_key(|class| scores[*class]).expect("a class") as u128;
    let contract = session.contract();
    let proof = contract.calldata(&session.proof, &session.numbers()).expect("calldata");
    let Some(solc) = solc() else { return };
    let verifier = solc.compile(&contract.source, &contract.name).expect("it compiles");
    let example = solc.compile(EXAMPLE, "PayOnClass").expect("it compiles");

    let mut machine = Machine::default();
    let (verifier, _) = machine.deploy(&verifier.creation).expect("it is deployed");
    let deploy = |machine: &mut Machine, class: u128| {
        let arguments = [address_word(verifier), word(class), word(scores.len() as u128), word(PRIZE)].concat();
        let (address, _) =
            machine.deploy_with(&[example.creation.clone(), arguments].concat(), FUNDS).expect("deployed");
        address
    };
    let payer = deploy(&mut machine, class);
    let other = deploy(&mut machine, (class + 1) % scores.len() as u128);

    // The arguments of `claim` are those of `verify`, and the input's hash is the first number.
    let claim = [&selector("claim(bytes,int256[])"), &proof[4..]].concat();
    let input = &proof[100 + session.proof.len() + 32..][..32];
    let reserve = [&selector("reserve(int256)"), input].concat();
    let error = |name: &str| selector(name).to_vec();
    let reverted =
        |outcome: &Outcome, name: &str| matches!(outcome, Outcome::Reverted(data) if data[..4] == error(name));
    let mut call = |to: ContractAddress, data: &[u8]| machine.call(to, data, 0).expect("a transaction");

    assert!(reverted(&call(payer, &claim).outcome, "NotReserved()"));
    assert!(matches!(call(payer, &reserve).outcome, Outcome::Returned(_)));
    assert!(reverted(&call(payer, &reserve).outcome, "AlreadyReserved()"));
    assert!(matches!(call(other, &reserve).outcome, Outcome::Returned(_)));
    // A proof of another class, and one that does not hold: of other scores, and of none.
    assert!(reverted(&call(other, &claim).outcome, "OtherClass(uint256)"));
    let changed = |at: usize| {
        let mut changed = claim.clone();
        let end = changed.len();
        changed[end - at] ^= 1;
        changed
    };
    for place in [1, 33, 32 * (session.numbers().len() + 1) + 1] {
        let outcome = call(payer, &changed(place)).outcome;
        assert!(!matches!(outcome, Outcome::Returned(_)), "{place}: {outcome:?}");
    }
    let answer = call(payer, &claim);
    println!("a claim takes {} gas", answer.gas);
    assert!(matches!(answer.outcome, Outcome::Returned(_)), "{answer:?}");
    assert!(reverted(&call(payer, &claim).outcome, "AlreadyPaid()"));
    assert_eq!([payer, other].map(|of| machine.balance(of)), [FUNDS - PRIZE, FUNDS]);
}

/// What is sent to a contract that can pay for nothing would be lost.
#[test]
fn a_class_that_the_model_does_not_have_is_refused() {
    let Some(solc) = solc() else { return };
    let example = solc.compile(EXAMPLE, "PayOnClass").expect("it compiles");
    let mut machine = Machine::default();
    let mut deploy = |class: u128, classes: u128| {
        let arguments = [address_word([1; 20]), word(class), word(classes), word(PRIZE)].concat();
        machine.deploy_with(&[example.creation.clone(), arguments].concat(), FUNDS).is_ok()
    };
    assert!(deploy(0, 1) && deploy(3, 4));
    assert!(!deploy(4, 4) && !deploy(0, 0) && !deploy(u128::MAX, 4));
}

/// A verifier that answers with false, instead of reverting, pays nobody.
#[test]
fn an_answer_of_false_is_not_paid() {
    const SAYS: &str = "// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity >=0.8.19 <0.9.0;
contract Says {
    bool immutable answer;
    constructor(bool answer_) { answer = answer_; }
    function verify(bytes calldata, int256[] calldata) external view returns (bool) { return answer; }
}
";
    let Some(solc) = solc() else { return };
    let example = solc.compile(EXAMPLE, "PayOnClass").expect("it compiles");
    let says = solc.compile(SAYS, "Says").expect("it compiles");
    let mut machine = Machine::default();
    for answer in [false, true] {
        let (verifier, _) = machine.deploy(&[&says.creation[..], &word(answer.into())].concat()).expect("deployed");
        let arguments = [address_word(verifier), word(1), word(2), word(PRIZE)].concat();
        let payer = machine.deploy_with(&[example.creation.clone(), arguments].concat(), FUNDS).expect("deployed").0;
        let reserve = [&selector("reserve(int256)")[..], &word(9)].concat();
        assert!(matches!(machine.call(payer, &reserve, 0).expect("a transaction").outcome, Outcome::Returned(_)));
        // No proof, and three numbers: the input, and the scores of two classes.
        let words = [64, 96, 0, 3, 9, 1, 2].map(word).concat();
        let claim = [&selector("claim(bytes,int256[])")[..], &words].concat();
        let outcome = machine.call(payer, &claim, 0).expect("a transaction").outcome;
        assert_eq!(matches!(outcome, Outcome::Returned(_)), answer, "{outcome:?}");
        assert_eq!(machine.balance(payer), if answer { FUNDS - PRIZE } else { FUNDS });
    }
}
