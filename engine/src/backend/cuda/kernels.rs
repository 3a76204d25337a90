//! Kernels, compiled when they are first needed, and their arguments.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytemuck::{Pod, Zeroable};
use halo2curves::bn256::Fr;
use zkml_gpu_kernels::cuda::{Module, source};

use super::compiler::Compiler;
use super::device::Device;
use super::driver::{Address, Code, Function};
use super::libraries::mismatch;
use crate::backend::{Result, ScalarWords};

/// A kernel of the kernels crate's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kernel {
    pub(super) module: Module,
    pub(super) name: &'static str,
    /// Threads of a block, as the kernel is declared.
    pub(super) threads: u32,
}

impl Kernel {
    pub(super) const fn new(module: Module, name: &'static str, threads: u32) -> Self {
        Self { module, name, threads }
    }
}

/// What is compiled so far.
#[derive(Debug, Default)]
pub(super) struct Kernels {
    files: Mutex<HashMap<Module, Code>>,
    found: Mutex<HashMap<Kernel, Function>>,
    /// Kernels that are no files, by their source.
    generated: Mutex<HashMap<String, Function>>,
}

/// The files that kernels are taken from.
pub(super) const FILES: &[Module] = &[
    Module::Elementwise,
    Module::Scan,
    Module::Divide,
    Module::Invert,
    Module::Evaluation,
    Module::Sort,
    Module::Lookup,
    Module::Ntt,
    Module::Quotient,
    Module::Fold,
    Module::Msm,
    Module::Throughput,
];

/// Compiles all kernels for devices of this compute capability into a folder, for a device whose machine has no
/// run-time compiler: see [`Options::cache`](super::Options::cache). Needs no device and no driver.
///
/// # Errors
/// In words, why there is no compiler or what it said.
pub fn compile_all(capability: (i32, i32), folder: &Path) -> std::result::Result<(), String> {
    let compiler = Compiler::new(capability, Some(folder.to_owned()));
    FILES.iter().try_for_each(|file| compiler.code(&source(&[*file]), false).map(drop))
}

/// Blocks along the second axis of a grid at most.
pub(super) const GRID_ROWS: usize = 65_535;

impl Device {
    /// The kernel, with leave to take all shared memory that its launches ask for.
    fn function(&self, operation: &'static str, kernel: &Kernel, shared_bytes: usize) -> Result<Function> {
        let mut found = self.kernels.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(function) = found.get(kernel) {
            return Ok(*function);
        }
        let mut files = self.kernels.files.lock().unwrap_or_else(PoisonError::into_inner);
        let code = match files.entry(kernel.module) {
            Entry::Occupied(kept) => kept.into_mut(),
            Entry::Vacant(place) => place.insert(self.load(operation, &source(&[kernel.module]))?),
        };
        let most = if shared_bytes > 0 { self.properties.shared_bytes } else { 0 };
        let function = self.attempt(operation, |context| context.function(code, kernel.name, most))?;
        found.insert(*kernel, function);
        Ok(function)
    }

    /// The kernel of a source that is no file, compiled once for each source.
    pub(super) fn generated(&self, operation: &'static str, source: &str, name: &str) -> Result<Function> {
        if let Some(function) = self.found(source) {
            return Ok(function);
        }
        let code = self.load(operation, source)?;
        self.keep(operation, source, name, &code)
    }

    /// The same, where it was compiled before: by this process, or whoever has the same cache.
    pub(super) fn kept(&self, operation: &'static str, source: &str, name: &str) -> Result<Option<Function>> {
        if let Some(function) = self.found(source) {
            return Ok(Some(function));
        }
        let Some(code) = self.load_kept(operation, source)?.0 else { return Ok(None) };
        self.keep(operation, source, name, &code).map(Some)
    }

    /// The kernel of a source that somebody else compiled.
    pub(super) fn install(&self, operation: &'static str, source: &str, name: &str, image: &[u8]) -> Result<Function> {
        let code = self.load_image(operation, image)?;
        self.keep(operation, source, name, &code)
    }

    fn found(&self, source: &str) -> Option<Function> {
        self.kernels.generated.lock().unwrap_or_else(PoisonError::into_inner).get(source).copied()
    }

    fn keep(&self, operation: &'static str, source: &str, name: &str, code: &Code) -> Result<Function> {
        let function = self.attempt(operation, |context| context.function(code, name, 0))?;
        self.kernels.generated.lock().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), function);
        Ok(function)
    }

    /// The code of a source. What the cache has and the driver refuses is compiled anew.
    fn load(&self, operation: &'static str, source: &str) -> Result<Code> {
        let (kept, refused) = self.load_kept(operation, source)?;
        if let Some(code) = kept {
            return Ok(code);
        }
        let image = self.compiler.code(source, refused).map_err(|message| match refused {
            true => self.error(operation, mismatch()),
            false => self.error(operation, message),
        })?;
        self.load_image(operation, &image)
    }

    /// The code of a source that the cache has and the driver takes; and whether there was some that it refused.
    fn load_kept(&self, operation: &'static str, source: &str) -> Result<(Option<Code>, bool)> {
        let mut refused = false;
        for image in self.compiler.kept(source) {
            match self.context.load(&image) {
                Err(failed) if failed.is_refused_code() => refused = true,
                loaded => return Ok((Some(self.attempt(operation, |_| loaded)?), refused)),
            }
        }
        Ok((None, refused))
    }

    fn load_image(&self, operation: &'static str, image: &[u8]) -> Result<Code> {
        match self.context.load(image) {
            Err(failed) if failed.is_refused_code() => Err(self.error(operation, mismatch())),
            loaded => self.attempt(operation, |_| loaded),
        }
    }

    /// Starts a kernel for an operation. A grid without blocks is nothing to do.
    pub(super) fn launch(
        &self,
        operation: &'static str,
        kernel: &Kernel,
        grid: [usize; 2],
        arguments: Arguments,
    ) -> Result<()> {
        self.launch_shared(operation, kernel, grid, 0, arguments)
    }

    /// As [`launch`](Self::launch), with dynamic shared memory.
    pub(super) fn launch_shared(
        &self,
        operation: &'static str,
        kernel: &Kernel,
        grid: [usize; 2],
        shared_bytes: usize,
        arguments: Arguments,
    ) -> Result<()> {
        let function = self.function(operation, kernel, shared_bytes)?;
        self.start(operation, function, grid, kernel.threads, shared_bytes, arguments)
    }

    /// Starts a kernel that was generated.
    pub(super) fn start(
        &self,
        operation: &'static str,
        function: Function,
        grid: [usize; 2],
        threads: u32,
        shared_bytes: usize,
        mut arguments: Arguments,
    ) -> Result<()> {
        if grid.contains(&0) {
            return Ok(());
        }
        let blocks = grid.map(|blocks| u32::try_from(blocks).unwrap_or(u32::MAX));
        self.counters.add(|counters| *counters.dispatches.entry(operation).or_default() += 1);
        let mut places = arguments.places();
        self.attempt(operation, |context| context.launch(function, blocks, threads, shared_bytes, &mut places))
    }
}

/// The arguments of a kernel, in its order.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// Their bytes, each argument at a multiple of 16: the largest alignment of any.
    memory: Vec<Sixteen>,
    starts: Vec<usize>,
}

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(16))]
struct Sixteen([u8; 16]);

impl Arguments {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A structure, laid out as in C.
    pub(super) fn value<T: Pod>(mut self, value: &T) -> Self {
        let start = self.memory.len();
        self.starts.push(start);
        self.memory.resize(start + size_of::<T>().div_ceil(16), Sixteen::zeroed());
        let memory: &mut [u8] = bytemuck::cast_slice_mut(&mut self.memory[start..]);
        memory[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(value));
        self
    }

    /// A `u32`.
    pub(super) fn word(self, value: usize) -> Self {
        self.value(&(value as u32))
    }

    /// A pointer.
    pub(super) fn address(self, address: Address) -> Self {
        self.value(&address)
    }

    fn places(&mut self) -> Vec<*mut c_void> {
        let memory = &mut self.memory;
        self.starts.iter().map(|start| (&raw mut memory[*start]).cast()).collect()
    }
}

/// A field element in Montgomery form, as kernels have it.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(16))]
pub(super) struct Element([u32; 8]);

impl From<Fr> for Element {
    fn from(scalar: Fr) -> Self {
        Self(ScalarWords::from(scalar).0)
    }
}
