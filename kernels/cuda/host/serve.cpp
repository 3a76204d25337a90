// A device in a process: reads commands from standard input and answers on standard output. Words are little-endian.
//
//   1 bytes                                           allocate: answers the address, a multiple of 256
//   2 address                                         free
//   3 address bytes ..                                write
//   4 address bytes                                   read: answers the bytes
//   5 name grid_x grid_y grid_z threads shared_bytes  launch, with the number of arguments and each of them: answers 1, or 0 where
//     arguments ..                                    there is no such kernel
//
// All numbers are of 64 bits; names and arguments are preceded by their lengths.

static std::string read_bytes(size_t count) {
    std::string bytes(count, '\0');
    if (count > 0 && std::fread(&bytes[0], 1, count, stdin) != count) {
        std::exit(2);
    }
    return bytes;
}

static uint64_t read_number() {
    uint64_t number;
    std::memcpy(&number, read_bytes(8).data(), 8);
    return number;
}

static void write_number(uint64_t number) { std::fwrite(&number, 8, 1, stdout); }

static void launch_command() {
    std::string name = read_bytes(read_number());
    dim3 grid;
    grid.x = read_number();
    grid.y = read_number();
    grid.z = read_number();
    unsigned threads = read_number();
    size_t shared_bytes = read_number();
    size_t count = read_number();
    std::vector<size_t> sizes;
    std::vector<std::vector<Sixteen>> values;
    std::vector<void *> arguments;
    for (size_t i = 0; i < count; i++) {
        std::string bytes = read_bytes(read_number());
        sizes.push_back(bytes.size());
        values.emplace_back(bytes.size() / 16 + 1);
        std::memcpy(values.back().data(), bytes.data(), bytes.size());
        arguments.push_back(values.back().data());
    }
    write_number(launch(name, grid, threads, shared_bytes, sizes, arguments.data()));
}

int main() {
    for (;;) {
        uint64_t command;
        if (std::fread(&command, 8, 1, stdin) != 1) {
            return 0;
        }
        if (command == 1) {
            size_t bytes = read_number();
            void *memory = aligned_alloc(256, (bytes / 256 + 1) * 256);
            // What is never written is no zero.
            std::memset(memory, 0xa5, (bytes / 256 + 1) * 256);
            write_number((uint64_t)(uintptr_t)memory);
        } else if (command == 2) {
            std::free((void *)(uintptr_t)read_number());
        } else if (command == 3) {
            void *to = (void *)(uintptr_t)read_number();
            std::string bytes = read_bytes(read_number());
            std::memcpy(to, bytes.data(), bytes.size());
        } else if (command == 4) {
            const void *from = (const void *)(uintptr_t)read_number();
            std::fwrite(from, 1, read_number(), stdout);
        } else if (command == 5) {
            launch_command();
        } else {
            return 2;
        }
        std::fflush(stdout);
    }
}
