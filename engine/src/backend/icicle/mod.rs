//! ICICLE, loaded at run time: transforms and multi-scalar multiplications on its device, everything else on the
//! processor.
//!
//! ICICLE is open source, its plugins for GPUs included; this back end is there to be compared with. Nothing of it is
//! linked: its libraries are looked for when the back end is opened (`library.rs`, `file.rs`), and what is
//! missing is an error that says what to install or set. Calls go through its C interface (`abi.rs`, `device.rs`).
//! Vectors are the processor back end's, in host memory: a transform copies its columns to the device and back, a
//! commitment only its scalars, because points stay there.
//!
//! ICICLE does not tell its version. Its generation is known by a symbol that was renamed, and that it computes what it
//! is taken to compute is checked on a few rows when it is opened (`check.rs`).

mod abi;
mod check;
mod device;
mod file;
mod library;
mod memory;
mod msm;
mod ntt;
mod processor;

pub use device::DeviceType;
pub use file::{LIBRARY_FOLDER, SUPPORTED};
pub use library::Version;
pub use msm::IcicleBases;

use std::path::PathBuf;
use std::sync::Arc;

use super::{Cpu, Result};
use crate::error::BackendError;
use device::Device;
use library::Library;

/// Which libraries and which device; by default what the environment names, and the first GPU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The folder of the libraries; otherwise the one that [`LIBRARY_FOLDER`] names, or else where the system's loader
    /// looks.
    pub folder: Option<PathBuf>,
    /// The type of device; otherwise the first type of GPU that there is a plugin for.
    pub device: Option<DeviceType>,
    /// Which one of that type.
    pub index: u16,
}

impl Options {
    /// The libraries are in this folder.
    #[must_use]
    pub fn with_folder(self, folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// The device is this one of its type.
    #[must_use]
    pub fn with_device(self, device: DeviceType, index: u16) -> Self {
        Self { device: Some(device), index, ..self }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The generation of the libraries.
    pub version: Version,
    /// Where they are, in words: a folder, or the loader's path.
    pub place: String,
    /// The device that would be opened, as in `CUDA:0`.
    pub device: String,
}

/// What [`Icicle::open`] would open. The libraries and their plugins are loaded, the device is not touched.
///
/// # Errors
/// Why it would not open, with a hint.
pub fn presence(options: &Options) -> std::result::Result<Info, String> {
    let Device { library, name, .. } = find(options)?;
    Ok(Info { version: library.version, place: library.place.clone(), device: name })
}

fn find(options: &Options) -> std::result::Result<Device, String> {
    Device::choose(Library::open(options.folder.clone())?, options.device, options.index)
}

/// A device that ICICLE drives, and the processor beside it.
#[derive(Debug)]
pub struct Icicle {
    cpu: Cpu,
    device: Arc<Device>,
}

impl Icicle {
    /// Opens the first GPU that ICICLE has a plugin for, with the libraries that the environment names.
    ///
    /// # Errors
    /// [`Device`](crate::BackendError::Device) when a library, a function or a plugin is missing, when the version is
    /// not supported, when the device does not open, or when it computes something else.
    pub fn open() -> Result<Self> {
        Self::with_options(&Options::default())
    }

    /// As [`open`](Self::open), with chosen libraries or another device.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_options(options: &Options) -> Result<Self> {
        let missing = |message| BackendError::Device { operation: "open", device: "icicle".to_owned(), message };
        let device = Arc::new(find(options).map_err(missing)?);
        let opened = Self { cpu: Cpu::new(), device };
        check::check(&opened)?;
        Ok(opened)
    }
}
