// The lookup argument's grouping, of sorted keys: rows that repeat an input take the table's unused rows, in order.

#define LOOKUP_THREADS 256

// Whether the key is among sorted ones.
DEVICE bool is_found(Element key, const Element *searched, u32 len) {
    u32 low = 0;
    u32 high = len;
    while (low < high) {
        u32 middle = (low + high) / 2;
        if (is_below(searched[middle], key)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < len && words_are_equal(searched[low], key);
}

DEVICE bool repeats(const Element *keys, u32 row) { return row > 0 && words_are_equal(keys[row - 1], keys[row]); }

// Marks the rows of the sorted table that no first input of a run takes: those that repeat the one before, and those
// that no input is.
KERNEL(LOOKUP_THREADS, lookup_mark_unused, u32 len, const Element *table, const Element *inputs, u32 *marks) {
    u32 row = blockIdx.x * LOOKUP_THREADS + threadIdx.x;
    if (row < len) {
        marks[row] = repeats(table, row) || !is_found(table[row], inputs, len);
    }
}

// Marks the rows of the input that repeat the one before. The lowest row that is not in the sorted table goes to
// `missing`, which begins with all ones. The input is sorted, or in its own order to find that row.
KERNEL(LOOKUP_THREADS, lookup_mark_repeated, u32 len, const Element *inputs, const Element *table, u32 *marks, u32 *missing) {
    u32 row = blockIdx.x * LOOKUP_THREADS + threadIdx.x;
    if (row < len) {
        bool repeated = repeats(inputs, row);
        marks[row] = repeated;
        if (!repeated && !is_found(inputs[row], table, len)) {
            atomicMin(missing, row);
        }
    }
}

// The table's unused rows, one after the other.
KERNEL(LOOKUP_THREADS, lookup_collect, u32 len, const Element *table, const u32 *marks, const u32 *ranks, Element *unused) {
    u32 row = blockIdx.x * LOOKUP_THREADS + threadIdx.x;
    if (row < len && marks[row] != 0) {
        unused[ranks[row]] = table[row];
    }
}

// Both columns, in Montgomery form.
KERNEL(LOOKUP_THREADS, lookup_place, u32 len, const Element *inputs, const Element *unused, const u32 *marks, const u32 *ranks,
       Element *permuted_input, Element *permuted_table) {
    u32 row = blockIdx.x * LOOKUP_THREADS + threadIdx.x;
    if (row < len) {
        Element value = fr_to_montgomery(inputs[row]);
        permuted_input[row] = value;
        permuted_table[row] = marks[row] == 0 ? value : fr_to_montgomery(unused[ranks[row]]);
    }
}
