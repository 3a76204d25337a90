//! The end of a layout: what depends on the number of rows.

use zkml_gpu_engine::prover::CircuitSize;

use super::choice::Choice;
use super::degree::max_degree;
use super::finished::Layout;
use crate::gates::unusable_rows;
use crate::placement::{Draft, LayoutError, Planner};
use crate::system::{Architecture, FixedRole, MAX_INSTANCE_CELLS};

/// Fills in what depends on the number of rows.
pub(super) fn finish(
    draft: Draft<'_>,
    architecture: Architecture,
    size: CircuitSize,
    choice: Choice,
) -> Result<Layout, LayoutError> {
    // Keys beyond the bounds could be made, but no verifier would read them.
    architecture.check().map_err(LayoutError::Bounds)?;
    let Draft { mut planner, mut statement, layers } = draft;
    let (k, unusable, rows) = (size.k, unusable_rows(&architecture), planner.rows());
    let usable = (1 << k) - unusable;
    for row in 0..usable {
        planner.set(FixedRole::Usable, row, 1);
        if row > 0 {
            planner.set(FixedRole::SumStep, row, 1);
        }
    }
    planner.set(FixedRole::SumEnd, usable - 1, 1);
    fill_tables(&mut planner);
    statement.set_lengths(architecture.instance_columns());
    if statement.cells() > MAX_INSTANCE_CELLS {
        return Err(LayoutError::PublicValues { cells: statement.cells(), limit: MAX_INSTANCE_CELLS });
    }
    statement.check(&architecture, usable).map_err(LayoutError::Malformed)?;
    check_cells(&planner)?;
    let degree = max_degree(&architecture, &planner.fixed, usable);
    Ok(Layout {
        architecture,
        k,
        fixed: planner.fixed.into_iter().map(|(_, cells)| cells).collect(),
        tables: planner.tables,
        operands: planner.operands,
        results: planner.results,
        bank: planner.bank,
        cross_terms: planner.cross_terms,
        gathers: planner.gathers,
        statement,
        identities: planner.identities,
        max_degree: degree.r,
        max_channel_degree: degree.s,
        rows,
        layers,
        size,
        choice,
        usable,
    })
}

/// A fixed cell has one value: a second one would be lost.
fn check_cells(planner: &Planner<'_>) -> Result<(), LayoutError> {
    for (role, cells) in &planner.fixed {
        let rows: std::collections::HashSet<u32> = cells.iter().map(|(row, _)| *row).collect();
        if rows.len() != cells.len() {
            return Err(LayoutError::Malformed(format!("two values in one cell of {role:?}")));
        }
    }
    Ok(())
}

/// Table columns.
fn fill_tables(planner: &mut Planner<'_>) {
    let lanes = planner.widths.table_lanes;
    for (index, entry) in planner.tables.rows.clone().into_iter().enumerate() {
        for (i, value) in (0..).zip(entry.values.into_iter().chain([entry.tag])) {
            if value != 0 {
                planner.set(FixedRole::Table { lane: index % lanes, value: i }, index / lanes, value);
            }
        }
    }
}
