// ICICLE's interface over host memory, slow and strict, to follow the exact arithmetic of kernels/cuda. Compiled three times, for the three
// libraries: STUB_DEVICE, STUB_FIELD, STUB_CURVE. Structs are written as in ICICLE's headers, so that this compiler lays them out.
//
// Devices of a number misbehave: see `enum`.

#include <mutex>
#include <unistd.h>

enum { SUCCESS, INVALID_DEVICE, OUT_OF_MEMORY, INVALID_POINTER, COPY_FAILED = 6, INVALID_ARGUMENT = 11, LICENSE_CHECK_ERROR = 13 };

enum {
    UNLICENSED = 90,    // cannot be selected
    FULL = 91,          // has no memory for sums
    SMALL = 92,         // has a mebibyte
    UNORDERED = 93,     // transforms to another order
    UNREDUCED = 94,     // gives numbers from the modulus on
    OFF_THE_CURVE = 95, // gives no points
    UNCOPYABLE = 96,    // copies nothing, and has memory for one vector
};

struct Device {
    char type[64];
    int id;
};

// The calling thread's device, null where it has none. ICICLE would take the first that was registered.
extern "C" const Device *stub_device();
// Whether these bytes are in that device's memory.
extern "C" bool stub_is_resident(const void *address, size_t bytes);

#ifdef STUB_DEVICE

static thread_local Device active;
static thread_local bool is_active = false;
static std::mutex lock;
static std::map<char *, std::pair<size_t, int>> allocations;
static std::string types = "CPU";

extern "C" const Device *stub_device() { return is_active ? &active : nullptr; }

extern "C" bool stub_is_resident(const void *address, size_t bytes) {
    std::lock_guard<std::mutex> guard(lock);
    for (auto &[first, allocation] : allocations) {
        const char *begin = static_cast<const char *>(address);
        if (first <= begin && begin + bytes <= first + allocation.first && allocation.second == active.id) {
            return true;
        }
    }
    return false;
}

extern "C" int icicle_load_backend_from_env_or_default() {
    const char *folder = getenv("ICICLE_BACKEND_INSTALL_DIR");
    if (folder == nullptr || access(folder, R_OK) != 0) {
        return 12;
    }
    types += ",CUDA";
    return SUCCESS;
}

extern "C" int icicle_get_registered_devices(char *output, size_t bytes) {
    if (types.size() + 1 > bytes) {
        return OUT_OF_MEMORY;
    }
    strncpy(output, types.c_str(), bytes);
    return SUCCESS;
}

extern "C" int icicle_is_device_available(const Device &device) {
    return ("," + types + ",").find("," + std::string(device.type) + ",") != std::string::npos ? SUCCESS : INVALID_DEVICE;
}

extern "C" int icicle_set_device(const Device &device) {
    if (icicle_is_device_available(device) != SUCCESS) {
        abort(); // ICICLE throws.
    }
    if (device.id == UNLICENSED) {
        return LICENSE_CHECK_ERROR;
    }
    active = device;
    is_active = true;
    return SUCCESS;
}

extern "C" int icicle_malloc(void **address, size_t bytes) {
    std::lock_guard<std::mutex> guard(lock);
    if (!is_active) {
        return INVALID_DEVICE;
    }
    bool is_used = false;
    for (auto &[first, allocation] : allocations) {
        is_used |= allocation.second == active.id;
    }
    if ((active.id == SMALL && bytes > 1 << 20) || (active.id == UNCOPYABLE && is_used)) {
        return OUT_OF_MEMORY;
    }
    char *first = static_cast<char *>(malloc(bytes));
    allocations[first] = {bytes, active.id};
    *address = first;
    return SUCCESS;
}

extern "C" int icicle_free(void *address) {
    std::lock_guard<std::mutex> guard(lock);
    auto found = allocations.find(static_cast<char *>(address));
    if (!is_active || found == allocations.end() || found->second.second != active.id) {
        return INVALID_POINTER;
    }
    free(address);
    allocations.erase(found);
    return SUCCESS;
}

extern "C" int icicle_copy_to_device(void *target, const void *source, size_t bytes) {
    if (!is_active || !stub_is_resident(target, bytes)) {
        return INVALID_POINTER;
    }
    if (active.id == UNCOPYABLE) {
        return COPY_FAILED;
    }
    memcpy(target, source, bytes);
    return SUCCESS;
}

#endif

// An element in memory, at a multiple of 4 bytes.
struct Words {
    uint32_t limbs[8];
};

static inline Element load(const Words &words) {
    Element element;
    memcpy(element.limbs, words.limbs, sizeof words);
    return element;
}

static inline Words store(Element element) {
    Words words;
    memcpy(words.limbs, element.limbs, sizeof words);
    return words;
}

#ifdef STUB_FIELD

enum class NTTDir { kForward, kInverse };
enum class Ordering { kNN, kNR, kRN, kRR, kNM, kMN };

struct NTTConfig {
    void *stream;
    Words coset_gen;
    int batch_size;
    bool columns_batch;
    Ordering ordering;
    bool are_inputs_on_device;
    bool are_outputs_on_device;
    bool is_async;
    void *ext;
};

struct NTTInitDomainConfig {
    void *stream;
    bool is_async;
    void *ext;
};

// Powers of the root in Montgomery form, by device; the last is one again.
static std::map<std::string, std::vector<Element>> domains;

static std::vector<Element> &domain() {
    const Device *device = stub_device();
    return domains[device->type + std::to_string(device->id)];
}

extern "C" int bn254_ntt_init_domain(const Words *root, const NTTInitDomainConfig *config) {
    if (stub_device() == nullptr || config->stream != nullptr || config->is_async || config->ext != nullptr) {
        return INVALID_ARGUMENT;
    }
    if (!domain().empty()) {
        return SUCCESS;
    }
    Element omega = fr_to_montgomery(load(*root));
    size_t order = 1;
    for (Element power = omega; !words_are_equal(power, fr_one()); power = fr_square(power)) {
        if (order == size_t(1) << 28) {
            return INVALID_ARGUMENT;
        }
        order *= 2;
    }
    std::vector<Element> powers = {fr_one()};
    for (size_t i = 0; i < order; i++) {
        powers.push_back(fr_mul(powers.back(), omega));
    }
    domain() = powers;
    return SUCCESS;
}

extern "C" int bn254_ntt_release_domain() {
    if (stub_device() == nullptr) {
        return INVALID_DEVICE;
    }
    domain().clear();
    return SUCCESS;
}

// values_i *= factor^i
static void scale_by_powers(std::vector<Element> &values, Element factor) {
    Element power = fr_one();
    for (Element &value : values) {
        value = fr_mul(value, power);
        power = fr_mul(power, factor);
    }
}

static void reverse_bits(std::vector<Element> &values) {
    for (size_t i = 0, j = 0; i < values.size(); i++) {
        if (i < j) {
            std::swap(values[i], values[j]);
        }
        size_t bit = values.size() / 2;
        for (; bit > 0 && (j & bit) != 0; bit /= 2) {
            j ^= bit;
        }
        j |= bit;
    }
}

extern "C" int bn254_ntt(const Words *input, int size, NTTDir dir, const NTTConfig *config, Words *output) {
    if (stub_device() == nullptr || size < 2 || (size & (size - 1)) != 0 || size_t(size) >= domain().size() ||
        config->stream != nullptr || config->batch_size != 1 || config->columns_batch || config->ordering != Ordering::kNN ||
        config->are_inputs_on_device || config->are_outputs_on_device || config->is_async || config->ext != nullptr) {
        return INVALID_ARGUMENT;
    }
    const std::vector<Element> &powers = domain();
    size_t order = powers.size() - 1;
    bool is_inverse = dir == NTTDir::kInverse;
    Element coset = fr_to_montgomery(load(config->coset_gen));
    std::vector<Element> values;
    for (int i = 0; i < size; i++) {
        values.push_back(load(input[i]));
    }
    if (!is_inverse) {
        scale_by_powers(values, coset);
    }
    if (stub_device()->id != UNORDERED) {
        reverse_bits(values);
    }
    for (size_t half = 1; half < values.size(); half *= 2) {
        for (size_t first = 0; first < values.size(); first += 2 * half) {
            for (size_t i = 0; i < half; i++) {
                size_t power = order / (2 * half) * i;
                Element turned = fr_mul(values[first + half + i], powers[is_inverse ? order - power : power]);
                values[first + half + i] = fr_sub(values[first + i], turned);
                values[first + i] = fr_add(values[first + i], turned);
            }
        }
    }
    if (is_inverse) {
        Element scale = fr_inverse(fr_to_montgomery(Element{{u32(size), 0, 0, 0, 0, 0, 0, 0}}));
        for (Element &value : values) {
            value = fr_mul(value, scale);
        }
        scale_by_powers(values, fr_inverse(coset));
    }
    for (int i = 0; i < size; i++) {
        bool is_lazy = stub_device()->id == UNREDUCED && i == size - 1;
        output[i] = store(is_lazy ? add_words(values[i], Field<Fr>::modulus()) : values[i]);
    }
    return SUCCESS;
}

#endif

#ifdef STUB_CURVE

struct MSMConfig {
    void *stream;
    int precompute_factor;
    int c;
    int bitsize;
    int batch_size;
    bool are_points_shared_in_batch;
    bool are_scalars_on_device;
    bool are_scalars_montgomery_form;
    bool are_points_on_device;
    bool are_points_montgomery_form;
    bool are_results_on_device;
    bool is_async;
    void *ext;
};

struct affine_t {
    Words x, y;
};

struct projective_t {
    Words x, y, z;
};

// Known to the back end as version 4's.
extern "C" bool bn254_projective_eq(const projective_t *, const projective_t *) { return false; }

// The low bits of a scalar, canonical; all for 0.
static Element integer(const Words &scalar, const MSMConfig &config) {
    Element value = load(scalar);
    if (config.are_scalars_montgomery_form) {
        value = fr_from_montgomery(value);
    }
    for (int bit = config.bitsize; bit > 0 && bit < 256; bit++) {
        value.limbs[bit / 32] &= ~(1u << bit % 32);
    }
    return value;
}

static Affine point(const affine_t &stored, const MSMConfig &config) {
    Affine point = {load(stored.x), load(stored.y)};
    if (!config.are_points_montgomery_form) {
        point = {Field<Fq>::to_montgomery(point.x), Field<Fq>::to_montgomery(point.y)};
    }
    return point;
}

static projective_t homogeneous(Point point) {
    if (point_is_identity(point)) {
        return {store(fq_zero()), store(Field<Fq>::from_montgomery(fq_one())), store(fq_zero())};
    }
    auto canonical = [](Element a, Element b) { return store(Field<Fq>::from_montgomery(fq_mul(a, b))); };
    return {canonical(point.x, point.zzz), canonical(point.y, point.zz), canonical(point.zz, point.zzz)};
}

extern "C" int bn254_msm(const Words *scalars, const affine_t *points, int msm_size, const MSMConfig *config, projective_t *results) {
    if (stub_device() == nullptr || msm_size < 1 || config->stream != nullptr || config->precompute_factor != 1 || config->c != 0 ||
        config->bitsize < 0 || config->bitsize > 254 || config->batch_size != 1 || config->are_scalars_on_device ||
        config->are_results_on_device || config->is_async || config->ext != nullptr) {
        return INVALID_ARGUMENT;
    }
    if (stub_is_resident(points, sizeof(affine_t) * msm_size) != config->are_points_on_device) {
        return INVALID_POINTER;
    }
    if (stub_device()->id == FULL) {
        return OUT_OF_MEMORY;
    }
    std::vector<Element> integers;
    for (int i = 0; i < msm_size; i++) {
        integers.push_back(integer(scalars[i], *config));
    }
    Point sum = point_identity();
    for (int window = 31; window >= 0; window--) {
        for (int i = 0; i < 8; i++) {
            sum = point_double(sum);
        }
        std::vector<Point> buckets(256, point_identity());
        for (int i = 0; i < msm_size; i++) {
            unsigned digit = integers[i].limbs[window / 4] >> window % 4 * 8 & 255;
            if (digit != 0) {
                buckets[digit] = point_add_affine(buckets[digit], point(points[i], *config));
            }
        }
        Point running = point_identity();
        for (int digit = 255; digit > 0; digit--) {
            running = point_add(running, buckets[digit]);
            sum = point_add(sum, running);
        }
    }
    *results = homogeneous(sum);
    if (stub_device()->id == OFF_THE_CURVE) {
        results->x.limbs[0] ^= 1;
    }
    return SUCCESS;
}

#endif
