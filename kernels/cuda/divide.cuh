// Division of a polynomial by X - root, from the highest coefficient down: q_{i-1} = root·q_i + f_i. That is an affine
// scan with a constant factor, of rows in reverse order: `divide_reduce` gives the maps of blocks, the highest first,
// `scan_maps` the states between them, from 0, and `divide_apply` the quotient.

struct Dividend {
    Element root;
    const Element *coefficients;
    u32 len;
};

struct Divide : Maps {
    typedef Dividend Source;
    static DEVICE Item load(const Source &source, u32 row) {
        return Map{source.root, source.coefficients[place(source, row)]};
    }
    // The highest row first.
    static DEVICE u32 place(const Source &source, u32 row) { return source.len - 1 - row; }
};

KERNEL(SCAN_THREADS, divide_reduce, Dividend dividend, Map *totals) {
    scan_reduce<Divide>(dividend.len, dividend, totals);
}

KERNEL(SCAN_THREADS, divide_apply, Dividend dividend, const Element *states, Element *quotient) {
    scan_apply<Divide>(dividend.len, dividend, states, quotient);
}
