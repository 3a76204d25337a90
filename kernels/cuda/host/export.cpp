// How a driver calls the kernels of a library for the host.

extern "C" const void *host_kernel(const char *name) {
    auto found = kernels().find(name);
    return found == kernels().end() ? nullptr : &found->second;
}

extern "C" unsigned host_threads(const void *kernel) { return static_cast<const Kernel *>(kernel)->threads; }

extern "C" size_t host_argument_count(const void *kernel) {
    return static_cast<const Kernel *>(kernel)->argument_bytes.size();
}

extern "C" size_t host_argument_bytes(const void *kernel, size_t number) {
    return static_cast<const Kernel *>(kernel)->argument_bytes[number];
}

extern "C" void host_launch(const void *kernel, unsigned x, unsigned y, unsigned z, size_t shared_bytes,
                            void *const *arguments) {
    const Kernel *found = static_cast<const Kernel *>(kernel);
    dim3 grid;
    grid.x = x;
    grid.y = y;
    grid.z = z;
    run_grid(*found, grid, shared_bytes, arguments);
}
