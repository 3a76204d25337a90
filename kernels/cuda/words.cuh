// Words, and instructions on them that pass a carry on. Each function is one instruction of the device, so that the
// compiler can keep a chain together. Elsewhere the carry is a variable.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#ifdef __CUDACC__
#define DEVICE __device__ __forceinline__
// A function that is inlined on the device and too long to be so elsewhere.
#define LONG_DEVICE DEVICE
// A function that is called and never written out: where there are many calls, compilers take time that grows with the
// square of what is written out.
#define CALLED_DEVICE static __device__ __noinline__
#define CONSTANT static __constant__ const
// A kernel, by its number of threads, name and parameters.
#define KERNEL(threads, name, ...) extern "C" __global__ void __launch_bounds__(threads) name(__VA_ARGS__)
// Memory of a block whose size the launch says.
extern __shared__ uint4 dynamic_shared_memory[];
#define DYNAMIC_SHARED(type) reinterpret_cast<type *>(dynamic_shared_memory)
#else
#define DEVICE inline
#define LONG_DEVICE __attribute__((noinline)) inline
#define CALLED_DEVICE LONG_DEVICE
#endif

// The sum begins a chain: the carry out is set.
DEVICE u32 add_cc(u32 a, u32 b);
// The sum with the carry; the carry out is set.
DEVICE u32 addc_cc(u32 a, u32 b);
// The sum with the carry; the chain ends.
DEVICE u32 addc(u32 a, u32 b);
// The same for differences and borrows.
DEVICE u32 sub_cc(u32 a, u32 b);
DEVICE u32 subc_cc(u32 a, u32 b);
DEVICE u32 subc(u32 a, u32 b);
// The low and the high half of a product, added to a word.
DEVICE u32 mad_lo_cc(u32 a, u32 b, u32 c);
DEVICE u32 madc_lo_cc(u32 a, u32 b, u32 c);
DEVICE u32 madc_hi_cc(u32 a, u32 b, u32 c);
DEVICE u32 madc_hi(u32 a, u32 b, u32 c);

#ifdef __CUDACC__

#define CARRY_INSTRUCTION_2(name, instruction)                                                                         \
    DEVICE u32 name(u32 a, u32 b) {                                                                                    \
        u32 result;                                                                                                    \
        asm volatile(instruction " %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));                                      \
        return result;                                                                                                 \
    }
#define CARRY_INSTRUCTION_3(name, instruction)                                                                         \
    DEVICE u32 name(u32 a, u32 b, u32 c) {                                                                             \
        u32 result;                                                                                                    \
        asm volatile(instruction " %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));                          \
        return result;                                                                                                 \
    }

CARRY_INSTRUCTION_2(add_cc, "add.cc.u32")
CARRY_INSTRUCTION_2(addc_cc, "addc.cc.u32")
CARRY_INSTRUCTION_2(addc, "addc.u32")
CARRY_INSTRUCTION_2(sub_cc, "sub.cc.u32")
CARRY_INSTRUCTION_2(subc_cc, "subc.cc.u32")
CARRY_INSTRUCTION_2(subc, "subc.u32")
CARRY_INSTRUCTION_3(mad_lo_cc, "mad.lo.cc.u32")
CARRY_INSTRUCTION_3(madc_lo_cc, "madc.lo.cc.u32")
CARRY_INSTRUCTION_3(madc_hi_cc, "madc.hi.cc.u32")
CARRY_INSTRUCTION_3(madc_hi, "madc.hi.u32")

#else

// Blocks run one after the other, and their threads in turn.
static u32 carry_flag;

DEVICE u32 carry_out(u64 sum) {
    carry_flag = (u32)(sum >> 32);
    return (u32)sum;
}

// A difference below zero has its upper half all ones.
DEVICE u32 borrow_out(u64 difference) {
    carry_flag = (u32)(difference >> 32) & 1;
    return (u32)difference;
}

DEVICE u32 low(u32 a, u32 b) { return a * b; }
DEVICE u32 high(u32 a, u32 b) { return (u32)((u64)a * b >> 32); }

DEVICE u32 add_cc(u32 a, u32 b) { return carry_out((u64)a + b); }
DEVICE u32 addc_cc(u32 a, u32 b) { return carry_out((u64)a + b + carry_flag); }
DEVICE u32 addc(u32 a, u32 b) { return a + b + carry_flag; }
DEVICE u32 sub_cc(u32 a, u32 b) { return borrow_out((u64)a - b); }
DEVICE u32 subc_cc(u32 a, u32 b) { return borrow_out((u64)a - b - carry_flag); }
DEVICE u32 subc(u32 a, u32 b) { return a - b - carry_flag; }
DEVICE u32 mad_lo_cc(u32 a, u32 b, u32 c) { return carry_out((u64)low(a, b) + c); }
DEVICE u32 madc_lo_cc(u32 a, u32 b, u32 c) { return carry_out((u64)low(a, b) + c + carry_flag); }
DEVICE u32 madc_hi_cc(u32 a, u32 b, u32 c) { return carry_out((u64)high(a, b) + c + carry_flag); }
DEVICE u32 madc_hi(u32 a, u32 b, u32 c) { return high(a, b) + c + carry_flag; }

#endif

// Eight 32-bit words, least significant first: a field element, in Montgomery form with R = 2^256 unless said
// otherwise.
struct alignas(16) Element {
    u32 limbs[8];
};

DEVICE Element words_zero() { return Element{{0, 0, 0, 0, 0, 0, 0, 0}}; }

DEVICE bool words_are_zero(Element a) {
    return (a.limbs[0] | a.limbs[1] | a.limbs[2] | a.limbs[3] | a.limbs[4] | a.limbs[5] | a.limbs[6] | a.limbs[7]) == 0;
}

DEVICE bool words_are_equal(Element a, Element b) {
    u32 difference = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        difference |= a.limbs[i] ^ b.limbs[i];
    }
    return difference == 0;
}

// a + b for a sum below 2^256.
DEVICE Element add_words(Element a, Element b) {
    Element sum;
    sum.limbs[0] = add_cc(a.limbs[0], b.limbs[0]);
#pragma unroll
    for (int i = 1; i < 7; i++) {
        sum.limbs[i] = addc_cc(a.limbs[i], b.limbs[i]);
    }
    sum.limbs[7] = addc(a.limbs[7], b.limbs[7]);
    return sum;
}

// a - b mod 2^256; the borrow is all ones where a < b, else zero.
DEVICE Element subtract_words(Element a, Element b, u32 &borrow) {
    Element difference;
    difference.limbs[0] = sub_cc(a.limbs[0], b.limbs[0]);
#pragma unroll
    for (int i = 1; i < 8; i++) {
        difference.limbs[i] = subc_cc(a.limbs[i], b.limbs[i]);
    }
    borrow = subc(0, 0);
    return difference;
}

// a/2, for an even a.
DEVICE Element half_words(Element a) {
    Element half;
#pragma unroll
    for (int i = 0; i < 7; i++) {
        half.limbs[i] = a.limbs[i] >> 1 | a.limbs[i + 1] << 31;
    }
    half.limbs[7] = a.limbs[7] >> 1;
    return half;
}

// The order of integers.
DEVICE bool is_below(Element a, Element b) {
    u32 borrow;
    subtract_words(a, b, borrow);
    return borrow != 0;
}
