// The functions of NVRTC that the CUDA back end calls: sources are compiled for the host, as libraries that the driver
// beside this file runs. The images of programs name them.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

enum { SUCCESS = 0, INVALID_OPTION = 5, COMPILATION = 6 };

struct Program {
    std::string source;
    std::string image;
    std::string log;
};

// What tests change, by name.
static std::map<std::string, uint64_t> settings = {{"release", 13000}, {"last_architecture", 120}, {"refuses", 0}};

static std::mutex lock;

static uint64_t setting(const char *name) {
    std::lock_guard<std::mutex> locked(lock);
    return settings[name];
}

extern "C" void host_configure(const char *name, uint64_t value) {
    std::lock_guard<std::mutex> locked(lock);
    settings[name] = value;
}

static std::vector<int> architectures() {
    std::vector<int> known;
    for (int architecture : {75, 80, 90, 100, 120}) {
        if (architecture <= (int)setting("last_architecture")) {
            known.push_back(architecture);
        }
    }
    return known;
}

static std::string read_file(const std::string &path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

extern "C" {

int nvrtcVersion(int *major, int *minor) {
    *major = (int)setting("release") / 1000;
    *minor = (int)setting("release") % 1000 / 10;
    return SUCCESS;
}

int nvrtcGetNumSupportedArchs(int *count) {
    *count = (int)architectures().size();
    return SUCCESS;
}

int nvrtcGetSupportedArchs(int *numbers) {
    for (int architecture : architectures()) {
        *numbers++ = architecture;
    }
    return SUCCESS;
}

int nvrtcCreateProgram(void **program, const char *source, const char *, int, const char *const *, const char *const *) {
    *program = new Program{source, "", ""};
    return SUCCESS;
}

int nvrtcDestroyProgram(void **program) {
    delete static_cast<Program *>(*program);
    return SUCCESS;
}

int nvrtcCompileProgram(void *made, int count, const char *const *options) {
    Program *program = static_cast<Program *>(made);
    static const char OPTION[] = "--gpu-architecture=sm_";
    std::string architecture;
    for (int i = 0; i < count; i++) {
        if (std::strncmp(options[i], OPTION, std::strlen(OPTION)) == 0) {
            architecture = options[i] + std::strlen(OPTION);
        }
    }
    if (architecture.empty()) {
        return INVALID_OPTION;
    }
    if (setting("refuses") != 0) {
        program->log = "refused as it was told to";
        return COMPILATION;
    }
    char name[64];
    std::snprintf(name, sizeof name, "/kernels_%016zx_%d", std::hash<std::string>()(program->source), (int)getpid());
    std::string folder = HOST_FOLDER;
    std::string path = folder + name;
    std::ofstream(path + ".cpp") << read_file(folder + "/shim.h") << program->source << read_file(folder + "/export.cpp");
    const char *compiler = std::getenv("CXX");
    std::string command = std::string(compiler == nullptr ? "c++" : compiler) +
                          " -std=c++17 -O2 -DHOST_WIDE_PRODUCTS -shared -fPIC -Wno-unknown-pragmas '" + path + ".cpp' -o '" + path + ".so' 2>'" +
                          path + ".log'";
    int status = std::system(command.c_str());
    program->log = read_file(path + ".log");
    program->image = "host library " + std::to_string(setting("release")) + " " + architecture + " " + path + ".so\n";
    return status == 0 ? SUCCESS : COMPILATION;
}

int nvrtcGetCUBINSize(void *program, size_t *bytes) {
    *bytes = static_cast<Program *>(program)->image.size() + 1;
    return SUCCESS;
}

int nvrtcGetCUBIN(void *program, char *image) {
    const std::string &text = static_cast<Program *>(program)->image;
    std::memcpy(image, text.c_str(), text.size() + 1);
    return SUCCESS;
}

int nvrtcGetProgramLogSize(void *program, size_t *bytes) {
    *bytes = static_cast<Program *>(program)->log.size() + 1;
    return SUCCESS;
}

int nvrtcGetProgramLog(void *program, char *log) {
    const std::string &text = static_cast<Program *>(program)->log;
    std::memcpy(log, text.c_str(), text.size() + 1);
    return SUCCESS;
}

const char *nvrtcGetErrorString(int) { return "refused"; }

} // extern "C"
