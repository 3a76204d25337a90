//! Identities of sums over groups: at its power, each holds one group's definition.
//!
//! | | power of `s` | what is summed over the members | on the group's row |
//! |---|---|---|---|
//! | softmax | 0 | exponentials | their sum |
//! | softmax | 1 | marks of the member that attains the maximum | 1 |
//! | normalisation | 0 | elements, where the mean is taken off | their sum |
//! | normalisation | 1 | `n · x²` | `V + sum² - ε` |
//!
//! Hidden indices in one-hot form have sums, too: over the channels of each index, less what stands for 1, on the rows
//! of the elements themselves. Where they are hashed, those sums weighted by the channels' numbers are the indices.

use std::collections::{BTreeMap, HashSet};

use zkml_gpu_graph::Op;

use super::cells::{Cells, Columns};
use super::polynomial::{Identity, Item, Symbol};
use super::rows::groups;
use super::{Check, Reading, refuse, require};
use crate::system::RowKind;

/// The node whose sums an identity holds.
pub(super) fn node(reading: &Reading<'_>, identity: &Identity) -> Check<usize> {
    let result = identity.items.iter().find_map(|item| reading.rows.at(item.row));
    match result {
        Some(result) => Ok(result.node as usize),
        None => refuse(format!("identity {} is of no node", identity.number)),
    }
}

/// Compares every coefficient with a group's definition, and learns which cells are hashed indices; returns the number of
/// sums.
pub(super) fn check(reading: &Reading<'_>, identity: &Identity, node: usize, cells: &mut Cells) -> Check<usize> {
    let op = &reading.graph.nodes[node].op;
    let mut items: Vec<&Item> = identity.items.iter().collect();
    items.sort_unstable_by_key(|item| (item.s, item.r));
    if matches!(op, Op::Enter) {
        return check_one_hot(reading, &items, node, cells);
    }
    let mut seen = vec![false; 2 * groups(op)];
    for coefficient in items.chunk_by(|a, b| (a.s, a.r) == (b.s, b.r)) {
        let (s, group) = (coefficient[0].s, group(reading, coefficient, node)?);
        require(s < 2, || format!("sums at s^{s}"))?;
        check_group(reading, coefficient, node, group)?;
        let again = std::mem::replace(&mut seen[2 * group + s], true);
        require(!again, || format!("group {group} has two sums at s^{s}"))?;
    }
    require(seen.iter().all(|seen| *seen), || "not every group has its sums".into())?;
    Ok(seen.len())
}

/// At each power of `r` stands one index: the sum over its channels, each once, less what stands for 1; and, where it is
/// hashed, at a higher power of `s` the sum over its channels, each as often as its number says, less what stands for 1
/// times the hashed cell, which so is the index. Returns the number of sums.
fn check_one_hot(reading: &Reading<'_>, items: &[&Item], node: usize, cells: &mut Cells) -> Check<usize> {
    let output = reading.graph.nodes[node].output;
    let tensor = &reading.graph.tensors[output];
    let indices = tensor.shape.height * tensor.shape.width;
    let one = i128::from(tensor.format.max);
    let hashed = Columns(&reading.layout.architecture).hashed();
    let mut at = BTreeMap::new();
    let mut sums = HashSet::new();
    for coefficient in items.chunk_by(|a, b| (a.s, a.r) == (b.s, b.r)) {
        let (s, r) = (coefficient[0].s, coefficient[0].r);
        let is_hash = s > 0;
        let (mut members, mut less, mut held) = (Vec::with_capacity(tensor.shape.channels), 0i128, None);
        for item in coefficient.iter().filter(|item| item.coefficient != 0) {
            let result = reading.rows.at(item.row).filter(|result| result.node as usize == node);
            match (result, item.symbol) {
                (Some(result), Symbol::Activated(lane)) => {
                    let element = result.element as usize + lane;
                    let times = if is_hash { element / indices.max(1) } else { 1 };
                    require(i64::try_from(times) == Ok(item.coefficient), || {
                        format!("an element counts {} times", item.coefficient)
                    })?;
                    members.push(element);
                }
                (Some(_), Symbol::One) => less += i128::from(item.coefficient),
                (_, Symbol::Hashed) if is_hash => {
                    let is_one = held.replace(item.row).is_none() && i128::from(item.coefficient) == -one;
                    require(is_one, || format!("a hashed index counts {} times, or twice", item.coefficient))?;
                }
                _ => return refuse(format!("{:?} in a sum over channels", item.symbol)),
            }
        }
        members.sort_unstable();
        // The coefficients are in order: those at s^0 say which index a power of r is about.
        let index = if is_hash { at.get(&r).copied() } else { members.first().copied().filter(|i| *i < indices) };
        let Some(index) = index else { return refuse("a sum of no index") };
        // Channel 0 counts 0 times its number.
        require(
            members.into_iter().eq((usize::from(is_hash)..tensor.shape.channels).map(|c| c * indices + index)),
            || format!("the sum of index {index} is not over its channels"),
        )?;
        require(less == if is_hash { 0 } else { -one }, || format!("index {index} counts {less} less"))?;
        match (is_hash, held) {
            (false, _) => _ = at.insert(r, index),
            (true, Some(row)) => cells.set(hashed, row, reading.values.index(output, index))?,
            (true, None) => return refuse(format!("index {index} has a sum that no hash reads")),
        }
        require(sums.insert((s, index)), || format!("index {index} has two sums"))?;
    }
    require((0..indices).all(|index| sums.contains(&(0, index))), || "not every index has its sum".into())?;
    Ok(sums.len())
}

/// The group that a coefficient is about: that of its one row that is a group's.
fn group(reading: &Reading<'_>, items: &[&Item], node: usize) -> Check<usize> {
    let op = &reading.graph.nodes[node].op;
    let mut found = None;
    for item in items {
        let Some(result) = reading.rows.at(item.row).filter(|result| result.node as usize == node) else {
            return refuse("a sum over another node's rows");
        };
        if matches!(result.kind, RowKind::Reciprocal(_) | RowKind::InverseRoot(_)) {
            let group = result.element as usize % groups(op);
            require(found.is_none_or(|found| found == group), || "a sum of two groups".into())?;
            found = Some(group);
        }
    }
    match found {
        Some(group) => Ok(group),
        None => refuse("a sum of no group"),
    }
}

/// One coefficient: each member once, with its factor, and what the group's row holds.
fn check_group(reading: &Reading<'_>, items: &[&Item], node: usize, group: usize) -> Check {
    let op = &reading.graph.nodes[node].op;
    let (len, member, sum) = match (op, items[0].s) {
        (Op::Softmax(softmax), 0) => (softmax.len, 1, vec![(Symbol::Copy(0, 0), -1)]),
        (Op::Softmax(softmax), _) => (softmax.len, 1, vec![(Symbol::One, -1)]),
        (Op::Normalise(normalise), 0) => {
            (if normalise.centred { normalise.len } else { 0 }, 1, vec![(Symbol::Copy(1, 0), -1)])
        }
        (Op::Normalise(normalise), _) => {
            let v = [(Symbol::Copy(0, 0), -1), (Symbol::Square(1, 0), -1), (Symbol::One, normalise.epsilon)];
            (normalise.len, normalise.len as i64, v.to_vec())
        }
        _ => return refuse("it has no sums"),
    };
    let (mut members, mut own) = (Vec::with_capacity(len), Vec::with_capacity(sum.len()));
    for item in items {
        let Some(result) = reading.rows.at(item.row) else { return refuse("a sum over no row") };
        let lane = match result.kind {
            RowKind::Exponential(_) => match (item.s, item.symbol) {
                (0, Symbol::Activated(lane)) | (1, Symbol::Mark(lane)) => Some(lane),
                _ => None,
            },
            RowKind::Normalise(_) => match (item.s, item.symbol) {
                (0, Symbol::Copy(0, lane)) | (1, Symbol::Square(0, lane)) => Some(lane),
                _ => None,
            },
            RowKind::Reciprocal(_) | RowKind::InverseRoot(_) => {
                own.push((item.symbol, item.coefficient));
                continue;
            }
            RowKind::Requantise(_)
            | RowKind::Multiply(_)
            | RowKind::MaximumOfWindow(_)
            | RowKind::Raw
            | RowKind::GatheredMaximum(_)
            | RowKind::GatheredSum
            | RowKind::Copies(_)
            | RowKind::Index
            | RowKind::Candidate(_)
            | RowKind::Entry(_)
            | RowKind::OneHot(_) => None,
        };
        let Some(lane) = lane else {
            return refuse(format!("a sum over {:?} on a row of {:?}", item.symbol, result.kind));
        };
        require(item.coefficient == member, || format!("a member counts {} times", item.coefficient))?;
        members.push(result.element as usize + lane);
    }
    members.sort_unstable();
    require(members.into_iter().eq((0..len).map(|c| c * groups(op) + group)), || {
        format!("the sum of group {group} is not over its members")
    })?;
    // Two rows of a group would each hold its numbers.
    require(own.len() == sum.len() && sum.iter().all(|part| own.contains(part)), || {
        format!("the row of group {group} adds {own:?}, not {sum:?}")
    })
}
