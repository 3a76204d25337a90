// Recurrences out_0 = initial, out_{i+1} = step(out_i, item_i), in blocks: `.._reduce` composes the items of every
// block, the totals are scanned in the same way, and `.._apply` runs through every block from the state at its
// beginning. No block waits for another.
//
// A recurrence is a type with the types `Item` and `State`, the types `Source` of its input and a function `load` of an
// item, and
//
//   identity()         the item that does nothing
//   combine(a, b)      the item that does what both do, a first
//   step(state, item)  the next state
//   place(source, row) where the state before an item goes

#define SCAN_THREADS 256
#define SCAN_THREAD_ROWS 4
#define SCAN_BLOCK (SCAN_THREADS * SCAN_THREAD_ROWS)

// The item that rows first..end make up.
template <class R> DEVICE typename R::Item fold_rows(const typename R::Source &source, u32 first, u32 end) {
    typename R::Item item = R::identity();
    for (u32 row = first; row < end; row++) {
        item = R::combine(item, R::load(source, row));
    }
    return item;
}

DEVICE u32 scan_end(u32 first, u32 len) { return first < len ? min(first + SCAN_THREAD_ROWS, len) : first; }

template <class R>
DEVICE void scan_reduce(u32 len, const typename R::Source &source, typename R::Item *totals) {
    __shared__ typename R::Item items[SCAN_THREADS];
    u32 thread = threadIdx.x;
    u32 first = blockIdx.x * SCAN_BLOCK + thread * SCAN_THREAD_ROWS;
    items[thread] = fold_rows<R>(source, first, scan_end(first, len));
    __syncthreads();
    for (u32 distance = 1; distance < SCAN_THREADS; distance *= 2) {
        // Threads next to each other work, so that the others' warps rest.
        u32 left = thread * 2 * distance;
        if (left < SCAN_THREADS) {
            items[left] = R::combine(items[left], items[left + distance]);
        }
        __syncthreads();
    }
    if (thread == 0) {
        totals[blockIdx.x] = items[0];
    }
}

template <class R>
DEVICE void scan_apply(u32 len, const typename R::Source &source, const typename R::State *states, typename R::State *out) {
    __shared__ typename R::Item items[SCAN_THREADS];
    u32 thread = threadIdx.x;
    u32 first = blockIdx.x * SCAN_BLOCK + thread * SCAN_THREAD_ROWS;
    u32 end = scan_end(first, len);
    items[thread] = fold_rows<R>(source, first, end);
    __syncthreads();
    for (u32 distance = 1; distance < SCAN_THREADS; distance *= 2) {
        typename R::Item item = items[thread];
        if (thread >= distance) {
            item = R::combine(items[thread - distance], item);
        }
        __syncthreads();
        items[thread] = item;
        __syncthreads();
    }
    typename R::State state = states[blockIdx.x];
    if (thread > 0) {
        state = R::step(state, items[thread - 1]);
    }
    for (u32 row = first; row < end; row++) {
        // Read before it is written: the output may be the input.
        typename R::Item item = R::load(source, row);
        out[R::place(source, row)] = state;
        state = R::step(state, item);
    }
}

struct InOrder {
    template <class Source> static DEVICE u32 place(const Source &, u32 row) { return row; }
};

// Elements from one vector.
struct Elements : InOrder {
    typedef Element Item;
    typedef Element State;
    typedef const Element *Source;
    static DEVICE Item load(const Source &source, u32 row) { return source[row]; }
};

// out + input
struct Sum : Elements {
    static DEVICE Item identity() { return fr_zero(); }
    static DEVICE Item combine(Item a, Item b) { return fr_add(a, b); }
    static DEVICE State step(State state, Item item) { return fr_add(state, item); }
};

// out·input
struct Product : Elements {
    static DEVICE Item identity() { return fr_one(); }
    static DEVICE Item combine(Item a, Item b) { return fr_mul(a, b); }
    static DEVICE State step(State state, Item item) { return fr_mul(state, item); }
};

// out·input, where zeros count as ones
struct Nonzero : Product {
    static DEVICE Item load(const Source &source, u32 row) { return fr_is_zero(source[row]) ? fr_one() : source[row]; }
};

// out + input of words
struct Count : InOrder {
    typedef u32 Item;
    typedef u32 State;
    typedef const u32 *Source;
    static DEVICE Item identity() { return 0; }
    static DEVICE Item combine(Item a, Item b) { return a + b; }
    static DEVICE State step(State state, Item item) { return state + item; }
    static DEVICE Item load(const Source &source, u32 row) { return source[row]; }
};

// x -> factor·x + term
struct Map {
    Element factor;
    Element term;
};

// factor·out + term, with factors and terms side by side
struct Maps : InOrder {
    typedef Map Item;
    typedef Element State;
    typedef const Map *Source;
    static DEVICE Item identity() { return Map{fr_one(), fr_zero()}; }
    static DEVICE Item combine(Item a, Item b) { return Map{fr_mul(a.factor, b.factor), step(a.term, b)}; }
    static DEVICE State step(State state, Item item) { return fr_add(fr_mul(state, item.factor), item.term); }
    static DEVICE Item load(const Source &source, u32 row) { return source[row]; }
};

struct FactorsAndTerms {
    const Element *factors;
    const Element *terms;
};

// factors·out + terms
struct AffineMaps : Maps {
    typedef FactorsAndTerms Source;
    static DEVICE Item load(const Source &source, u32 row) { return Map{source.factors[row], source.terms[row]}; }
};

#define SCAN_KERNELS(name, R)                                                                                          \
    KERNEL(SCAN_THREADS, name##_reduce, u32 len, R::Source source, R::Item *totals) {                                  \
        scan_reduce<R>(len, source, totals);                                                                           \
    }                                                                                                                  \
    KERNEL(SCAN_THREADS, name##_apply, u32 len, R::Source source, const R::State *states, R::State *out) {             \
        scan_apply<R>(len, source, states, out);                                                                       \
    }

SCAN_KERNELS(scan_sum, Sum)
SCAN_KERNELS(scan_product, Product)
SCAN_KERNELS(scan_nonzero, Nonzero)
SCAN_KERNELS(scan_count, Count)
SCAN_KERNELS(scan_maps, Maps)
SCAN_KERNELS(scan_affine, AffineMaps)
