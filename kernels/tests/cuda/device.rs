//! The process that plays the device.

use std::fmt::Write as _;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use zkml_gpu_kernels::cuda::{HOST, Module, SERVE, source};

/// A device in a process of its own.
pub(crate) struct Device {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// Arguments of a kernel, or the fields of a struct that is one.
#[derive(Clone, Default)]
pub(crate) struct Arguments {
    values: Vec<(Vec<u8>, usize)>,
}

impl Arguments {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn value(mut self, bytes: Vec<u8>, alignment: usize) -> Self {
        self.values.push((bytes, alignment));
        self
    }

    pub(crate) fn word(self, value: usize) -> Self {
        self.value((value as u32).to_le_bytes().to_vec(), 4)
    }

    pub(crate) fn words(self, values: &[u32]) -> Self {
        values.iter().fold(self, |arguments, value| arguments.word(*value as usize))
    }

    pub(crate) fn address(self, value: u64) -> Self {
        self.value(value.to_le_bytes().to_vec(), 8)
    }

    /// Elements, one after the other.
    pub(crate) fn elements(self, memory: Vec<u8>) -> Self {
        self.value(memory, 16)
    }

    pub(crate) fn structure(self, fields: Arguments) -> Self {
        let (bytes, alignment) = fields.laid_out();
        self.value(bytes, alignment)
    }

    /// The memory of a struct, as in C.
    pub(crate) fn laid_out(self) -> (Vec<u8>, usize) {
        let (mut bytes, mut largest) = (Vec::new(), 1);
        for (value, alignment) in self.values {
            bytes.resize(usize::next_multiple_of(bytes.len(), alignment), 0);
            bytes.extend(value);
            largest = largest.max(alignment);
        }
        bytes.resize(bytes.len().next_multiple_of(largest), 0);
        (bytes, largest)
    }
}

impl Device {
    pub(crate) fn new() -> Self {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        let program = PROGRAM.get_or_init(build);
        let mut command = Command::new(program);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program that was built");
        let input = BufWriter::new(child.stdin.take().unwrap());
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    fn send(&mut self, number: u64) {
        self.input.write_all(&number.to_le_bytes()).unwrap();
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        self.send(bytes.len() as u64);
        self.input.write_all(bytes).unwrap();
    }

    fn receive(&mut self) -> u64 {
        self.input.flush().unwrap();
        let mut bytes = [0; 8];
        self.output.read_exact(&mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// Memory that holds no zeros.
    pub(crate) fn allocate(&mut self, bytes: usize) -> u64 {
        self.send(1);
        self.send(bytes as u64);
        self.receive()
    }

    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) {
        self.send(3);
        self.send(address);
        self.send_bytes(bytes);
    }

    pub(crate) fn upload(&mut self, bytes: &[u8]) -> u64 {
        let address = self.allocate(bytes.len());
        self.write(address, bytes);
        address
    }

    pub(crate) fn zeros(&mut self, bytes: usize) -> u64 {
        self.upload(&vec![0; bytes])
    }

    pub(crate) fn read(&mut self, address: u64, bytes: usize) -> Vec<u8> {
        self.send(4);
        self.send(address);
        self.send(bytes as u64);
        self.input.flush().unwrap();
        let mut memory = vec![0; bytes];
        self.output.read_exact(&mut memory).unwrap();
        memory
    }

    /// Runs a kernel on a row of blocks.
    pub(crate) fn launch(&mut self, kernel: &str, blocks: usize, threads: usize, arguments: Arguments) {
        self.launch_grid(kernel, [blocks, 1], threads, 0, arguments);
    }

    pub(crate) fn launch_grid(
        &mut self,
        kernel: &str,
        grid: [usize; 2],
        threads: usize,
        shared: usize,
        arguments: Arguments,
    ) {
        self.send(5);
        self.send_bytes(kernel.as_bytes());
        for number in [grid[0], grid[1], 1, threads, shared, arguments.values.len()] {
            self.send(number as u64);
        }
        for (value, _) in arguments.values {
            self.send_bytes(&value);
        }
        assert_eq!(self.receive(), 1, "{kernel}: no such kernel, or other arguments or threads");
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // The tests are over or have failed: the process has nothing left to lose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Expressions of two elements or points a and b, as kernels of their own.
pub(crate) const EXPRESSIONS: &[(&str, &str, &str)] = &[
    ("test_add", "Element", "Field<F>::add(a, b)"),
    ("test_sub", "Element", "Field<F>::sub(a, b)"),
    ("test_mul", "Element", "Field<F>::mul(a, b)"),
    ("test_square", "Element", "Field<F>::square(a)"),
    ("test_twice", "Element", "Field<F>::twice(a)"),
    ("test_neg", "Element", "Field<F>::neg(a)"),
    ("test_inverse", "Element", "Field<F>::inverse(a)"),
    ("test_inverse_by_halving", "Element", "Field<F>::inverse_by_halving(a)"),
    ("test_canonical", "Element", "Field<F>::from_montgomery(a)"),
    ("test_montgomery", "Element", "Field<F>::to_montgomery(Field<F>::from_montgomery(a))"),
    // A factor of any 256 bits, and lazy values up to 4p.
    (
        "test_reduce",
        "Element",
        "Field<F>::mul(Field<F>::one(), add_words(add_words(a, Field<F>::doubled_modulus()), b))",
    ),
    ("test_lazy", "Element", "Field<F>::reduce(Field<F>::mul_lazy(a, add_words(add_words(b, b), add_words(b, b))))"),
    ("test_flags", "Element", "Element{{words_are_equal(a, b), words_are_zero(a), is_below(a, b), 0, 0, 0, 0, 0}}"),
    ("test_double", "Affine", "point_to_affine(point_double(point_from_affine(a)))"),
    ("test_mixed", "Affine", "point_to_affine(point_add_affine(point_from_affine(a), b))"),
    (
        "test_mixed_scaled",
        "Affine",
        "point_to_affine(point_add_affine(point_double(point_from_affine(a)), affine_signed(b, true)))",
    ),
    ("test_full", "Affine", "point_to_affine(point_add(point_from_affine(a), point_from_affine(b)))"),
    (
        "test_full_left",
        "Affine",
        "point_to_affine(point_add(point_double(point_from_affine(a)), point_from_affine(b)))",
    ),
    (
        "test_full_both",
        "Affine",
        "point_to_affine(point_add(point_double(point_from_affine(a)), point_double(point_from_affine(b))))",
    ),
];

/// Threads of the kernels of expressions.
pub(crate) const EXPRESSION_THREADS: usize = 64;

/// One kernel for each expression, and for each field where it is of elements.
fn expressions() -> String {
    let mut text = String::new();
    for (name, kind, expression) in EXPRESSIONS {
        let fields: &[&str] = if *kind == "Element" { &["Fr", "Fq"] } else { &["Fq"] };
        for field in fields {
            let expression = expression.replace("<F>", &format!("<{field}>"));
            writeln!(
                text,
                "KERNEL({EXPRESSION_THREADS}, {name}_{field}, u32 len, const {kind} *left, const {kind} *right, {kind} *out) {{
                    u32 i = blockIdx.x * {EXPRESSION_THREADS} + threadIdx.x;
                    if (i < len) {{ {kind} a = left[i]; {kind} b = right[i]; (void)b; out[i] = {expression}; }}
                }}"
            )
            .unwrap();
        }
    }
    text
}

/// The system's C++ compiler, for kernels.
pub(super) fn compiler() -> Command {
    let mut command = Command::new(std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned()));
    // Pragmas are for the device's compiler.
    command.args(["-std=c++17", "-Wno-unknown-pragmas"]);
    command
}

/// Builds the program, unless it is there already.
fn build() -> PathBuf {
    let text = [HOST, &source(Module::ALL), &expressions(), &super::quotient::kernels(), SERVE].concat();
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join(format!("cuda_host_{:016x}", hasher.finish()));
    // Tests may run in processes of their own: one builds, the others wait.
    let lock = File::create(folder.join("cuda_host.lock")).unwrap();
    lock.lock().unwrap();
    if program.exists() {
        return program;
    }
    let file = program.with_extension("cpp");
    std::fs::write(&file, text).unwrap();
    let built = program.with_extension("part");
    let mut command = compiler();
    let status = command.args(["-O2", "-Wall", "-Wextra", "-Werror"]).arg(&file).arg("-o").arg(&built).status();
    let compiler = command.get_program().display();
    let status =
        status.unwrap_or_else(|failed| panic!("the C++ compiler {compiler} did not start: {failed}\nhint: set CXX"));
    assert!(status.success(), "{compiler} does not take {}", file.display());
    std::fs::rename(&built, &program).unwrap();
    program
}
