// A merge sort of canonical integers, in ascending order: blocks are sorted in shared memory, then runs are merged two
// by two. A block of a merge finds by bisection which parts of both runs it takes ("merge path"), so runs may have any
// length and values any order.

#define SORT_THREADS 256
#define SORT_THREAD_KEYS 4
#define SORT_BLOCK (SORT_THREADS * SORT_THREAD_KEYS)

// The canonical integers of elements.
KERNEL(SORT_THREADS, sort_load, u32 len, const Element *values, Element *keys) {
    u32 row = blockIdx.x * SORT_THREADS + threadIdx.x;
    if (row < len) {
        keys[row] = fr_from_montgomery(values[row]);
    }
}

// Sorts every SORT_BLOCK keys, by a bitonic network.
KERNEL(SORT_THREADS, sort_blocks, u32 len, Element *keys) {
    __shared__ Element tile[SORT_BLOCK];
    u32 thread = threadIdx.x;
    u32 first = blockIdx.x * SORT_BLOCK;
    for (u32 i = thread; i < SORT_BLOCK; i += SORT_THREADS) {
        if (first + i < len) {
            tile[i] = keys[first + i];
        } else {
            // Above every key.
            for (u32 limb = 0; limb < 8; limb++) {
                tile[i].limbs[limb] = 0xffffffffu;
            }
        }
    }
    __syncthreads();
    for (u32 stage = 2; stage <= SORT_BLOCK; stage *= 2) {
        for (u32 distance = stage / 2; distance > 0; distance /= 2) {
            for (u32 pair = thread; pair < SORT_BLOCK / 2; pair += SORT_THREADS) {
                u32 low = 2 * pair - (pair & (distance - 1));
                u32 high = low + distance;
                Element a = tile[low];
                Element b = tile[high];
                bool descending = (low & stage) != 0;
                if (is_below(b, a) != descending) {
                    tile[low] = b;
                    tile[high] = a;
                }
            }
            __syncthreads();
        }
    }
    for (u32 i = thread; i < SORT_BLOCK; i += SORT_THREADS) {
        if (first + i < len) {
            keys[first + i] = tile[i];
        }
    }
}

// How many of the first `count` keys of the merged runs come from a.
DEVICE u32 merge_split(const Element *a, u32 a_len, const Element *b, u32 b_len, u32 count) {
    u32 low = count > b_len ? count - b_len : 0;
    u32 high = min(count, a_len);
    while (low < high) {
        u32 middle = (low + high) / 2;
        if (is_below(b[count - 1 - middle], a[middle])) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

// Merges runs of `run` keys, a multiple of SORT_BLOCK; the last one may be shorter.
KERNEL(SORT_THREADS, sort_merge, u32 len, u32 run, const Element *in, Element *out) {
    __shared__ Element tile[SORT_BLOCK];
    __shared__ u32 splits[2];
    u32 thread = threadIdx.x;
    u32 first = blockIdx.x * SORT_BLOCK;
    u32 start = first - first % (2 * run);
    u32 a_len = min(run, len - start);
    u32 b_len = min(run, len - start - a_len);
    const Element *a = in + start;
    const Element *b = a + a_len;
    u32 begin = first - start;
    u32 end = min(begin + SORT_BLOCK, a_len + b_len);
    if (thread < 2) {
        splits[thread] = merge_split(a, a_len, b, b_len, thread == 0 ? begin : end);
    }
    __syncthreads();
    u32 a_first = splits[0];
    u32 a_count = splits[1] - a_first;
    u32 count = end - begin;
    for (u32 i = thread; i < count; i += SORT_THREADS) {
        tile[i] = i < a_count ? a[a_first + i] : b[begin - a_first + i - a_count];
    }
    __syncthreads();
    u32 place = thread * SORT_THREAD_KEYS;
    if (place >= count) {
        return;
    }
    u32 i = merge_split(tile, a_count, tile + a_count, count - a_count, place);
    u32 j = a_count + place - i;
    u32 stop = min(place + SORT_THREAD_KEYS, count);
    for (; place < stop; place++) {
        bool from_a = j >= count || (i < a_count && !is_below(tile[j], tile[i]));
        out[first + place] = from_a ? tile[i] : tile[j];
        i += from_a;
        j += !from_a;
    }
}
