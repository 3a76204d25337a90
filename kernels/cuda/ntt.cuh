// Passes of transforms of n = 2^log_n elements, for many columns at once. A pass of radix R = 2^log_radix takes the
// elements u, u + n/R, u + 2n/R, .. for every u below n/R, transforms them in shared memory, turns result j by
// w^(s·p·j) and writes it to q + s·(R·p + j), where u = p·s + q and s is the product of the radices before (Stockham):
// after the last pass the results are in natural order.
//
// Within a tile three layers at a time are done in registers. Values are below 4p there, which is below 2^256, and are reduced where
// they leave: a butterfly of x below 2p and y below 4p takes y·w, below 2p, and gives x + y·w and x - y·w + 2p.
//
// An inverse transform is a transform whose result i goes to n - i.

#define NTT_THREADS 256
// Elements that a block holds at most, so that eight of them in registers keep every thread busy.
#define NTT_TILE (8 * NTT_THREADS)

struct NttParams {
    // What all results are multiplied by, if `scaled`.
    Element scale;
    // The columns, one a grid row.
    const Element *const *in;
    Element *const *out;
    // w^i for i < n/2, w being the root of order n; in one of two elements for n = 1.
    const Element *roots;
    // For l with 2^l < R: from 2^l on, the powers below 2^l of the root of order 2^(l+1). Entry 0 is not read.
    const Element *layer_roots;
    // If `factors_before`, element i is multiplied by factor i before the pass; if `factors_after`, result i after it.
    const Element *factors;
    u32 log_n;
    u32 log_radix;
    // Neighbours u that a block takes together; R·2^log_neighbours is NTT_TILE at most.
    u32 log_neighbours;
    // log2 of s
    u32 log_stride;
    u32 inverse;
    u32 factors_before;
    u32 factors_after;
    u32 scaled;
};

// A tile: the halves of elements lie apart, and a gap of four follows every 32, so that threads next to each other use
// different banks.
struct NttTile {
    uint4 *low;
    uint4 *high;

    static DEVICE u32 place(u32 i) { return i + (i >> 5 << 2); }

    DEVICE Element load(u32 i) const {
        uint4 a = low[place(i)];
        uint4 b = high[place(i)];
        return Element{{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
    }

    DEVICE void store(u32 i, Element value) const {
        const u32 *v = value.limbs;
        low[place(i)] = uint4{v[0], v[1], v[2], v[3]};
        high[place(i)] = uint4{v[4], v[5], v[6], v[7]};
    }
};

// Layers `layer`.. `layer` + count - 1 of the tile's transforms. In layer 0 step 0 needs no multiplication.
template <int count, bool first> DEVICE void ntt_layers(const NttTile &tile, const NttParams &params, u32 layer) {
    u32 groups = 1u << (params.log_radix + params.log_neighbours - count);
    u32 neighbours = 1u << params.log_neighbours;
#pragma unroll 1
    for (u32 group = threadIdx.x; group < groups; group += NTT_THREADS) {
        u32 neighbour = group & (neighbours - 1);
        u32 butterfly = group >> params.log_neighbours;
        u32 step = first ? 0 : butterfly & ((1u << layer) - 1);
        u32 base = ((butterfly - step) << count) + step;
        Element values[1 << count];
#pragma unroll
        for (u32 i = 0; i < 1u << count; i++) {
            values[i] = tile.load(((base + (i << layer)) << params.log_neighbours) + neighbour);
        }
#pragma unroll
        for (u32 l = 0; l < count; l++) {
            const Element *roots = params.layer_roots + (1u << (layer + l));
#pragma unroll
            for (u32 j = 0; j < 1u << l; j++) {
                Element root = fr_one();
                if (!first || j > 0) {
                    root = roots[step + (j << layer)];
                }
#pragma unroll
                for (u32 i = j; i < 1u << count; i += 2u << l) {
                    Element &x = values[i];
                    Element &y = values[i + (1u << l)];
                    x = Field<Fr>::subtract_once(x, Field<Fr>::doubled_modulus());
                    // Below 4p; without a product it is brought below 2p as well.
                    Element turned = first && j == 0 ? Field<Fr>::subtract_once(y, Field<Fr>::doubled_modulus())
                                                     : Field<Fr>::mul_lazy(root, y);
                    u32 borrow;
                    y = subtract_words(add_words(x, Field<Fr>::doubled_modulus()), turned, borrow);
                    x = add_words(x, turned);
                }
            }
        }
#pragma unroll
        for (u32 i = 0; i < 1u << count; i++) {
            tile.store(((base + (i << layer)) << params.log_neighbours) + neighbour, values[i]);
        }
    }
    __syncthreads();
}

template <bool first> DEVICE u32 ntt_step(const NttTile &tile, const NttParams &params, u32 layer) {
    u32 left = params.log_radix - layer;
    if (left >= 3) {
        ntt_layers<3, first>(tile, params, layer);
        return layer + 3;
    }
    if (left == 2) {
        ntt_layers<2, first>(tile, params, layer);
        return layer + 2;
    }
    ntt_layers<1, first>(tile, params, layer);
    return layer + 1;
}

// w^e, for e < n.
DEVICE Element ntt_root_power(const NttParams &params, u32 exponent) {
    u32 half = 1u << params.log_n >> 1;
    return exponent < half ? params.roots[exponent] : fr_neg(params.roots[exponent - half]);
}

// Takes 32 bytes of dynamic shared memory for each element that a block holds, and an eighth more for gaps: 72 KiB for
// NTT_TILE, which a launch must be allowed to take. Where a device has less, a block holds fewer neighbours.
KERNEL(NTT_THREADS, ntt_pass, NttParams params) {
    u32 radix = 1u << params.log_radix;
    u32 neighbours = 1u << params.log_neighbours;
    u32 elements = radix * neighbours;
    uint4 *memory = DYNAMIC_SHARED(uint4);
    NttTile tile = {memory, memory + NttTile::place(elements)};
    const Element *in = params.in[blockIdx.y];
    Element *out = params.out[blockIdx.y];
    u32 thread = threadIdx.x;
    u32 first = blockIdx.x * neighbours;
#pragma unroll 1
    for (u32 i = thread; i < elements; i += NTT_THREADS) {
        u32 row = i >> params.log_neighbours;
        u32 neighbour = i & (neighbours - 1);
        u32 source = first + neighbour + (row << (params.log_n - params.log_radix));
        Element value = in[source];
        if (params.factors_before != 0) {
            value = Field<Fr>::mul_lazy(params.factors[source], value);
        }
        u32 reversed = params.log_radix > 0 ? __brev(row) >> (32 - params.log_radix) : 0;
        tile.store((reversed << params.log_neighbours) + neighbour, value);
    }
    __syncthreads();
    if (params.log_radix > 0) {
        u32 layer = ntt_step<true>(tile, params, 0);
        while (layer < params.log_radix) {
            layer = ntt_step<false>(tile, params, layer);
        }
    }
#pragma unroll 1
    for (u32 i = thread; i < elements; i += NTT_THREADS) {
        // Neighbours in the output are neighbours here.
        bool strided = params.log_stride > 0;
        u32 result = strided ? i >> params.log_neighbours : i & (radix - 1);
        u32 neighbour = strided ? i & (neighbours - 1) : i >> params.log_radix;
        u32 u = first + neighbour;
        u32 p = u >> params.log_stride;
        u32 q = u & ((1u << params.log_stride) - 1);
        Element value = tile.load((result << params.log_neighbours) + neighbour);
        u32 exponent = (p * result) << params.log_stride;
        if (exponent != 0) {
            value = Field<Fr>::mul_lazy(ntt_root_power(params, exponent), value);
        }
        u32 to = q + (((p << params.log_radix) + result) << params.log_stride);
        // The last pass has all of the order behind it.
        if (params.inverse != 0 && params.log_stride + params.log_radix == params.log_n) {
            to = ((1u << params.log_n) - to) & ((1u << params.log_n) - 1);
        }
        if (params.factors_after != 0) {
            value = Field<Fr>::mul_lazy(params.factors[to], value);
        }
        if (params.scaled != 0) {
            value = Field<Fr>::mul_lazy(params.scale, value);
        }
        out[to] = Field<Fr>::reduce(value);
    }
}

// The pieces of a polynomial from its residues on cosets: piece_j = Σ_i matrix[j·count + i]·residue_i, with the inverse
// of the matrix of powers of the cosets' constants.
KERNEL(NTT_THREADS, interpolate_cosets, u32 len, u32 count, const Element *matrix, const Element *const *residues,
       Element *const *pieces) {
    u32 row = blockIdx.x * NTT_THREADS + threadIdx.x;
    if (row >= len) {
        return;
    }
    for (u32 j = 0; j < count; j++) {
        Element sum = fr_zero();
        for (u32 i = 0; i < count; i++) {
            sum = fr_add(sum, fr_mul(matrix[j * count + i], residues[i][row]));
        }
        pieces[j][row] = sum;
    }
}
