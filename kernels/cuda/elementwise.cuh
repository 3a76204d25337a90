// Row by row: one row a thread.

#define ELEMENTWISE_THREADS 256

// The row of a thread.
DEVICE u32 elementwise_row() { return blockIdx.x * ELEMENTWISE_THREADS + threadIdx.x; }

KERNEL(ELEMENTWISE_THREADS, add_assign, u32 len, Element *acc, const Element *other) {
    u32 row = elementwise_row();
    if (row < len) {
        acc[row] = fr_add(acc[row], other[row]);
    }
}

KERNEL(ELEMENTWISE_THREADS, sub_assign, u32 len, Element *acc, const Element *other) {
    u32 row = elementwise_row();
    if (row < len) {
        acc[row] = fr_sub(acc[row], other[row]);
    }
}

KERNEL(ELEMENTWISE_THREADS, mul_assign, u32 len, Element *acc, const Element *other) {
    u32 row = elementwise_row();
    if (row < len) {
        acc[row] = fr_mul(acc[row], other[row]);
    }
}

KERNEL(ELEMENTWISE_THREADS, scale, u32 len, Element *acc, Element factor) {
    u32 row = elementwise_row();
    if (row < len) {
        acc[row] = fr_mul(acc[row], factor);
    }
}

// A column that the host has as integers of 1, 2, 4 or 8 bytes: these, then zeros, then other elements.
struct IntegerColumn {
    Element *out;
    const void *integers;
    const Element *rest;
    u32 given;
    u32 zeros;
    u32 others;
    u32 width;
};

DEVICE i64 integer_of(const IntegerColumn &column, u32 row) {
    switch (column.width) {
    case 1:
        return static_cast<const signed char *>(column.integers)[row];
    case 2:
        return static_cast<const short *>(column.integers)[row];
    case 4:
        return static_cast<const int *>(column.integers)[row];
    default:
        return static_cast<const i64 *>(column.integers)[row];
    }
}

// The columns along y.
KERNEL(ELEMENTWISE_THREADS, upload_integer_columns, const IntegerColumn *columns) {
    IntegerColumn column = columns[blockIdx.y];
    u32 row = elementwise_row();
    if (row < column.given) {
        i64 value = integer_of(column, row);
        u64 magnitude = value < 0 ? 0 - (u64)value : (u64)value;
        Element element = fr_to_montgomery(Element{{(u32)magnitude, (u32)(magnitude >> 32), 0, 0, 0, 0, 0, 0}});
        column.out[row] = value < 0 ? fr_neg(element) : element;
    } else if (row - column.given < column.zeros) {
        column.out[row] = fr_zero();
    } else if (row - column.given - column.zeros < column.others) {
        column.out[row] = column.rest[row - column.given - column.zeros];
    }
}

// A vector and what it is multiplied by. Past its end it counts as zero.
struct Term {
    Element factor;
    const Element *values;
    u32 len;
};

KERNEL(ELEMENTWISE_THREADS, linear_combination, u32 len, u32 terms, const Term *term, Element *out) {
    u32 row = elementwise_row();
    if (row >= len) {
        return;
    }
    Element sum = fr_zero();
    for (u32 i = 0; i < terms; i++) {
        if (row < term[i].len) {
            sum = fr_add(sum, fr_mul(term[i].factor, term[i].values[row]));
        }
    }
    out[row] = sum;
}

// Bits of the number of a thread.
#define POWER_BITS 28

struct PowersParams {
    Element initial;
    // base^stride
    Element step;
    // base^(2^i)
    Element squares[POWER_BITS];
    u32 len;
    // Threads: each makes the powers of its number and of multiples of the stride above it.
    u32 stride;
};

KERNEL(ELEMENTWISE_THREADS, powers, PowersParams params, Element *out) {
    u32 first = elementwise_row();
    if (first >= params.stride) {
        return;
    }
    Element power = params.initial;
#pragma unroll 1
    for (int bit = 0; bit < POWER_BITS; bit++) {
        if ((first >> bit & 1) != 0) {
            power = fr_mul(power, params.squares[bit]);
        }
    }
    for (u32 row = first; row < params.len; row += params.stride) {
        out[row] = power;
        power = fr_mul(power, params.step);
    }
}
