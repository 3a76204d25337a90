// What kernels of expression programs share. Every invocation computes one row.
//
// `cells` holds the program's cells, cell q of row r at q·rows + r: rotations are already in it. `memory` holds the
// outputs in the same way, and beside them results that are needed again.

const QUOTIENT_THREADS = 64u;

struct QuotientParams {
    // Rows that are evaluated.
    len: u32,
    // Rows from cell to cell and from output to output.
    rows: u32,
    // Steps for the interpreter.
    steps: u32,
}

@group(0) @binding(0) var<storage, read> quotient: QuotientParams;
@group(0) @binding(1) var<storage, read_write> memory: array<Element>;
@group(0) @binding(2) var<storage, read> cells: array<Element>;
@group(0) @binding(3) var<storage, read> scalars: array<Element>;
