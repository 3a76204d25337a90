//! `zkml-gpu doctor`: what of this machine proofs can use, and how to get what is missing.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zkml_gpu::engine::BackendError;
use zkml_gpu::engine::backend::{Any, Backend, Cpu, MemoryOps};
use zkml_gpu::engine::halo2curves::bn256::{Fr, G1Affine};
use zkml_gpu::{Device, ErrorClass, available_bytes, devices};

use crate::args::DoctorOptions;
use crate::report::{self, grouped};

/// What `--json` prints. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    back_ends: Vec<BackEnd>,
    processor: Processor,
    memory: Memory,
    cache: Cache,
}

/// A device of a back end, or a back end without any.
#[derive(Debug, Serialize)]
struct BackEnd {
    /// As `--backend` takes it.
    name: String,
    device: String,
    /// Whether it was opened and computed what the processor computes.
    usable: bool,
    /// What keeps it from being used, or why it is not used unless it is asked for.
    problem: Option<String>,
    /// Commands and steps that help, the likeliest first.
    remedies: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Processor {
    threads: usize,
    /// What proofs use: `AVX-512 IFMA`, `AVX2` or `portable`.
    instructions: &'static str,
    /// Whether that is more than what every processor has.
    vector_instructions: bool,
    /// What the fastest arithmetic, with AVX-512 IFMA, takes of the processor, and which of it is there.
    features: Vec<Feature>,
    /// Whether `ZKML_CPU=portable` takes the instructions away.
    held_to_portable: bool,
}

#[derive(Debug, Serialize)]
struct Feature {
    name: &'static str,
    present: bool,
}

#[derive(Debug, Serialize)]
struct Memory {
    /// What this process may use; null where the system does not tell.
    available_bytes: Option<u64>,
    /// What the machine has free; null where the system does not tell.
    free_bytes: Option<u64>,
    /// `free memory`, or `a container's limit` where that is less.
    limit: &'static str,
}

#[derive(Debug, Serialize)]
struct Cache {
    /// Null where the system has no folder for caches.
    folder: Option<PathBuf>,
    files: u64,
    bytes: u64,
}

pub(crate) fn doctor(options: &DoctorOptions) -> anyhow::Result<u8> {
    let system = System::here();
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        back_ends: devices().iter().map(|device| examine(device, &system)).collect(),
        processor: processor(),
        memory: memory(),
        cache: cache(),
    };
    if options.json {
        report::print_json(&report)?;
    } else {
        report::print(&text(&report))?;
    }
    let processor = report.back_ends.iter().any(|back_end| back_end.name == "cpu" && back_end.usable);
    Ok(if processor { 0 } else { ErrorClass::Unsupported.exit_code() })
}

/// Opens a device and lets it compute, but for software adapters, which nobody proves on.
fn examine(device: &Device, system: &System) -> BackEnd {
    let name = match device.index {
        Some(index) => format!("{}:{index}", device.backend),
        None => device.backend.to_owned(),
    };
    let mut problem = device.reason.clone();
    let mut usable = device.available;
    if let Some(choice) = device.choice().filter(|_| device.available && !device.software) {
        let tried = choice.open().map_err(|error| error.to_string());
        if let Err(failed) = tried.and_then(|opened| try_out(&opened).map_err(|error| error.to_string())) {
            (usable, problem) = (false, Some(failed));
        }
    }
    let remedies = if usable { Vec::new() } else { remedies(device.backend, problem.as_deref(), system) };
    BackEnd { name, device: device.name.clone(), usable, problem, remedies }
}

/// log2 of the rows that a device is tried on.
const TRIED_LOG_N: u32 = 8;

/// Whether a transform and a commitment are those of the portable processor, to the bit.
fn try_out(backend: &Any) -> Result<(), BackendError> {
    let here = computed(backend)?;
    let index = here.iter().zip(&computed(&Cpu::portable())?).position(|(left, right)| left != right);
    match index {
        None => Ok(()),
        Some(index) => {
            Err(BackendError::Divergence { operation: "doctor", left: backend.name(), right: "cpu".to_owned(), index })
        }
    }
}

/// The transform of some elements, and the coordinates of their commitment.
fn computed(backend: &impl Backend) -> Result<Vec<String>, BackendError> {
    // Full-size elements: small ones are computed in another way.
    let chain = std::iter::successors(Some(Fr::from(3)), |element| Some(element.square() * element - element));
    let elements: Vec<Fr> = chain.skip(TRIED_LOG_N as usize).take(1 << TRIED_LOG_N).collect();
    let points = vec![G1Affine::generator(); elements.len()];
    let column = backend.upload(&elements)?;
    let transformed = backend.ntt(&[&column])?;
    let committed = backend.msm(&backend.load_bases(&points, 0)?, &[&column])?;
    let mut told: Vec<String> = Vec::new();
    for vector in &transformed {
        told.extend(backend.download(vector)?.iter().map(|element| format!("{element:?}")));
    }
    told.extend(committed.iter().map(|point| format!("{point:?}")));
    Ok(told)
}

/// Who installs software on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packages {
    Apt,
    Dnf,
    Pacman,
    Zypper,
    Apk,
    /// A system that is no Linux, or one that says nothing of itself.
    Other,
}

impl Packages {
    /// By the system's own words in `os-release`: its name, and those that it is like.
    fn of(os_release: &str) -> Self {
        let words = |key: &str| {
            let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        let names = format!("{} {}", words("ID"), words("ID_LIKE"));
        let known = names.split_whitespace().find_map(|name| match name {
            "debian" | "ubuntu" => Some(Self::Apt),
            "fedora" | "rhel" | "centos" => Some(Self::Dnf),
            "arch" => Some(Self::Pacman),
            "suse" | "opensuse" | "opensuse-leap" | "opensuse-tumbleweed" | "sles" => Some(Self::Zypper),
            "alpine" => Some(Self::Apk),
            _ => None,
        });
        known.unwrap_or(Self::Other)
    }

    /// How Vulkan's loader and Mesa's drivers come, for GPUs of AMD and Intel.
    const fn vulkan(self) -> &'static str {
        match self {
            Self::Apt => "apt-get install libvulkan1 mesa-vulkan-drivers",
            Self::Dnf => "dnf install vulkan-loader mesa-vulkan-drivers",
            Self::Pacman => "pacman -S vulkan-icd-loader vulkan-radeon vulkan-intel",
            Self::Zypper => "zypper install libvulkan1 libvulkan_radeon libvulkan_intel",
            Self::Apk => "apk add vulkan-loader mesa-vulkan-ati mesa-vulkan-intel",
            Self::Other => "install Vulkan's loader and the Vulkan driver of your GPU",
        }
    }

    /// How NVIDIA's driver comes.
    const fn nvidia(self) -> &'static str {
        match self {
            Self::Apt => "apt-get install nvidia-driver (Debian, from non-free), ubuntu-drivers install (Ubuntu)",
            Self::Dnf => "dnf install akmod-nvidia xorg-x11-drv-nvidia-cuda (from RPM Fusion)",
            Self::Pacman => "pacman -S nvidia nvidia-utils",
            Self::Zypper => "zypper install-new-recommends --repo NVIDIA (after adding NVIDIA's repository)",
            Self::Apk | Self::Other => {
                "install NVIDIA's driver, release 525 or newer, from https://www.nvidia.com/drivers"
            }
        }
    }
}

/// What decides which remedy helps.
#[derive(Clone, Copy, Debug)]
struct System {
    packages: Packages,
    /// Whether there is a graphics device of NVIDIA's, and of others; `None` where the system does not tell.
    nvidia: Option<bool>,
    others: Option<bool>,
}

/// NVIDIA's number among makers of PCI devices.
const NVIDIA: &str = "0x10de";
/// Display controllers are the PCI class 0x03.
const DISPLAY: &str = "0x03";
/// Makers of GPUs that Mesa has Vulkan drivers for: AMD and Intel. A virtual machine's display is no GPU.
const MESA: [&str; 2] = ["0x1002", "0x8086"];

impl System {
    fn here() -> Self {
        let packages = Packages::of(&fs::read_to_string("/etc/os-release").unwrap_or_default());
        let makers = makers(Path::new("/sys/bus/pci/devices"));
        let any =
            |wanted: &[&str]| makers.as_ref().map(|makers| makers.iter().any(|maker| wanted.contains(&maker.as_str())));
        Self { packages, nvidia: any(&[NVIDIA]), others: any(&MESA) }
    }
}

/// The makers of this machine's display controllers; `None` where the system does not tell.
fn makers(folder: &Path) -> Option<Vec<String>> {
    let word = |device: &Path, file: &str| Some(fs::read_to_string(device.join(file)).ok()?.trim().to_owned());
    let devices = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let displays = devices.filter(|device| word(device, "class").is_some_and(|class| class.starts_with(DISPLAY)));
    Some(displays.filter_map(|device| word(&device, "vendor")).collect())
}

/// What helps against what keeps a back end from being used, by the words of its problem.
fn remedies(backend: &str, problem: Option<&str>, system: &System) -> Vec<String> {
    let problem = problem.unwrap_or_default();
    if problem.contains("this build is without it") {
        return vec![format!("cargo build --release -p zkml-gpu-cli --features {backend}")];
    }
    let packages = system.packages;
    match backend {
        "cuda" if problem.contains("run-time compiler") => vec![
            "pip install nvidia-cuda-nvrtc-cu12, and ZKML_CUDA_LIB_DIR=…/site-packages/nvidia/cuda_nvrtc/lib"
                .to_owned(),
            "or the CUDA toolkit: https://developer.nvidia.com/cuda-downloads".to_owned(),
            "or, without either: zkml-gpu compile-kernels on a machine that has one".to_owned(),
        ],
        "cuda" if system.nvidia == Some(false) => vec!["nothing to do: this machine has no NVIDIA GPU".to_owned()],
        "cuda" => vec![packages.nvidia().to_owned()],
        "wgpu" if system.nvidia == Some(false) && system.others == Some(false) => {
            let software = match packages {
                Packages::Apt => "; for tests, a software one: apt-get install libvulkan1 mesa-vulkan-drivers",
                _ => "",
            };
            vec![format!("nothing to do: this machine has no GPU{software}")]
        }
        "wgpu" if system.nvidia == Some(true) => vec![packages.nvidia().to_owned(), packages.vulkan().to_owned()],
        "wgpu" => vec![packages.vulkan().to_owned()],
        "icicle" => vec![
            "only to compare with it: scripts/peers/open-icicle.sh builds ICICLE 3 or 4 from a checkout, \
             and tells what to name in ZKML_ICICLE_LIB_DIR"
                .to_owned(),
        ],
        "cpu" => vec!["please report this: the processor computes something else than its portable code".to_owned()],
        _ => Vec::new(),
    }
}

fn processor() -> Processor {
    let instructions = Cpu::new().instructions();
    Processor {
        threads: rayon::current_num_threads(),
        instructions,
        vector_instructions: instructions != Cpu::portable().instructions(),
        features: features(),
        held_to_portable: std::env::var_os("ZKML_CPU").is_some_and(|value| value == "portable"),
    }
}

/// What the fast arithmetic takes.
#[cfg(target_arch = "x86_64")]
fn features() -> Vec<Feature> {
    macro_rules! detected {
        ($($name:tt),*) => {
            vec![$(Feature { name: $name, present: std::arch::is_x86_feature_detected!($name) }),*]
        };
    }
    detected!("avx512f", "avx512dq", "avx512vl", "avx512bw", "avx512ifma", "avx512vbmi2", "bmi2", "adx")
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<Feature> {
    Vec::new()
}

fn memory() -> Memory {
    let available_bytes = available_bytes();
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"));
    let free_bytes = line.and_then(|number| number.parse::<u64>().ok()?.checked_mul(1024));
    let limit = match (available_bytes, free_bytes) {
        (Some(available), Some(free)) if available < free => "a container's limit",
        _ => "free memory",
    };
    Memory { available_bytes, free_bytes, limit }
}

fn cache() -> Cache {
    let folder = dirs::cache_dir().map(|folder| folder.join("zkml-gpu"));
    let [files, bytes] = folder.as_deref().map_or([0; 2], contents);
    Cache { folder, files, bytes }
}

/// Files of a folder and of those below, and their bytes. Links are not followed.
fn contents(folder: &Path) -> [u64; 2] {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.fold([0; 2], |[files, bytes], entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            let [more_files, more_bytes] = contents(&entry.path());
            [files + more_files, bytes + more_bytes]
        }
        Ok(metadata) if metadata.is_file() => [files + 1, bytes + metadata.len()],
        _ => [files, bytes],
    })
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for back_end in &report.back_ends {
        let state = if back_end.usable { "usable" } else { "not usable" };
        let device = Some(back_end.device.as_str()).filter(|device| !device.is_empty());
        let words: Vec<&str> = [state].into_iter().chain(device).collect();
        text += &format!("{:<12} {}\n", back_end.name, report::terminal_safe(&words.join(": ")));
        let problem = back_end.problem.iter().flat_map(|problem| problem.lines());
        problem.for_each(|line| text += &format!("             {}\n", report::terminal_safe(line)));
        back_end.remedies.iter().for_each(|remedy| text += &format!("             -> {remedy}\n"));
    }
    let Processor { threads, instructions, vector_instructions: _, features, held_to_portable: _ } = &report.processor;
    let missing: Vec<&str> = features.iter().filter(|feature| !feature.present).map(|feature| feature.name).collect();
    let chosen = std::env::var("ZKML_CPU").ok().filter(|value| !value.is_empty());
    let instructions = match chosen {
        Some(value) => format!("{instructions}, because ZKML_CPU={}", report::terminal_safe(&value)),
        None if missing.is_empty() => (*instructions).to_owned(),
        None => format!("{instructions}: AVX-512 IFMA would take {}", missing.join(", ")),
    };
    let megabytes = |bytes: u64| grouped(bytes / 1_000_000);
    let memory = match report.memory.available_bytes {
        Some(bytes) => format!("{} MB may be used: {}", megabytes(bytes), report.memory.limit),
        None => "the system does not tell".to_owned(),
    };
    let cache = match &report.cache {
        Cache { folder: Some(folder), files, bytes } => {
            let folder = report::terminal_safe(&folder.display().to_string());
            format!("{folder}: {} files, {} kB", grouped(*files), grouped(bytes / 1_000))
        }
        Cache { folder: None, .. } => "the system has no folder for caches".to_owned(),
    };
    let lines = [("threads", threads.to_string()), ("arithmetic", instructions), ("memory", memory), ("cache", cache)];
    text.extend(lines.iter().map(|(label, line)| format!("{label:<12} {line}\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: System = System { packages: Packages::Apt, nvidia: Some(true), others: Some(false) };

    #[test]
    fn systems_are_known_by_their_name_or_by_what_they_are_like() {
        for (os_release, packages) in [
            ("NAME=\"Debian GNU/Linux\"\nID=debian\n", Packages::Apt),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Packages::Apt),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Packages::Dnf),
            ("ID=manjaro\nID_LIKE=arch\n", Packages::Pacman),
            ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", Packages::Zypper),
            ("ID=alpine\n", Packages::Apk),
            ("ID=nixos\nVARIANT_ID=debian\n", Packages::Other),
            ("", Packages::Other),
        ] {
            assert_eq!(Packages::of(os_release), packages, "{os_release}");
        }
    }

    #[test]
    fn what_helps_follows_from_what_is_missing() {
        let helps = |backend, problem, system: &System| remedies(backend, Some(problem), system).join("\n");
        let no_driver = "there is no NVIDIA driver (libcuda)";
        assert!(helps("cuda", no_driver, &KNOWN).contains("nvidia-driver"));
        assert!(helps("cuda", "there is no run-time compiler", &KNOWN).contains("nvidia-cuda-nvrtc-cu12"));
        let none = System { nvidia: Some(false), ..KNOWN };
        assert!(helps("cuda", no_driver, &none).contains("no NVIDIA GPU"));
        assert!(helps("wgpu", "no Vulkan", &none).contains("no GPU"));
        let mesa = System { others: Some(true), ..none };
        assert_eq!(helps("wgpu", "no Vulkan", &mesa), "apt-get install libvulkan1 mesa-vulkan-drivers");
        let unknown = System { packages: Packages::Other, nvidia: None, others: None };
        assert!(helps("wgpu", "no Vulkan", &unknown).contains("Vulkan driver of your GPU"));
        assert!(helps("cuda", "this build is without it: build with", &KNOWN).contains("--features cuda"));
        assert!(helps("icicle", "not found", &KNOWN).contains("ZKML_ICICLE_LIB_DIR"));
    }

    #[test]
    fn makers_of_displays_are_told_apart_from_other_devices() {
        let folder = tempfile::tempdir().expect("temporary folder");
        for (name, class, vendor) in [("a", "0x030000\n", "0x10de\n"), ("b", "0x020000\n", "0x8086\n")] {
            let device = folder.path().join(name);
            fs::create_dir(&device).expect("folder");
            fs::write(device.join("class"), class).expect("write");
            fs::write(device.join("vendor"), vendor).expect("write");
        }
        assert_eq!(makers(folder.path()), Some(vec![NVIDIA.to_owned()]));
        assert_eq!(makers(&folder.path().join("absent")), None);
    }

    #[test]
    fn folders_are_measured_with_those_below_and_absent_ones_are_empty() {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(folder.path().join("below")).expect("folder");
        fs::write(folder.path().join("below/a"), [0; 10]).expect("write");
        fs::write(folder.path().join("b"), [0; 5]).expect("write");
        assert_eq!(contents(folder.path()), [2, 15]);
        assert_eq!(contents(&folder.path().join("absent")), [0, 0]);
    }

    #[test]
    fn a_processor_that_computes_something_else_is_found_out() {
        assert!(try_out(&Any::new(Cpu::new())).is_ok());
        let right = computed(&Cpu::new()).expect("the processor computes");
        assert_eq!(right.len(), (1 << TRIED_LOG_N) + 1, "all elements, and a point");
        let distinct: std::collections::BTreeSet<&String> = right.iter().collect();
        assert_eq!(distinct.len(), right.len(), "a device that answers zeros would differ");
    }
}
