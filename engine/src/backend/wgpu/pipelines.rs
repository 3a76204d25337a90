//! Kernels, compiled when they are first needed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use zkml_gpu_kernels::wgsl::{Module, source};

use super::device::Device;
use super::native;
use crate::backend::Result;

/// A kernel: an entry point of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kernel {
    /// The files of the source.
    pub(super) modules: &'static [Module],
    /// The entry point.
    pub(super) entry: &'static str,
}

impl Kernel {
    /// An entry point of the kernels crate's files.
    pub(super) const fn new(modules: &'static [Module], entry: &'static str) -> Self {
        Self { modules, entry }
    }
}

/// The kernels compiled so far.
#[derive(Debug)]
pub(super) struct Pipelines {
    sources: Mutex<HashMap<&'static [Module], wgpu::ShaderModule>>,
    compiled: Mutex<HashMap<Kernel, wgpu::ComputePipeline>>,
    /// Kernels that are no files, by their text.
    generated: Mutex<HashMap<String, Vec<wgpu::ComputePipeline>>>,
    cache: Option<wgpu::PipelineCache>,
}

impl Pipelines {
    pub(super) fn new(device: &wgpu::Device) -> Self {
        Self {
            sources: Mutex::default(),
            compiled: Mutex::default(),
            generated: Mutex::default(),
            cache: native::pipeline_cache(device),
        }
    }
}

impl Device {
    /// The compiled kernel. Two threads that ask for the same at once wait for one compilation.
    pub(super) fn pipeline(&self, operation: &'static str, kernel: &Kernel) -> Result<wgpu::ComputePipeline> {
        let mut compiled = self.pipelines.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = compiled.get(kernel) {
            return Ok(pipeline.clone());
        }
        let pipeline = self.attempt(operation, || self.compile(&self.module(kernel), kernel.entry))?;
        compiled.insert(*kernel, pipeline.clone());
        Ok(pipeline)
    }

    /// The entry points of a text that follows the kernels crate's files, compiled once for each text.
    pub(super) fn generated(
        &self,
        operation: &'static str,
        modules: &[Module],
        text: &str,
        entries: &[String],
    ) -> Result<Vec<wgpu::ComputePipeline>> {
        let mut generated = self.pipelines.generated.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipelines) = generated.get(text) {
            return Ok(pipelines.clone());
        }
        let pipelines: Vec<_> = self.attempt(operation, || {
            let module = native::module(&self.raw, operation, &(source(self.arithmetic, modules) + text));
            entries.iter().map(|entry| self.compile(&module, entry)).collect()
        })?;
        generated.insert(text.to_owned(), pipelines.clone());
        Ok(pipelines)
    }

    fn compile(&self, module: &wgpu::ShaderModule, entry: &str) -> wgpu::ComputePipeline {
        self.raw.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry),
            layout: None,
            module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Kernels write what they read of workgroup memory.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: self.pipelines.cache.as_ref(),
        })
    }

    fn module(&self, kernel: &Kernel) -> wgpu::ShaderModule {
        let mut sources = self.pipelines.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || native::module(&self.raw, kernel.entry, &source(self.arithmetic, kernel.modules));
        sources.entry(kernel.modules).or_insert_with(compile).clone()
    }
}
