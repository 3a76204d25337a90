//! The fixed columns, by role and row.

use std::collections::{HashMap, HashSet};

use super::{Check, refuse, require};
use crate::gates;
use crate::layout::Layout;
use crate::system::{Accumulator, FixedRole, Power, RowKind};

/// A cell's number where there is none.
const NONE: u16 = 0;

/// The fixed columns of a layout.
pub(super) struct Fixed<'l> {
    pub(super) layout: &'l Layout,
    columns: HashMap<&'l FixedRole, &'l [(u32, i64)]>,
    kinds: Vec<RowKind>,
    /// Number of the row's kind, from 1.
    kind_at: Vec<u16>,
    powers: Vec<Power>,
    /// Number of the step's power, from 1, for each accumulator by row; empty for one that never steps.
    steps: Vec<Vec<u16>>,
}

impl<'l> Fixed<'l> {
    /// Reads the columns: each role has one, each cell one value, on a usable row. So no gate with a nonzero
    /// coefficient reads a blinding row, for rotations are 0 and -1, and no accumulator steps on row 0.
    pub(super) fn read(layout: &'l Layout) -> Check<Self> {
        let a = &layout.architecture;
        require(a.fixed.len() == layout.fixed.len(), || "a fixed column without a role".into())?;
        let usable = layout.usable_rows();
        let rows = 1usize << layout.k;
        require(usable + gates::unusable_rows(a) == rows, || {
            "another number of usable rows than the gates leave".into()
        })?;
        let mut this = Self {
            layout,
            columns: HashMap::new(),
            kinds: Vec::new(),
            kind_at: vec![NONE; usable],
            powers: Vec::new(),
            steps: vec![Vec::new(); Accumulator::SINGLE.len() + a.committed_columns],
        };
        for (role, cells) in a.fixed.iter().zip(&layout.fixed) {
            require(this.columns.insert(role, cells).is_none(), || format!("two columns of {role:?}"))?;
            require(cells.iter().all(|(row, _)| (*row as usize) < usable), || {
                format!("a cell of {role:?} on a row that is not usable")
            })?;
            let rising = cells.windows(2).all(|pair| pair[0].0 < pair[1].0);
            let distinct = || cells.iter().map(|(row, _)| *row).collect::<HashSet<u32>>().len() == cells.len();
            require(rising || distinct(), || format!("two values in one cell of {role:?}"))?;
            this.take(role, cells)?;
        }
        this.check_frame()?;
        Ok(this)
    }

    /// Kinds and steps are 1, and one a row.
    fn take(&mut self, role: &'l FixedRole, cells: &'l [(u32, i64)]) -> Check {
        let usable = self.kind_at.len();
        let (target, number) = match role {
            FixedRole::Kind(kind) => {
                self.kinds.push(*kind);
                (&mut self.kind_at, self.kinds.len())
            }
            FixedRole::Step(accumulator, power) => {
                require(cells.iter().all(|(row, _)| *row > 0), || "row 0 reads a blinding row".into())?;
                self.powers.push(*power);
                let Some(steps) = self.steps.get_mut(accumulator.number()) else {
                    return refuse("steps of a column that is not there");
                };
                steps.resize(usable, NONE);
                (steps, self.powers.len())
            }
            // Read by role, where they belong.
            FixedRole::Usable
            | FixedRole::SumStep
            | FixedRole::SumEnd
            | FixedRole::Table { .. }
            | FixedRole::LooksUp
            | FixedRole::ActivationTag
            | FixedRole::Clamp(_)
            | FixedRole::Lines(_)
            | FixedRole::ClampLeast
            | FixedRole::OperandPacked
            | FixedRole::OperandSingle
            | FixedRole::LeftPacked(_)
            | FixedRole::LeftSingle
            | FixedRole::InstancePacked
            | FixedRole::InstanceSingle
            | FixedRole::Accumulate
            | FixedRole::AccumulateCrossTerms
            | FixedRole::CrossTermMask(_)
            | FixedRole::GatherIndex(_)
            | FixedRole::SourceIndex
            | FixedRole::SourceCount(_)
            | FixedRole::SourceByIndex(_)
            | FixedRole::Masked(_)
            | FixedRole::Epsilon
            | FixedRole::SumFactor
            | FixedRole::CandidateStride
            | FixedRole::CandidateNumber
            | FixedRole::Identity(_)
            | FixedRole::Term { .. }
            | FixedRole::Hash(_) => return Ok(()),
        };
        for (row, value) in cells {
            let slot = &mut target[*row as usize];
            require(*value == 1 && *slot == NONE, || {
                format!("row {row} has {role:?} {value} times, or beside another")
            })?;
            *slot = number as u16;
        }
        Ok(())
    }

    /// The frame of the grand sum: all usable rows are used, each but the first adds to the one before, the last is 0.
    fn check_frame(&self) -> Check {
        let usable = self.kind_at.len();
        let frame = |role: &FixedRole, rows: std::ops::Range<usize>| {
            let cells = self.cells(role);
            let all = cells.len() == rows.len()
                && cells.iter().all(|(row, value)| *value == 1 && rows.contains(&(*row as usize)));
            require(all, || format!("{role:?} is not 1 on the rows {rows:?} alone"))
        };
        frame(&FixedRole::Usable, 0..usable)?;
        frame(&FixedRole::SumStep, 1..usable)?;
        frame(&FixedRole::SumEnd, usable - 1..usable)
    }

    /// Rows that gates may use.
    pub(super) fn usable(&self) -> usize {
        self.kind_at.len()
    }

    /// The nonzero cells of a role.
    pub(super) fn cells(&self, role: &FixedRole) -> &'l [(u32, i64)] {
        self.columns.get(role).copied().unwrap_or_default()
    }

    /// All roles with their cells.
    pub(super) fn roles(&self) -> impl Iterator<Item = (&'l FixedRole, &'l [(u32, i64)])> {
        self.layout.architecture.fixed.iter().map(|role| (role, self.cells(role)))
    }

    /// A role's cells by row.
    pub(super) fn dense(&self, role: &FixedRole) -> Vec<i64> {
        let mut dense = vec![0; self.usable()];
        self.cells(role).iter().for_each(|(row, value)| dense[*row as usize] = *value);
        dense
    }

    /// A selector's rows; it must be 0 or 1.
    pub(super) fn selector(&self, role: &FixedRole) -> Check<Vec<bool>> {
        let mut dense = vec![false; self.usable()];
        for (row, value) in self.cells(role) {
            require(*value == 1, || format!("{role:?} is {value} on row {row}"))?;
            dense[*row as usize] = true;
        }
        Ok(dense)
    }

    /// The kind of a row.
    pub(super) fn kind(&self, row: usize) -> Option<RowKind> {
        match self.kind_at[row] {
            NONE => None,
            number => Some(self.kinds[usize::from(number) - 1]),
        }
    }

    /// The step of an accumulator on a row; none where it starts anew.
    pub(super) fn step(&self, accumulator: Accumulator, row: usize) -> Option<Power> {
        match *self.steps.get(accumulator.number())?.get(row)? {
            NONE => None,
            number => Some(self.powers[usize::from(number) - 1]),
        }
    }

    /// Refuses cells of a role outside the rows that may have it.
    pub(super) fn only_on(&self, role: &FixedRole, may: impl Fn(usize) -> bool) -> Check {
        match self.cells(role).iter().find(|(row, _)| !may(*row as usize)) {
            Some((row, _)) => refuse(format!("{role:?} on row {row}, which does not read it")),
            None => Ok(()),
        }
    }
}
