// Runs kernels on the host, so that they can be tested where there is no device.
//
// Kernels are written for CUDA and know nothing of this file: it comes before them, with host meanings of the words
// that CUDA adds to C++. A block's threads take turns. A thread runs until it reaches a barrier or its end; when all
// have, the next phase begins. Within a phase they run one after the other, upwards and downwards in turn from phase to
// phase, so that a missing barrier shows in the results. Blocks run one after the other, in either order.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#define __device__
#define __shared__ static
#define __restrict__
#define __forceinline__ inline
#define CONSTANT static const
#define KERNEL(threads, name, ...)                                                                                     \
    extern "C" void name(__VA_ARGS__);                                                                                 \
    static const Registered name##_registered(#name, threads, name);                                                   \
    extern "C" void name(__VA_ARGS__)
#define DYNAMIC_SHARED(type) reinterpret_cast<type *>(block_memory.data())

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

struct alignas(8) uint2 {
    unsigned x, y;
};

static dim3 threadIdx, blockIdx, blockDim, gridDim;

// Shared memory whose size the launch says; filled with a pattern before every block.
struct alignas(16) Sixteen {
    unsigned char bytes[16];
};
static std::vector<Sixteen> block_memory;

// A kernel, to be called with the addresses of its arguments as a driver is.
struct Kernel {
    unsigned threads;
    std::vector<size_t> argument_bytes;
    void (*call)(void (*kernel)(), void *const *arguments);
    void (*kernel)();
};

static std::map<std::string, Kernel> &kernels() {
    static std::map<std::string, Kernel> all;
    return all;
}

template <class... Arguments, size_t... i>
static void call_kernel(void (*kernel)(Arguments...), void *const *arguments, std::index_sequence<i...>) {
    kernel(*static_cast<std::remove_reference_t<Arguments> *>(arguments[i])...);
}

struct Registered {
    template <class... Arguments> Registered(const char *name, unsigned threads, void (*kernel)(Arguments...)) {
        auto call = [](void (*kernel)(), void *const *arguments) {
            auto typed = reinterpret_cast<void (*)(Arguments...)>(kernel);
            call_kernel(typed, arguments, std::index_sequence_for<Arguments...>());
        };
        kernels()[name] = Kernel{threads, {sizeof(Arguments)...}, call, reinterpret_cast<void (*)()>(kernel)};
    }
};

// Where a thread goes on: its stack, with the registers that a function leaves as they are on top. Blocks change
// threads at every barrier, and the system's functions for that ask the kernel about signals each time.
#if defined(__x86_64__)
struct Context {
    void *top;
};

extern "C" void host_switch(Context *from, const Context *to);
asm(".text\n"
    ".weak host_switch\n"
    ".type host_switch, @function\n"
    "host_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp, (%rdi)\n"
    "movq (%rsi), %rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\n"
    "ret\n"
    ".size host_switch, . - host_switch\n");

static void switch_context(Context &from, Context &to) { host_switch(&from, &to); }

static void make_context(Context &context, char *stack, size_t bytes, void (*body)()) {
    // Six registers, then where to go on; a function begins with a stack that is 8 off a multiple of 16.
    uintptr_t end = (reinterpret_cast<uintptr_t>(stack) + bytes) / 16 * 16;
    void **top = reinterpret_cast<void **>(end) - 8;
    std::memset(top, 0, 8 * sizeof(void *));
    top[6] = reinterpret_cast<void *>(body);
    context.top = top;
}
#else
#include <ucontext.h>
typedef ucontext_t Context;

static void switch_context(Context &from, Context &to) { swapcontext(&from, &to); }

static void make_context(Context &context, char *stack, size_t bytes, void (*body)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = bytes;
    makecontext(&context, body, 0);
}
#endif

// A thread of the block that runs.
struct Thread {
    Context context;
    bool done;
};

static const size_t STACK_BYTES = 256 << 10;

static struct {
    Context scheduler;
    std::vector<Thread> threads;
    std::vector<char> stacks;
    unsigned current;
    const Kernel *kernel;
    void *const *arguments;
} running;

static void __syncthreads() { switch_context(running.threads[running.current].context, running.scheduler); }

static void thread_body() {
    running.kernel->call(running.kernel->kernel, running.arguments);
    running.threads[running.current].done = true;
    // Nobody comes back.
    __syncthreads();
}

static void run_block() {
    unsigned count = running.threads.size();
    for (unsigned i = 0; i < count; i++) {
        Thread &thread = running.threads[i];
        make_context(thread.context, running.stacks.data() + i * STACK_BYTES, STACK_BYTES, thread_body);
        thread.done = false;
    }
    unsigned left = count;
    for (unsigned phase = 0; left > 0; phase++) {
        for (unsigned i = 0; i < count; i++) {
            running.current = phase % 2 == 0 ? i : count - 1 - i;
            Thread &thread = running.threads[running.current];
            if (!thread.done) {
                threadIdx = dim3{running.current, 1, 1};
                threadIdx.y = threadIdx.z = 0;
                switch_context(running.scheduler, thread.context);
                left -= thread.done;
            }
        }
    }
}

// Runs a kernel, block by block.
static void run_grid(const Kernel &kernel, dim3 grid, size_t shared_bytes, void *const *arguments) {
    running.kernel = &kernel;
    running.arguments = arguments;
    running.threads.resize(kernel.threads);
    running.stacks.resize(kernel.threads * STACK_BYTES);
    gridDim = grid;
    blockDim = dim3{kernel.threads, 1, 1};
    for (unsigned z = 0; z < grid.z; z++) {
        for (unsigned y = 0; y < grid.y; y++) {
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = dim3{y % 2 == 0 ? x : grid.x - 1 - x, y, z};
                block_memory.assign(shared_bytes / 16 + 1, Sixteen());
                std::memset(block_memory.data(), 0xa5, block_memory.size() * 16);
                run_block();
            }
        }
    }
}

// Runs a kernel by its name. False where there is none of these arguments, or it has another number of threads.
[[maybe_unused]] static bool launch(const std::string &name, dim3 grid, unsigned threads, size_t shared_bytes,
                                    const std::vector<size_t> &argument_bytes, void *const *arguments) {
    auto found = kernels().find(name);
    if (found == kernels().end() || found->second.argument_bytes != argument_bytes || found->second.threads != threads) {
        return false;
    }
    run_grid(found->second, grid, shared_bytes, arguments);
    return true;
}

template <class T> static T atomicAdd(T *place, T value) {
    T before = *place;
    *place += value;
    return before;
}

template <class T> static T atomicMin(T *place, T value) {
    T before = *place;
    *place = value < before ? value : before;
    return before;
}

template <class T> static T atomicMax(T *place, T value) {
    T before = *place;
    *place = value > before ? value : before;
    return before;
}

template <class T> static T min(T a, T b) { return a < b ? a : b; }
template <class T> static T max(T a, T b) { return a < b ? b : a; }

static unsigned __brev(unsigned word) {
    unsigned reversed = 0;
    for (int bit = 0; bit < 32; bit++) {
        reversed |= (word >> bit & 1) << (31 - bit);
    }
    return reversed;
}

static int __clz(int word) { return word == 0 ? 32 : __builtin_clz((unsigned)word); }
