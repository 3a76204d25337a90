//! The contract's text around its statements: documentation, interface, and the functions that all contracts have.

use std::fmt::Write as _;

use crate::calldata::selector;
use crate::statement::Statement;

/// The scalar field's modulus.
const R: &str = "0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001";
/// The base field's modulus.
const Q: &str = "0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47";

/// Functions of the block. The accumulator is the point at 0; a second operand is at 0x40, its factor at 0x80.
const FUNCTIONS: &str = r"
function fail() {
    mstore(0, INVALID)
    revert(0, 4)
}
function reduced(at, end) {
    for {} lt(at, end) { at := add(at, 0x20) } {
        if iszero(lt(calldataload(at), R)) { fail() }
    }
}
// Numbers of calldata to cells: integers between low and high, negative ones as elements.
function put(at, atStep, cell, cellStep, count, low, high) {
    for {} count { count := sub(count, 1) } {
        let v := calldataload(at)
        if or(slt(v, low), sgt(v, high)) { fail() }
        if slt(v, 0) { v := add(v, R) }
        mstore(cell, v)
        at := add(at, atStep)
        cell := add(cell, cellStep)
    }
}
function squeeze(at, bytes_, buffer) -> challenge {
    let hash := keccak256(at, bytes_)
    mstore(buffer, hash)
    challenge := mod(hash, R)
}
// x less powers of the generator, then their Lagrange polynomials.
function distances(at, count, x, w, step) {
    for {} count { count := sub(count, 1) } {
        mstore(at, addmod(x, sub(R, w), R))
        w := mulmod(w, step, R)
        at := add(at, 0x20)
    }
}
function lagrange(at, count, c, w, step) {
    for {} count { count := sub(count, 1) } {
        mstore(at, mulmod(mulmod(mload(at), w, R), c, R))
        w := mulmod(w, step, R)
        at := add(at, 0x20)
    }
}
function inner(sum, cell, cellStep, row, rowStep, count) -> total {
    total := sum
    for {} count { count := sub(count, 1) } {
        total := addmod(total, mulmod(mload(cell), mload(row), R), R)
        cell := add(cell, cellStep)
        row := add(row, rowStep)
    }
}
// Inverts count words in place. None is 0, and an answer that is no inverse is refused.
function invert(at, count, prefixes) {
    let product := 1
    let offset := 0
    let end := mul(count, 0x20)
    for {} lt(offset, end) { offset := add(offset, 0x20) } {
        mstore(add(prefixes, offset), product)
        product := mulmod(product, mload(add(at, offset)), R)
    }
    mstore(0, 0x20)
    mstore(0x20, 0x20)
    mstore(0x40, 0x20)
    mstore(0x60, product)
    mstore(0x80, sub(R, 2))
    mstore(0xa0, R)
    if iszero(staticcall(gas(), 5, 0, 0xc0, 0, 0x20)) { fail() }
    let inverse := mload(0)
    if xor(mulmod(inverse, product, R), 1) { fail() }
    for {} offset {} {
        offset := sub(offset, 0x20)
        let value := mload(add(at, offset))
        mstore(add(at, offset), mulmod(inverse, mload(add(prefixes, offset)), R))
        inverse := mulmod(inverse, value, R)
    }
}
// A point of the proof. The identity is refused, as the stock transcript does.
function point(at, to) {
    let x := calldataload(at)
    let y := calldataload(add(at, 0x20))
    if iszero(or(x, y)) { fail() }
    mstore(to, x)
    mstore(add(to, 0x20), y)
}
function load(at) { point(at, 0) }
function set(x, y) {
    mstore(0, x)
    mstore(0x20, y)
}
function keep(to) {
    mstore(to, mload(0))
    mstore(add(to, 0x20), mload(0x20))
}
function restore(from) {
    mstore(0, mload(from))
    mstore(0x20, mload(add(from, 0x20)))
}
function multiply(scalar) {
    mstore(0x40, scalar)
    if iszero(staticcall(gas(), 7, 0, 0x60, 0, 0x40)) { fail() }
    if xor(returndatasize(), 0x40) { fail() }
}
function addUp() {
    if iszero(staticcall(gas(), 6, 0, 0x80, 0, 0x40)) { fail() }
    if xor(returndatasize(), 0x40) { fail() }
}
function plus(x, y) {
    mstore(0x40, x)
    mstore(0x60, y)
    addUp()
}
function plusAt(from) { plus(mload(from), mload(add(from, 0x20))) }
function next(scalar, at) {
    multiply(scalar)
    point(at, 0x40)
    addUp()
}
function minusOf(at) {
    point(at, 0x40)
    let y := mload(0x60)
    // The precompiled contract sees the other sign alone: of q itself that is 0.
    if iszero(lt(y, Q)) { fail() }
    mstore(0x60, sub(Q, y))
    addUp()
}
function term() {
    if iszero(staticcall(gas(), 7, 0x40, 0x60, 0x40, 0x40)) { fail() }
    if xor(returndatasize(), 0x40) { fail() }
    addUp()
}
function plusMultiple(x, y, scalar) {
    mstore(0x40, x)
    mstore(0x60, y)
    mstore(0x80, scalar)
    term()
}
function plusMultipleOf(at, scalar) {
    point(at, 0x40)
    mstore(0x80, scalar)
    term()
}
";

/// Whether a character of a name leaves a comment what it is. What a model's owner calls its tensors may end no line,
/// which U+2028 and U+2029 do as well, turn no direction of writing, and begin no tag of the documentation.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || (c.is_ascii() && !c.is_ascii_control() && c != '@')
}

/// The whole source.
pub(crate) fn source(name: &str, about: &[String], statement: &Statement, proof_bytes: usize, body: &str) -> String {
    let mut text = String::from("// SPDX-License-Identifier: MIT OR Apache-2.0\npragma solidity >=0.8.19 <0.9.0;\n\n");
    let line = |text: &mut String, line: &str| {
        let _ = writeln!(text, "/// {}", line.replace(|c: char| !is_plain(c), " "));
    };
    line(&mut text, "Verifies proofs of one circuit: written by zkml-gpu from its verifying key.");
    about.iter().for_each(|own| line(&mut text, own));
    line(&mut text, "");
    line(&mut text, &format!("A proof has {proof_bytes} bytes. The values, in this order:"));
    for (of, count) in &statement.names {
        line(&mut text, &format!("- {of}: {count}"));
    }
    let _ = writeln!(text, "contract {name} {{");
    text += INTERFACE;
    text += "        assembly {\n";
    let _ = writeln!(text, "            let r := {R}");
    let invalid = hex::encode(selector("InvalidProof()"));
    let functions = FUNCTIONS.replace("INVALID", &format!("shl(224, 0x{invalid})"));
    let functions = replace_word(&replace_word(&functions, "R", R), "Q", Q);
    for part in [functions.as_str(), body, "mstore(0, 1)\nreturn(0, 0x20)"] {
        for line in part.lines().filter(|line| !line.is_empty()) {
            let _ = writeln!(text, "            {line}");
        }
    }
    text += "        }\n    }\n}\n";
    text
}

/// The interface by itself.
pub(crate) fn interface(name: &str) -> String {
    let functions = INTERFACE.replace("view returns (bool) {\n", "view returns (bool);\n");
    format!(
        "// SPDX-License-Identifier: MIT OR Apache-2.0\npragma solidity >=0.8.19 <0.9.0;\n\ninterface I{name} {{\n{functions}}}\n"
    )
}

/// What other contracts see.
const INTERFACE: &str = "    /// The proof does not hold for the values.
    error InvalidProof();

    /// Returns true where the proof holds for the values. Otherwise it reverts: there is no answer to forget to look
    /// at. Whether a value was there before, and who sent it, is for the caller to check: anybody can send a proof
    /// again.
    function verify(bytes calldata proof, int256[] calldata values) external view returns (bool) {
";

/// Replaces a word that stands alone.
fn replace_word(text: &str, word: &str, by: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut replaced = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let alone = !before.ends_with(is_part) && !after.starts_with(is_part);
        replaced += before;
        replaced += if alone { by } else { word };
        rest = after;
    }
    replaced + rest
}
