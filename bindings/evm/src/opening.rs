//! SHPLONK's opening ([BDFG20](https://eprint.iacr.org/2020/081), section 4), as halo2-axiom has it.
//!
//! Commitments that are opened at the same points are combined by powers of `y`, sets by powers of `v`. A combination
//! is computed by Horner's rule, `acc ← y·acc + C`, one multiplication of a point for each commitment, so that no power
//! is kept; and each point of the proof is an operand of a precompiled contract, which refuses it where it is not on
//! the curve or a coordinate is not reduced.

use std::collections::BTreeSet;

use ff::Field;
use halo2curves::bn256::{Fr, G1Affine};

use crate::contract::{INVERSE_OPENING, INVERSE_X, Words, Writer};
use crate::protocol::{Challenge, Commitment, Evaluation, OpeningSet};
use crate::yul::{Slot, hex_word};

/// `u − x·ω^rotation`, for every rotation.
#[derive(Clone, Debug)]
struct Distances(Vec<(i32, Slot)>);

impl Distances {
    fn of(&self, rotation: i32) -> Slot {
        self.0.iter().find(|(own, _)| *own == rotation).map_or(Slot(0), |(_, slot)| *slot)
    }

    /// The product over some rotations.
    fn product(&self, rotations: impl Iterator<Item = i32>) -> String {
        let factors: Vec<String> = rotations.map(|rotation| format!("mload({})", self.of(rotation))).collect();
        product(&factors)
    }
}

/// The product of values, in halves: each that is inside of another one takes entries of the stack, which has few.
fn product(factors: &[String]) -> String {
    match factors {
        [] => "1".into(),
        [one] => one.clone(),
        _ => {
            let (left, right) = factors.split_at(factors.len() / 2);
            format!("mulmod({}, {}, r)", product(left), product(right))
        }
    }
}

fn all_rotations(sets: &[OpeningSet]) -> BTreeSet<i32> {
    sets.iter().flat_map(|set| set.rotations.iter().copied()).collect()
}

/// Computes the distances, and leaves what is to be inverted at its place.
pub(crate) fn differences(writer: &mut Writer<'_>) {
    let rotations = all_rotations(&writer.protocol.sets);
    let base = writer.memory.words(rotations.len());
    writer.distances = rotations.iter().enumerate().map(|(i, rotation)| (*rotation, base.plus(i))).collect();
    let [u, x] = [Challenge::OpeningU, Challenge::X].map(|challenge| writer.challenge(challenge));
    for (rotation, slot) in writer.distances.clone() {
        let point = match rotation {
            0 => format!("mload({x})"),
            _ => format!("mulmod(mload({x}), {}, r)", hex_word(writer.protocol.rotated(rotation.into()))),
        };
        writer.line(format!("mstore({slot}, addmod(mload({u}), sub(r, {point}), r))"));
    }
    let distances = Distances(writer.distances.clone());
    let first = writer.protocol.sets.first().map(|set| set.rotations.clone()).unwrap_or_default();
    let others = distances.product(rotations.into_iter().filter(|rotation| !first.contains(rotation)));
    let slot = writer.words.inverses.plus(INVERSE_OPENING);
    writer.line(format!("mstore({slot}, {others})"));
}

/// The combination of all commitments, and the one of what they open to.
pub(crate) fn write(writer: &mut Writer<'_>) {
    quotient(writer);
    let rotations = all_rotations(&writer.protocol.sets);
    let distances = Distances(writer.distances.clone());
    let Words { inverses, combined, .. } = writer.words;
    let [y, v, u] =
        [Challenge::OpeningY, Challenge::OpeningV, Challenge::OpeningU].map(|challenge| writer.challenge(challenge));
    let factor = writer.memory.word();
    let power = writer.memory.word();
    let values = writer.memory.word();
    writer.line("// SHPLONK: commitments that are opened at the same points, set by set.");
    writer.line("{");
    writer.line(format!("let y := mload({y})"));
    let sets = writer.protocol.sets.clone();
    for (index, set) in sets.iter().enumerate() {
        writer.line(format!("// {} commitments at rotations {:?}", set.members.len(), set.rotations));
        if index > 0 {
            let others = distances.product(rotations.iter().copied().filter(|r| !set.rotations.contains(r)));
            let normal = inverses.plus(INVERSE_OPENING);
            let before =
                if index == 1 { format!("mload({v})") } else { format!("mulmod(mload({power}), mload({v}), r)") };
            writer.line(format!("mstore({power}, {before})"));
            writer.line(format!("mstore({factor}, mulmod(mload({power}), mulmod({others}, mload({normal}), r), r))"));
        }
        set_values(writer, set, &distances, (index > 0).then_some(factor), values);
        set_commitments(writer, set);
        if index > 0 {
            writer.line(format!("multiply(mload({factor}))"));
            writer.multiplications += 1;
            writer.line(format!("plusAt({combined})"));
        }
        writer.line(format!("keep({combined})"));
    }
    // − value·G1 − z_0·[W] + u·[W'], on the combination, which is the accumulator still.
    let first = sets.first().map(|set| set.rotations.clone()).unwrap_or_default();
    let z_0 = distances.product(first.into_iter());
    let [w, w_prime] = writer.protocol.opening.map(|offset| writer.proof(offset));
    writer.line(format!("plusMultiple(1, 2, sub(r, mod(mload({values}), r)))"));
    writer.line(format!("plusMultipleOf({w:#x}, sub(r, {z_0}))"));
    writer.line(format!("plusMultipleOf({w_prime:#x}, mload({u}))"));
    writer.line(format!("keep({combined})"));
    writer.multiplications += 3;
    writer.line("}");
    unopened(writer);
}

/// The quotient's commitment from its pieces, by powers of `x^n`.
fn quotient(writer: &mut Writer<'_>) {
    let Words { x_n, quotient, .. } = writer.words;
    writer.line("// The quotient of its pieces.");
    writer.line("{");
    writer.line(format!("let p := mload({x_n})"));
    let pieces: Vec<usize> = writer.protocol.quotient.iter().map(|offset| writer.proof(*offset)).collect();
    for (index, piece) in pieces.iter().rev().enumerate() {
        if index == 0 {
            writer.line(format!("load({piece:#x})"));
        } else {
            writer.line(format!("next(p, {piece:#x})"));
            writer.multiplications += 1;
        }
    }
    writer.line(format!("keep({quotient})"));
    writer.line("}");
}

/// Adds what a set's combination opens to at `u`, by the polynomial through its values.
fn set_values(writer: &mut Writer<'_>, set: &OpeningSet, distances: &Distances, factor: Option<Slot>, values: Slot) {
    for (place, rotation) in set.rotations.iter().enumerate() {
        writer.line("{");
        writer.line("let e := 0");
        for (index, (_, evaluations)) in set.members.iter().rev().enumerate() {
            let value = match evaluations[place] {
                Evaluation::Proof(offset) => format!("calldataload({:#x})", writer.proof(offset)),
                Evaluation::Quotient => format!("mload({})", writer.words.quotient_value),
            };
            writer.line(match index {
                0 => format!("e := {value}"),
                _ => format!("e := add(mulmod(e, y, r), {value})"),
            });
        }
        let others: Vec<i32> = set.rotations.iter().copied().filter(|other| other != rotation).collect();
        // Times Π (u − p_l) / (p_k − p_l), with p = x·ω^rotation.
        let mut weights: Vec<String> = others.iter().map(|other| format!("mload({})", distances.of(*other))).collect();
        if !others.is_empty() {
            let at = |rotation: i32| writer.protocol.rotated(rotation.into());
            let constant: Fr = others.iter().map(|other| at(*rotation) - at(*other)).product();
            weights.push(hex_word(constant.invert().unwrap_or(Fr::ZERO)));
            let inverse_x = writer.words.inverses.plus(INVERSE_X);
            weights.extend(others.iter().map(|_| format!("mload({inverse_x})")));
        }
        weights.extend(factor.map(|factor| format!("mload({factor})")));
        for weight in weights {
            writer.line(format!("e := mulmod(e, {weight}, r)"));
        }
        writer.line(format!("mstore({values}, addmod(mload({values}), e, r))"));
        writer.line("}");
    }
}

/// Leaves a set's combination in the accumulator.
fn set_commitments(writer: &mut Writer<'_>, set: &OpeningSet) {
    for (index, (commitment, _)) in set.members.iter().rev().enumerate() {
        let first = index == 0;
        if !first {
            writer.multiplications += 1;
        }
        let line = match commitment {
            Commitment::Proof(offset) => {
                let at = writer.proof(*offset);
                if first { format!("load({at:#x})") } else { format!("next(y, {at:#x})") }
            }
            Commitment::Quotient => {
                let at = writer.words.quotient;
                if first { format!("restore({at})") } else { format!("multiply(y)\nplusAt({at})") }
            }
            Commitment::Key(index) => {
                let point = writer.protocol.key_point(*index);
                let [x, y] = coordinates(&point);
                match (first, is_identity(&point)) {
                    (true, _) => format!("set({x}, {y})"),
                    (false, true) => "multiply(y)".into(),
                    (false, false) => format!("multiply(y)\nplus({x}, {y})"),
                }
            }
        };
        writer.line(line);
    }
}

/// Points of the proof that are opened nowhere are on the curve as well.
fn unopened(writer: &mut Writer<'_>) {
    let opened: Vec<usize> = writer
        .protocol
        .sets
        .iter()
        .flat_map(|set| &set.members)
        .filter_map(|(commitment, _)| match commitment {
            Commitment::Proof(offset) => Some(*offset),
            Commitment::Key(_) | Commitment::Quotient => None,
        })
        .chain(writer.protocol.quotient.iter().copied())
        .chain(writer.protocol.opening)
        .collect();
    for offset in writer.protocol.points.clone() {
        if !opened.contains(&offset) {
            let at = writer.proof(offset);
            writer.line(format!("load({at:#x})\nmultiply(1)"));
            writer.multiplications += 1;
        }
    }
}

/// Coordinates in hexadecimal: 0, 0 for the identity, as precompiled contracts have it.
pub(crate) fn coordinates(point: &G1Affine) -> [String; 2] {
    if is_identity(point) { ["0".into(), "0".into()] } else { [hex_word(point.x), hex_word(point.y)] }
}

pub(crate) fn is_identity(point: &G1Affine) -> bool {
    use group::prime::PrimeCurveAffine as _;
    point.is_identity().into()
}
