// Expression programs: `evaluate` interprets one, every thread on its row. A program that is run often is better
// written out as a kernel of its own, out of the functions here.

#define QUOTIENT_THREADS 128

// A column and its rotation, from 0 to below the number of rows.
struct QuotientQuery {
    const Element *column;
    u32 rotation;
};

// A column's value in a row, counted cyclically.
DEVICE Element quotient_cell(const QuotientQuery &query, u32 rows, u32 row) {
    // Both are below rows, which is 2^28 at most.
    u32 place = row + query.rotation;
    return query.column[place < rows ? place : place - rows];
}

// Operands and results are places: two bits say which kind, the others which one.
#define PLACE_BITS 30
#define PLACE_SCALAR 0
#define PLACE_CELL 1
#define PLACE_REGISTER 2
// Rows of memory: outputs, then results for which there are no registers.
#define PLACE_MEMORY 3

#define QUOTIENT_REGISTERS 32

#define OPERATION_ADD 0
#define OPERATION_SUB 1
#define OPERATION_MUL 2
#define OPERATION_NEGATE 3
#define OPERATION_COPY 4

struct QuotientStep {
    u32 operation;
    u32 a;
    u32 b;
    // Where the result goes: a register or memory.
    u32 result;
};

struct QuotientParams {
    const QuotientStep *steps;
    const QuotientQuery *queries;
    const Element *scalars;
    // One vector for each place. Of results there may be the rows to compute only: row 0 is where it would be.
    Element *const *memory;
    u32 rows;
    u32 instructions;
    // The rows to compute.
    u32 first_row;
    u32 end_row;
};

// The steps of programs that are written out.
CALLED_DEVICE Element quotient_add(Element a, Element b) { return fr_add(a, b); }
CALLED_DEVICE Element quotient_sub(Element a, Element b) { return fr_sub(a, b); }
CALLED_DEVICE Element quotient_mul(Element a, Element b) { return fr_mul(a, b); }
CALLED_DEVICE Element quotient_square(Element a) { return fr_square(a); }
CALLED_DEVICE Element quotient_neg(Element a) { return fr_neg(a); }

DEVICE u32 quotient_row(const QuotientParams &params) {
    return params.first_row + blockIdx.x * QUOTIENT_THREADS + threadIdx.x;
}

DEVICE Element quotient_operand(const QuotientParams &params, const Element *registers, u32 place, u32 row) {
    u32 index = place & ((1u << PLACE_BITS) - 1);
    switch (place >> PLACE_BITS) {
    case PLACE_SCALAR: return params.scalars[index];
    case PLACE_CELL: return quotient_cell(params.queries[index], params.rows, row);
    case PLACE_REGISTER: return registers[index];
    default: return params.memory[index][row];
    }
}

KERNEL(QUOTIENT_THREADS, evaluate, QuotientParams params) {
    u32 row = quotient_row(params);
    if (row >= params.end_row) {
        return;
    }
    Element registers[QUOTIENT_REGISTERS];
    for (u32 i = 0; i < params.instructions; i++) {
        QuotientStep step = params.steps[i];
        Element a = quotient_operand(params, registers, step.a, row);
        Element b = quotient_operand(params, registers, step.b, row);
        Element result = a;
        switch (step.operation) {
        case OPERATION_ADD: result = fr_add(a, b); break;
        case OPERATION_SUB: result = fr_sub(a, b); break;
        case OPERATION_MUL: result = fr_mul(a, b); break;
        case OPERATION_NEGATE: result = fr_neg(a); break;
        default: break;
        }
        u32 index = step.result & ((1u << PLACE_BITS) - 1);
        if (step.result >> PLACE_BITS == PLACE_REGISTER) {
            registers[index] = result;
        } else {
            params.memory[index][row] = result;
        }
    }
}
