// Where the entries of every bucket begin, and where its chunks do: running sums of the counts, and of the numbers of
// chunks.

// Entries and chunks, of a bucket or before it.
struct BucketSize {
    u32 entries;
    u32 chunks;
};

// Running sums of sizes.
struct BucketSizes : InOrder {
    typedef BucketSize Item;
    typedef BucketSize State;
    typedef const BucketSize *Source;
    static DEVICE Item identity() { return BucketSize{0, 0}; }
    static DEVICE Item combine(Item a, Item b) { return BucketSize{a.entries + b.entries, a.chunks + b.chunks}; }
    static DEVICE State step(State state, Item item) { return combine(state, item); }
    static DEVICE Item load(const Source &source, u32 row) { return source[row]; }
};

struct BucketCounts {
    const u32 *counts;
    // Entries of a chunk at most.
    u32 chunk;
};

// The same, from numbers of entries. One row more than there are buckets, with no entries, gives the totals.
struct CountedBuckets : BucketSizes {
    typedef BucketCounts Source;
    static DEVICE Item load(const Source &source, u32 row) {
        u32 count = source.counts[row];
        return BucketSize{count, (count + source.chunk - 1) / source.chunk};
    }
};

SCAN_KERNELS(msm_bucket_sizes, BucketSizes)
SCAN_KERNELS(msm_counted_buckets, CountedBuckets)
