// The functions of NVIDIA's driver that the CUDA back end calls, for a device that is the host. Work on a stream is put
// off until somebody waits for it, so that what depends on a wait that is missing fails. Every allocation is followed
// by a guard, and copies stay within one allocation: what does not ends the process.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

typedef int Result;
typedef uint64_t Address;

enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY = 209,
    NOT_FOUND = 500,
    LAUNCH_FAILED = 719,
};

// What tests change, by name.
static std::map<std::string, uint64_t> settings = {
    {"devices", 1},         {"version", 13000},       {"memory_bytes", 4ull << 30}, {"capability", 90},
    {"shared_bytes", 227 << 10}, {"launch_failure", 0},
};

// The failure of a kernel, which every later call gives: a process cannot get rid of it.
static Result lasting = SUCCESS;

static std::recursive_mutex lock;
#define LOCKED std::lock_guard<std::recursive_mutex> locked(lock)
#define UNLESS_LOST                                                                                                    \
    if (lasting != SUCCESS) {                                                                                          \
        return lasting;                                                                                                \
    }

extern "C" void host_configure(const char *name, uint64_t value) {
    LOCKED;
    settings[name] = value;
}

[[noreturn]] static void fail(const char *what) {
    std::fprintf(stderr, "host driver: %s\n", what);
    std::abort();
}

static const size_t GUARD_BYTES = 256;

struct Allocation {
    size_t bytes;
    void *memory;
};

// By their addresses.
static std::map<Address, Allocation> allocations;
static uint64_t used = 0;
static bool initialised = false;
static thread_local bool entered = false;
static std::deque<std::function<void()>> stream;
static uint64_t put_off = 0;
static uint64_t done = 0;

static void later(std::function<void()> work) {
    stream.push_back(std::move(work));
    put_off++;
}

static void run_until(uint64_t mark) {
    while (done < mark) {
        std::function<void()> work = std::move(stream.front());
        stream.pop_front();
        work();
        done++;
    }
}

static void check_range(Address address, size_t bytes) {
    auto after = allocations.upper_bound(address);
    if (after == allocations.begin()) {
        fail("an address that is no allocation's");
    }
    auto found = std::prev(after);
    if (address + bytes > found->first + found->second.bytes) {
        fail("a range that leaves its allocation");
    }
}

extern "C" {

Result cuInit(unsigned) {
    LOCKED;
    initialised = true;
    return settings["devices"] == 0 ? NO_DEVICE : SUCCESS;
}

Result cuDriverGetVersion(int *version) {
    LOCKED;
    *version = (int)settings["version"];
    return SUCCESS;
}

Result cuDeviceGetCount(int *count) {
    LOCKED;
    *count = (int)settings["devices"];
    return initialised ? SUCCESS : NOT_INITIALIZED;
}

Result cuDeviceGet(int *device, int ordinal) {
    LOCKED;
    *device = ordinal;
    return ordinal >= 0 && ordinal < (int)settings["devices"] ? SUCCESS : INVALID_DEVICE;
}

Result cuDeviceGetName(char *name, int bytes, int) {
    std::snprintf(name, bytes, "the host, as a CUDA device");
    return SUCCESS;
}

Result cuDeviceTotalMem_v2(size_t *bytes, int) {
    LOCKED;
    *bytes = settings["memory_bytes"];
    return SUCCESS;
}

Result cuDeviceGetAttribute(int *value, int attribute, int) {
    LOCKED;
    switch (attribute) {
    case 16: *value = 2; return SUCCESS;                                // multiprocessors
    case 75: *value = (int)settings["capability"] / 10; return SUCCESS; // compute capability, major
    case 76: *value = (int)settings["capability"] % 10; return SUCCESS; // minor
    case 97: *value = (int)settings["shared_bytes"]; return SUCCESS;    // shared memory of a block, if asked for
    default: return INVALID_VALUE;
    }
}

Result cuDevicePrimaryCtxRetain(void **context, int device) {
    LOCKED;
    UNLESS_LOST
    *context = reinterpret_cast<void *>((intptr_t)device + 1);
    return SUCCESS;
}

Result cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }

Result cuCtxSetCurrent(void *context) {
    entered = context != nullptr;
    return SUCCESS;
}

Result cuStreamCreate(void **created, unsigned) {
    *created = &stream;
    return entered ? SUCCESS : INVALID_CONTEXT;
}

Result cuStreamSynchronize(void *) {
    LOCKED;
    UNLESS_LOST
    run_until(put_off);
    return entered ? SUCCESS : INVALID_CONTEXT;
}

Result cuStreamDestroy_v2(void *) { return cuStreamSynchronize(nullptr); }

Result cuEventCreate(void **event, unsigned) {
    *event = new uint64_t(0);
    return SUCCESS;
}

Result cuEventRecord(void *event, void *) {
    LOCKED;
    *static_cast<uint64_t *>(event) = put_off;
    return SUCCESS;
}

Result cuEventSynchronize(void *event) {
    LOCKED;
    run_until(*static_cast<uint64_t *>(event));
    return SUCCESS;
}

Result cuEventDestroy_v2(void *event) {
    delete static_cast<uint64_t *>(event);
    return SUCCESS;
}

Result cuMemAlloc_v2(Address *address, size_t bytes) {
    LOCKED;
    UNLESS_LOST
    if (bytes == 0 || !entered) {
        return INVALID_VALUE;
    }
    if (used + bytes > settings["memory_bytes"]) {
        return OUT_OF_MEMORY;
    }
    size_t whole = (bytes + GUARD_BYTES + 255) / 256 * 256;
    void *memory = std::aligned_alloc(256, whole);
    // What is never written is no zero.
    std::memset(memory, 0xa5, whole);
    used += bytes;
    *address = (Address)(uintptr_t)memory;
    allocations[*address] = Allocation{bytes, memory};
    return SUCCESS;
}

// Waits for all work, as the driver does.
Result cuMemFree_v2(Address address) {
    LOCKED;
    UNLESS_LOST
    run_until(put_off);
    auto found = allocations.find(address);
    if (found == allocations.end()) {
        fail("memory is freed that is none, or twice");
    }
    const unsigned char *guard = static_cast<unsigned char *>(found->second.memory) + found->second.bytes;
    for (size_t i = 0; i < GUARD_BYTES; i++) {
        if (guard[i] != 0xa5) {
            fail("a kernel wrote past the end of an allocation");
        }
    }
    used -= found->second.bytes;
    std::free(found->second.memory);
    allocations.erase(found);
    return SUCCESS;
}

Result cuMemGetInfo_v2(size_t *free, size_t *total) {
    LOCKED;
    UNLESS_LOST
    *total = settings["memory_bytes"];
    *free = *total - used;
    return SUCCESS;
}

Result cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
    *memory = std::malloc(bytes);
    return entered ? SUCCESS : INVALID_CONTEXT;
}

Result cuMemFreeHost(void *memory) {
    LOCKED;
    if (!entered) {
        return INVALID_CONTEXT;
    }
    run_until(put_off);
    std::free(memory);
    return SUCCESS;
}

Result cuMemsetD8Async(Address address, unsigned char value, size_t bytes, void *) {
    LOCKED;
    UNLESS_LOST
    later([=] {
        check_range(address, bytes);
        std::memset(reinterpret_cast<void *>(address), value, bytes);
    });
    return SUCCESS;
}

Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, void *) {
    LOCKED;
    UNLESS_LOST
    later([=] {
        check_range(to, bytes);
        std::memcpy(reinterpret_cast<void *>(to), from, bytes);
    });
    return SUCCESS;
}

Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, void *) {
    LOCKED;
    UNLESS_LOST
    later([=] {
        check_range(from, bytes);
        std::memcpy(to, reinterpret_cast<void *>(from), bytes);
    });
    return SUCCESS;
}

Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void *) {
    LOCKED;
    UNLESS_LOST
    later([=] {
        check_range(from, bytes);
        check_range(to, bytes);
        std::memcpy(reinterpret_cast<void *>(to), reinterpret_cast<void *>(from), bytes);
    });
    return SUCCESS;
}

// An image is a line: the compiler's release as the driver counts them, the architecture, and the library.
Result cuModuleLoadData(void **module, const void *image) {
    LOCKED;
    UNLESS_LOST
    unsigned long long release = 0, architecture = 0;
    int read = 0;
    const char *text = static_cast<const char *>(image);
    if (std::sscanf(text, "host library %llu %llu %n", &release, &architecture, &read) < 2) {
        return INVALID_IMAGE;
    }
    uint64_t capability = settings["capability"];
    if (release > settings["version"] || architecture / 10 != capability / 10 || architecture > capability) {
        return release > settings["version"] ? INVALID_IMAGE : NO_BINARY;
    }
    std::string path(text + read, std::strcspn(text + read, "\n"));
    *module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    return *module == nullptr ? INVALID_IMAGE : SUCCESS;
}

} // extern "C"

struct Function {
    const void *kernel;
    unsigned threads;
    std::vector<size_t> argument_bytes;
    size_t shared_bytes;
    void (*launch)(const void *, unsigned, unsigned, unsigned, size_t, void *const *);
};

template <class F> static F find(void *module, const char *name) { return reinterpret_cast<F>(dlsym(module, name)); }

extern "C" {

Result cuModuleGetFunction(void **function, void *module, const char *name) {
    const void *kernel = find<const void *(*)(const char *)>(module, "host_kernel")(name);
    if (kernel == nullptr) {
        return NOT_FOUND;
    }
    Function *made = new Function();
    made->kernel = kernel;
    made->threads = find<unsigned (*)(const void *)>(module, "host_threads")(kernel);
    size_t count = find<size_t (*)(const void *)>(module, "host_argument_count")(kernel);
    auto bytes = find<size_t (*)(const void *, size_t)>(module, "host_argument_bytes");
    for (size_t i = 0; i < count; i++) {
        made->argument_bytes.push_back(bytes(kernel, i));
    }
    // What a kernel has without asking.
    made->shared_bytes = 48 << 10;
    made->launch = find<decltype(made->launch)>(module, "host_launch");
    *function = made;
    return SUCCESS;
}

Result cuFuncSetAttribute(void *function, int attribute, int value) {
    // The most dynamic shared memory.
    if (attribute != 8 || value < 0 || (uint64_t)value > settings["shared_bytes"]) {
        return INVALID_VALUE;
    }
    static_cast<Function *>(function)->shared_bytes = value;
    return SUCCESS;
}

Result cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                      unsigned block_y, unsigned block_z, unsigned shared_bytes, void *, void **arguments, void **) {
    LOCKED;
    const Function *called = static_cast<Function *>(function);
    UNLESS_LOST
    if (settings["launch_failure"] != 0) {
        lasting = (Result)settings["launch_failure"];
        return lasting;
    }
    if (block_x != called->threads || block_y != 1 || block_z != 1 || shared_bytes > called->shared_bytes ||
        grid_x == 0 || grid_y == 0 || grid_z == 0 || grid_y > 65535 || grid_z > 65535) {
        return INVALID_VALUE;
    }
    // Arguments are the caller's until this returns.
    struct alignas(16) Sixteen {
        unsigned char bytes[16];
    };
    std::vector<std::vector<Sixteen>> values;
    for (size_t i = 0; i < called->argument_bytes.size(); i++) {
        values.emplace_back(called->argument_bytes[i] / 16 + 1);
        std::memcpy(values.back().data(), arguments[i], called->argument_bytes[i]);
    }
    later([=]() mutable {
        std::vector<void *> places;
        for (auto &value : values) {
            places.push_back(value.data());
        }
        called->launch(called->kernel, grid_x, grid_y, grid_z, shared_bytes, places.data());
    });
    return SUCCESS;
}

Result cuGetErrorName(Result error, const char **name) {
    static thread_local char text[32];
    std::snprintf(text, sizeof text, "error %d", error);
    *name = text;
    return SUCCESS;
}

Result cuGetErrorString(Result error, const char **words) {
    switch (error) {
    case OUT_OF_MEMORY: *words = "out of memory"; break;
    case NO_DEVICE: *words = "no device"; break;
    case INVALID_IMAGE: *words = "invalid image"; break;
    case LAUNCH_FAILED: *words = "launch failed"; break;
    default: *words = "refused"; break;
    }
    return SUCCESS;
}

} // extern "C"
