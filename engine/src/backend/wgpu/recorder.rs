//! Recorded work: dispatches and copies that are submitted together.
//!
//! Binding 0 of every kernel is its parameters, read-only storage; the buffers follow in the order given, and a kernel
//! names all of them. A dispatch is a number of workgroups, laid out in rows where there are more than one dimension of
//! a grid holds: kernels compute their number as `y·length + x` and return when it is past the last.

use std::sync::{Arc, mpsc};

use halo2curves::bn256::Fr;

use super::device::Device;
use super::pipelines::Kernel;
use super::pool::{Buffer, Window};
use crate::backend::{Result, ScalarWords};

/// The parameters of a kernel, in the order of its `Params`.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Vec<u32>);

impl Params {
    pub(super) fn words(words: &[u32]) -> Self {
        Self(words.to_vec())
    }

    /// With field elements at the end.
    pub(super) fn scalars(mut self, scalars: &[Fr]) -> Self {
        scalars.iter().for_each(|scalar| self.0.extend(ScalarWords::from(*scalar).0));
        self
    }
}

/// Work of one operation. Nothing runs before [`submit`](Self::submit) or [`read`](Self::read).
#[derive(Debug)]
pub(super) struct Recorder<'a> {
    device: &'a Arc<Device>,
    operation: &'static str,
    steps: Vec<Step>,
    /// Held until the work is submitted.
    held: Vec<Buffer>,
    params: Vec<ParamsBlock>,
    submitted: Option<wgpu::SubmissionIndex>,
}

#[derive(Debug)]
enum Step {
    Dispatch { pipeline: wgpu::ComputePipeline, bindings: wgpu::BindGroup, groups: [u32; 2] },
    Copy { from: Buffer, from_offset: u64, to: Buffer, to_offset: u64, bytes: u64 },
    Clear { buffer: Buffer, offset: u64, bytes: u64 },
}

/// A buffer of parameters, and what it is to hold.
#[derive(Debug)]
struct ParamsBlock {
    buffer: Buffer,
    bytes: Vec<u8>,
}

/// Bytes of a buffer of parameters.
const PARAMS_BYTES: usize = 64 << 10;

impl<'a> Recorder<'a> {
    /// Empty work of the operation of this name.
    pub(super) fn new(device: &'a Arc<Device>, operation: &'static str) -> Self {
        Self { device, operation, steps: Vec::new(), held: Vec::new(), params: Vec::new(), submitted: None }
    }

    /// Rows of this many bytes that a kernel may see at a time, a power of two.
    pub(super) fn window_rows(&self, row_bytes: u64) -> usize {
        self.device.window_rows(row_bytes)
    }

    /// Memory for this operation.
    pub(super) fn allocate(&self, bytes: u64) -> Result<Buffer> {
        self.device.allocate(self.operation, bytes)
    }

    /// Runs a kernel. No groups or an empty window mean nothing to do.
    pub(super) fn dispatch(
        &mut self,
        kernel: &Kernel,
        params: Params,
        windows: &[Window<'_>],
        groups: u64,
    ) -> Result<()> {
        if is_idle(windows, groups) {
            return Ok(());
        }
        let pipeline = self.device.pipeline(self.operation, kernel)?;
        self.dispatch_pipeline(kernel.entry, &pipeline, params, windows, groups)
    }

    /// Runs a compiled kernel with this entry point, as [`dispatch`](Self::dispatch).
    pub(super) fn dispatch_pipeline(
        &mut self,
        entry: &str,
        pipeline: &wgpu::ComputePipeline,
        params: Params,
        windows: &[Window<'_>],
        groups: u64,
    ) -> Result<()> {
        if is_idle(windows, groups) {
            return Ok(());
        }
        let groups = self.grid(entry, groups)?;
        self.check_windows(entry, windows)?;
        let (block, offset) = self.write_params(&params)?;
        let size = (params.0.len().max(1) * 4) as u64;
        let first = Window { buffer: &self.params[block].buffer, bytes: offset..offset + size };
        let entries: Vec<_> = std::iter::once(&first).chain(windows).enumerate().map(binding).collect();
        let bindings = self.device.attempt(self.operation, || {
            let layout = pipeline.get_bind_group_layout(0);
            let label = Some(entry);
            self.device.raw.create_bind_group(&wgpu::BindGroupDescriptor { label, layout: &layout, entries: &entries })
        })?;
        self.held.extend(windows.iter().map(|window| window.buffer.clone()));
        self.steps.push(Step::Dispatch { pipeline: pipeline.clone(), bindings, groups });
        Ok(())
    }

    /// Copies bytes from buffer to buffer. Offsets and size are multiples of four.
    pub(super) fn copy(&mut self, from: &Buffer, from_offset: u64, to: &Buffer, to_offset: u64, bytes: u64) {
        if bytes > 0 {
            self.steps.push(Step::Copy { from: from.clone(), from_offset, to: to.clone(), to_offset, bytes });
        }
    }

    /// Zeroes bytes of a buffer. Offset and size are multiples of four.
    pub(super) fn clear(&mut self, buffer: &Buffer, offset: u64, bytes: u64) {
        if bytes > 0 {
            self.steps.push(Step::Clear { buffer: buffer.clone(), offset, bytes });
        }
    }

    /// Submits what is recorded so far, without waiting for it. More may be recorded afterwards.
    pub(super) fn submit(&mut self) -> Result<()> {
        let steps = std::mem::take(&mut self.steps);
        let params = std::mem::take(&mut self.params);
        let dispatches = steps.iter().filter(|step| matches!(step, Step::Dispatch { .. })).count() as u64;
        let up: usize = params.iter().map(|block| block.bytes.len()).sum();
        self.device.counters.add(|counters| {
            *counters.dispatches.entry(self.operation).or_default() += dispatches;
            counters.bytes_up += up as u64;
            counters.copies += u64::from(up > 0);
        });
        let submitted = self.device.attempt(self.operation, || {
            for block in &params {
                self.device.queue.write_buffer(block.buffer.raw(), 0, &block.bytes);
            }
            self.device.queue.submit([encode(&self.device.raw, &steps)])
        });
        self.held.clear();
        self.submitted = Some(submitted?);
        Ok(())
    }

    /// Submits, waits, and gives the words of a window.
    pub(super) fn read(mut self, window: &Window<'_>) -> Result<Vec<u32>> {
        let bytes = window.bytes.end - window.bytes.start;
        if bytes == 0 {
            self.submit()?;
            return Ok(Vec::new());
        }
        let target = self.device.allocate_readback(self.operation, bytes)?;
        self.copy(window.buffer, window.bytes.start, &target, 0, bytes);
        self.submit()?;
        self.device.counters.add(|counters| {
            counters.bytes_down += bytes;
            counters.copies += 1;
            counters.waits += 1;
        });
        self.map(&target, bytes)
    }

    /// The words of a buffer for the host, after the work submitted last.
    fn map(&self, buffer: &Buffer, bytes: u64) -> Result<Vec<u32>> {
        let failed = |message: String| self.device.error(self.operation, message);
        let (sender, receiver) = mpsc::channel();
        let words = || {
            self.device.attempt(self.operation, || {
                buffer.raw().map_async(wgpu::MapMode::Read, 0..bytes, move |mapped| {
                    // Nobody listens any more where the wait failed.
                    let _ = sender.send(mapped);
                });
            })?;
            self.device.finish(self.operation, self.submitted.clone())?;
            // Another thread that waits for the device may be the one that answers, and not have done so yet.
            let answer = receiver.recv().map_err(|_| failed("a read was never answered".to_owned()))?;
            answer.map_err(|refusal| failed(refusal.to_string()))?;
            let view = buffer.raw().get_mapped_range(0..bytes).map_err(|refusal| failed(refusal.to_string()))?;
            Ok(bytemuck::pod_collect_to_vec(&view[..]))
        };
        let words = words();
        // The buffer returns to the pool unmapped, whatever happened; one that never was mapped may say so.
        let _ = self.device.scoped(|| buffer.raw().unmap());
        words
    }

    /// The groups in rows.
    fn grid(&self, entry: &str, groups: u64) -> Result<[u32; 2]> {
        let row = u64::from(self.device.limits.groups);
        let rows = groups.div_ceil(row);
        match (u32::try_from(groups.min(row)), u32::try_from(rows)) {
            (Ok(x), Ok(y)) if rows <= row => Ok([x, y]),
            _ => Err(self.device.error(self.operation, format!("{entry}: {groups} workgroups are too many"))),
        }
    }

    fn check_windows(&self, entry: &str, windows: &[Window<'_>]) -> Result<()> {
        let limit = self.device.limits.binding_bytes;
        let large = windows.iter().map(|window| window.bytes.end - window.bytes.start).find(|bytes| *bytes > limit);
        match large {
            Some(bytes) => {
                let message = format!("{entry}: a window of {bytes} bytes: the device allows {limit}");
                Err(self.device.error(self.operation, message))
            }
            None => Ok(()),
        }
    }

    /// Puts parameters into a block with room for them: its number, and the place in it.
    fn write_params(&mut self, params: &Params) -> Result<(usize, u64)> {
        let bytes: &[u8] = bytemuck::cast_slice(&params.0);
        let alignment = self.device.alignment as usize;
        let start = |block: &ParamsBlock| block.bytes.len().next_multiple_of(alignment);
        let size = bytes.len().max(4);
        if self.params.last().is_none_or(|block| start(block) + size > PARAMS_BYTES) {
            let buffer = self.allocate(PARAMS_BYTES.max(size) as u64)?;
            self.params.push(ParamsBlock { buffer, bytes: Vec::new() });
        }
        let last = self.params.len() - 1;
        let block = &mut self.params[last];
        let offset = start(block);
        block.bytes.resize(offset, 0);
        block.bytes.extend_from_slice(bytes);
        block.bytes.resize(offset + size, 0);
        Ok((last, offset as u64))
    }
}

fn is_idle(windows: &[Window<'_>], groups: u64) -> bool {
    groups == 0 || windows.iter().any(|window| window.bytes.is_empty())
}

fn binding<'b>((binding, window): (usize, &'b Window<'_>)) -> wgpu::BindGroupEntry<'b> {
    let size = wgpu::BufferSize::new(window.bytes.end - window.bytes.start);
    let buffer = wgpu::BufferBinding { buffer: window.buffer.raw(), offset: window.bytes.start, size };
    wgpu::BindGroupEntry { binding: binding as u32, resource: wgpu::BindingResource::Buffer(buffer) }
}

/// The steps as a command buffer: dispatches that follow each other share a pass.
fn encode(device: &wgpu::Device, steps: &[Step]) -> wgpu::CommandBuffer {
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut rest = steps;
    while let [first, after @ ..] = rest {
        match first {
            Step::Dispatch { .. } => rest = encode_pass(&mut encoder, rest),
            Step::Copy { from, from_offset, to, to_offset, bytes } => {
                encoder.copy_buffer_to_buffer(from.raw(), *from_offset, to.raw(), *to_offset, *bytes);
                rest = after;
            }
            Step::Clear { buffer, offset, bytes } => {
                encoder.clear_buffer(buffer.raw(), *offset, Some(*bytes));
                rest = after;
            }
        }
    }
    encoder.finish()
}

/// The dispatches that `steps` begins with; gives the steps after them.
fn encode_pass<'s>(encoder: &mut wgpu::CommandEncoder, steps: &'s [Step]) -> &'s [Step] {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    for (i, step) in steps.iter().enumerate() {
        let Step::Dispatch { pipeline, bindings, groups: [x, y] } = step else { return &steps[i..] };
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, bindings, &[]);
        pass.dispatch_workgroups(*x, *y, 1);
    }
    &[]
}
