//! The driver's functions. All that is unsafe about them is here: handles are made and freed by the types that own
//! them, and every call makes its context the thread's own.

#![allow(unsafe_code)]

use std::ffi::{CString, c_void};
use std::fmt;

use cudarc::driver::{result, sys};

/// What the driver said when it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failure(sys::CUresult);

impl Failure {
    /// Whether device memory is exhausted.
    pub(super) fn is_out_of_memory(self) -> bool {
        self.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY
    }

    /// Whether the driver knows no device.
    pub(super) fn is_no_device(self) -> bool {
        self.0 == sys::CUresult::CUDA_ERROR_NO_DEVICE
    }

    /// Whether this is not code for the device, or of a compiler that the driver does not know.
    pub(super) fn is_refused_code(self) -> bool {
        use sys::CUresult::{
            CUDA_ERROR_INVALID_IMAGE, CUDA_ERROR_INVALID_PTX, CUDA_ERROR_INVALID_SOURCE, CUDA_ERROR_NO_BINARY_FOR_GPU,
            CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
        };
        matches!(
            self.0,
            CUDA_ERROR_INVALID_IMAGE
                | CUDA_ERROR_INVALID_PTX
                | CUDA_ERROR_INVALID_SOURCE
                | CUDA_ERROR_NO_BINARY_FOR_GPU
                | CUDA_ERROR_UNSUPPORTED_PTX_VERSION
        )
    }

    /// Whether the device cannot be used by this process any more: its memory and code are gone.
    pub(super) fn is_loss(self) -> bool {
        use sys::CUresult::{
            CUDA_ERROR_ASSERT, CUDA_ERROR_CONTEXT_IS_DESTROYED, CUDA_ERROR_ECC_UNCORRECTABLE,
            CUDA_ERROR_HARDWARE_STACK_ERROR, CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_ILLEGAL_INSTRUCTION,
            CUDA_ERROR_INVALID_ADDRESS_SPACE, CUDA_ERROR_INVALID_PC, CUDA_ERROR_LAUNCH_FAILED,
            CUDA_ERROR_LAUNCH_TIMEOUT, CUDA_ERROR_MISALIGNED_ADDRESS, CUDA_ERROR_UNKNOWN,
        };
        matches!(
            self.0,
            CUDA_ERROR_ASSERT
                | CUDA_ERROR_CONTEXT_IS_DESTROYED
                | CUDA_ERROR_ECC_UNCORRECTABLE
                | CUDA_ERROR_HARDWARE_STACK_ERROR
                | CUDA_ERROR_ILLEGAL_ADDRESS
                | CUDA_ERROR_ILLEGAL_INSTRUCTION
                | CUDA_ERROR_INVALID_ADDRESS_SPACE
                | CUDA_ERROR_INVALID_PC
                | CUDA_ERROR_LAUNCH_FAILED
                | CUDA_ERROR_LAUNCH_TIMEOUT
                | CUDA_ERROR_MISALIGNED_ADDRESS
                | CUDA_ERROR_UNKNOWN
        )
    }
}

impl From<result::DriverError> for Failure {
    fn from(failed: result::DriverError) -> Self {
        Self(failed.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = result::DriverError(self.0);
        match (words.error_string(), words.error_name()) {
            (Ok(words), Ok(name)) => write!(f, "{} ({})", words.to_string_lossy(), name.to_string_lossy()),
            _ => write!(f, "{:?}", self.0),
        }
    }
}

pub(super) type Outcome<T> = Result<T, Failure>;

/// An address in device memory; 0 is none.
pub(super) type Address = u64;

/// Makes the driver ready. Every other function comes after it.
pub(super) fn initialise() -> Outcome<()> {
    Ok(result::init()?)
}

/// The release that the driver supports, as 1000·major + 10·minor.
pub(super) fn version() -> Outcome<i32> {
    let mut version = 0;
    // SAFETY: the pointer is to a value of the type that the function writes.
    unsafe { sys::cuDriverGetVersion(&raw mut version) }.result()?;
    Ok(version)
}

/// What is known of a device without opening it.
#[derive(Debug, Clone)]
pub(super) struct Properties {
    pub(super) name: String,
    /// Compute capability.
    pub(super) capability: (i32, i32),
    pub(super) memory_bytes: u64,
    /// Bytes of shared memory that a block may ask for.
    pub(super) shared_bytes: usize,
    pub(super) multiprocessors: usize,
}

/// How many devices there are.
pub(super) fn count() -> Outcome<usize> {
    Ok(usize::try_from(result::device::get_count()?).unwrap_or(0))
}

/// What is known of the device of this index.
pub(super) fn properties(index: usize) -> Outcome<Properties> {
    use sys::CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
        CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN as SHARED,
        CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT as PROCESSORS,
    };
    let device = device(index)?;
    // SAFETY: the device is one that the driver has just named.
    let attribute = |attribute| unsafe { result::device::get_attribute(device, attribute) };
    // SAFETY: as above.
    let memory_bytes = unsafe { result::device::total_mem(device) }? as u64;
    Ok(Properties {
        name: result::device::get_name(device)?,
        capability: (attribute(MAJOR)?, attribute(MINOR)?),
        memory_bytes,
        shared_bytes: usize::try_from(attribute(SHARED)?).unwrap_or(0),
        multiprocessors: usize::try_from(attribute(PROCESSORS)?).unwrap_or(0),
    })
}

fn device(index: usize) -> Outcome<sys::CUdevice> {
    let index = i32::try_from(index).map_err(|_| Failure(sys::CUresult::CUDA_ERROR_INVALID_DEVICE))?;
    Ok(result::device::get(index)?)
}

/// A device's primary context, with one stream, to which all work goes.
#[derive(Debug)]
pub(super) struct Context {
    device: sys::CUdevice,
    context: sys::CUcontext,
    stream: sys::CUstream,
}

// SAFETY: the driver's handles may be used by any thread that makes the context current, which every method does.
unsafe impl Send for Context {}
// SAFETY: as above; the driver's functions are safe to call from several threads at once.
unsafe impl Sync for Context {}

impl Context {
    pub(super) fn open(index: usize) -> Outcome<Self> {
        let device = device(index)?;
        // SAFETY: the device is one that the driver has just named; what is retained is released on drop, or here on
        // failure.
        let context = unsafe { result::primary_ctx::retain(device) }?;
        let opened = || -> Outcome<Self> {
            // SAFETY: the context was just retained.
            let stream = unsafe {
                result::ctx::set_current(context)?;
                result::stream::create(result::stream::StreamKind::NonBlocking)?
            };
            Ok(Self { device, context, stream })
        };
        opened().inspect_err(|_| {
            // SAFETY: the context was retained above; nothing of it is left in use. A failure leaves it to the
            // process's end.
            let _ = unsafe { result::primary_ctx::release(device) };
        })
    }

    fn enter(&self) -> Outcome<()> {
        // SAFETY: the context is retained for as long as this object lives.
        Ok(unsafe { result::ctx::set_current(self.context) }?)
    }

    /// Memory with arbitrary contents.
    pub(super) fn allocate(&self, bytes: u64) -> Outcome<Address> {
        self.enter()?;
        // SAFETY: the context is the thread's. Whoever gets the address frees it.
        Ok(unsafe { result::malloc_sync(bytes as usize) }?)
    }

    /// Frees memory that no work uses any more.
    pub(super) fn free(&self, address: Address) -> Outcome<()> {
        self.enter()?;
        // SAFETY: callers pass what `allocate` gave them, once.
        Ok(unsafe { result::free_sync(address) }?)
    }

    /// Bytes that the device has left for everyone.
    pub(super) fn free_bytes(&self) -> Outcome<u64> {
        self.enter()?;
        Ok(result::mem_get_info()?.0 as u64)
    }

    /// Sets bytes in device memory. The range belongs to one allocation.
    pub(super) fn fill(&self, address: Address, value: u8, bytes: u64) -> Outcome<()> {
        self.enter()?;
        // SAFETY: the range is the caller's; the stream is this context's.
        Ok(unsafe { result::memset_d8_async(address, value, bytes as usize, self.stream) }?)
    }

    /// Copies within device memory. Both ranges belong to one allocation each.
    pub(super) fn copy(&self, from: Address, to: Address, bytes: u64) -> Outcome<()> {
        self.enter()?;
        // SAFETY: the ranges are the caller's; the stream is this context's.
        Ok(unsafe { result::memcpy_dtod_async(to, from, bytes as usize, self.stream) }?)
    }

    /// Copies to the device. The memory must not change until what comes before the next wait is done.
    pub(super) fn upload(&self, from: &Pinned, range: std::ops::Range<usize>, to: Address) -> Outcome<()> {
        self.enter()?;
        // SAFETY: the range of the device is the caller's. Pinned memory lives until the work on the stream is done:
        // its owner waits.
        Ok(unsafe { result::memcpy_htod_async(to, &from.bytes()[range], self.stream) }?)
    }

    /// Copies from the device. The memory is arbitrary until what comes before the next wait is done.
    pub(super) fn download(&self, from: Address, to: &mut Pinned, bytes: usize) -> Outcome<()> {
        self.enter()?;
        // SAFETY: as for `upload`.
        Ok(unsafe { result::memcpy_dtoh_async(&mut to.bytes_mut()[..bytes], from, self.stream) }?)
    }

    /// Waits for all work so far.
    pub(super) fn finish(&self) -> Outcome<()> {
        self.enter()?;
        // SAFETY: the stream is this context's.
        Ok(unsafe { result::stream::synchronize(self.stream) }?)
    }

    /// Memory of the host that the device copies from and to without the host's help.
    pub(super) fn pinned(&self, bytes: usize) -> Outcome<Pinned> {
        self.enter()?;
        // SAFETY: plain memory, freed on drop.
        let memory = unsafe { result::malloc_host(bytes, 0) }?;
        // SAFETY: the driver gave this many bytes; written once so that reading them is defined.
        unsafe { memory.cast::<u8>().write_bytes(0, bytes) };
        Ok(Pinned { memory: memory.cast(), bytes })
    }

    /// A mark in the stream.
    pub(super) fn event(&self) -> Outcome<Event> {
        self.enter()?;
        Ok(Event(result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)?))
    }

    /// Puts the mark after all work so far.
    pub(super) fn record(&self, event: &Event) -> Outcome<()> {
        self.enter()?;
        // SAFETY: event and stream are this context's.
        Ok(unsafe { result::event::record(event.0, self.stream) }?)
    }

    /// Waits for the work before the mark, if it was ever put anywhere.
    pub(super) fn wait(&self, event: &Event) -> Outcome<()> {
        self.enter()?;
        // SAFETY: the event is this context's.
        Ok(unsafe { result::event::synchronize(event.0) }?)
    }

    /// Code for the device: a cubin, which says itself how long it is.
    pub(super) fn load(&self, image: &[u8]) -> Outcome<Code> {
        self.enter()?;
        // SAFETY: the image is what the compiler wrote or the cache kept, whole by its digest.
        Ok(Code(unsafe { result::module::load_data(image.as_ptr().cast()) }?))
    }

    /// A kernel of some code, allowed to take this much dynamic shared memory.
    pub(super) fn function(&self, code: &Code, name: &str, shared_bytes: usize) -> Outcome<Function> {
        use sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        self.enter()?;
        let name = CString::new(name).map_err(|_| Failure(sys::CUresult::CUDA_ERROR_INVALID_VALUE))?;
        // SAFETY: code is never unloaded while its context lives.
        let function = unsafe { result::module::get_function(code.0, name) }?;
        if shared_bytes > 0 {
            let bytes = i32::try_from(shared_bytes).unwrap_or(i32::MAX);
            // SAFETY: the function was just found.
            unsafe {
                result::function::set_function_attribute(
                    function,
                    CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                    bytes,
                )
            }?;
        }
        Ok(Function(function))
    }

    /// Starts a kernel. Arguments are copied before this returns.
    pub(super) fn launch(
        &self,
        function: Function,
        grid: [u32; 2],
        threads: u32,
        shared_bytes: usize,
        arguments: &mut [*mut c_void],
    ) -> Outcome<()> {
        self.enter()?;
        let shared_bytes = u32::try_from(shared_bytes).unwrap_or(u32::MAX);
        // SAFETY: arguments are as the kernel declares them: each kernel has one place that launches it, which tests
        // run; and vectors live until they are freed in the stream's order.
        Ok(unsafe {
            let (grid, block) = ((grid[0], grid[1], 1), (threads, 1, 1));
            result::launch_kernel(function.0, grid, block, shared_bytes, self.stream, arguments)
        }?)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: nothing that uses the stream or the context is left, and each is given back once. Failures leave both
        // to the end of the process.
        unsafe {
            let _ = result::ctx::set_current(self.context);
            let _ = result::stream::synchronize(self.stream);
            let _ = result::stream::destroy(self.stream);
            let _ = result::primary_ctx::release(self.device);
        }
    }
}

/// Memory of the host at a fixed place.
#[derive(Debug)]
pub(super) struct Pinned {
    memory: *mut u8,
    bytes: usize,
}

// SAFETY: plain memory with one owner.
unsafe impl Send for Pinned {}

impl Pinned {
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the driver gave this many bytes, initialised, and frees them on drop only.
        unsafe { std::slice::from_raw_parts(self.memory, self.bytes) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the borrow is exclusive. The owner waits for copies before it reads or writes.
        unsafe { std::slice::from_raw_parts_mut(self.memory, self.bytes) }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: given by the driver, freed once. A failure leaves it to the end of the process.
        let _ = unsafe { result::free_host(self.memory.cast()) };
    }
}

/// A mark in the stream.
#[derive(Debug)]
pub(super) struct Event(sys::CUevent);

// SAFETY: the driver's handles may be used by any thread.
unsafe impl Send for Event {}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: made by the driver, destroyed once. A failure leaves it to the end of the process.
        let _ = unsafe { result::event::destroy(self.0) };
    }
}

/// Code in device memory, for as long as the context lives.
#[derive(Debug)]
pub(super) struct Code(sys::CUmodule);

// SAFETY: the driver's handles may be used by any thread.
unsafe impl Send for Code {}

/// A kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Function(sys::CUfunction);

// SAFETY: the driver's handles may be used by any thread.
unsafe impl Send for Function {}
// SAFETY: as above; it is never changed.
unsafe impl Sync for Function {}
