// Expression programs by interpretation: every invocation runs all steps on its row. Results that are needed again are
// in registers, and in memory where there are too few of those.

// Operands and results are places: two bits say which kind, the others which one.
const PLACE_BITS = 30u;
const PLACE_SCALAR = 0u;
const PLACE_CELL = 1u;
const PLACE_REGISTER = 2u;
// Beside the outputs.
const PLACE_MEMORY = 3u;

const REGISTERS = 32u;

const OPERATION_ADD = 0u;
const OPERATION_SUB = 1u;
const OPERATION_MUL = 2u;
const OPERATION_NEGATE = 3u;
const OPERATION_COPY = 4u;

struct QuotientStep {
    operation: u32,
    a: u32,
    b: u32,
    // Where the result goes: a register or memory.
    result: u32,
}

@group(0) @binding(4) var<storage, read> steps: array<QuotientStep>;

@compute @workgroup_size(QUOTIENT_THREADS)
fn interpret(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group_number(group, groups) * QUOTIENT_THREADS + thread;
    if row >= quotient.len {
        return;
    }
    var registers: array<Element, REGISTERS>;
    for (var i = 0u; i < quotient.steps; i += 1u) {
        let step = steps[i];
        var operands: array<Element, 2>;
        for (var side = 0u; side < 2u; side += 1u) {
            var place = step.a;
            if side == 1u {
                place = step.b;
            }
            let index = place & ((1u << PLACE_BITS) - 1u);
            switch place >> PLACE_BITS {
                case PLACE_SCALAR: { operands[side] = scalars[index]; }
                case PLACE_CELL: { operands[side] = cells[index * quotient.rows + row]; }
                case PLACE_REGISTER: { operands[side] = registers[index]; }
                default: { operands[side] = memory[index * quotient.rows + row]; }
            }
        }
        var result = operands[0];
        switch step.operation {
            case OPERATION_ADD: { result = fr_add(operands[0], operands[1]); }
            case OPERATION_SUB: { result = fr_sub(operands[0], operands[1]); }
            case OPERATION_MUL: { result = fr_mul(operands[0], operands[1]); }
            case OPERATION_NEGATE: { result = fr_neg(operands[0]); }
            default: {}
        }
        let index = step.result & ((1u << PLACE_BITS) - 1u);
        if step.result >> PLACE_BITS == PLACE_REGISTER {
            registers[index] = result;
        } else {
            memory[index * quotient.rows + row] = result;
        }
    }
}
