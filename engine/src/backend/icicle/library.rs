//! Finding ICICLE's libraries, and telling their version.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::abi::{DeviceId, Functions, SUCCESS};
use super::file::{File, LIBRARY_FOLDER, Libraries, refused};

/// ICICLE's own variable with the folder of the plugins for devices.
pub(super) const PLUGIN_FOLDER: &str = "ICICLE_BACKEND_INSTALL_DIR";
/// A generation of releases that this back end knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// 3.x
    V3,
    /// 4.x
    V4,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3 => "3",
            Self::V4 => "4",
        })
    }
}

impl Version {
    /// Symbols that one generation has and no other. ICICLE has no function that tells its version, but renamed those
    /// for its users in Rust between the two.
    const MARKS: [(Self, &str); 2] = [(Self::V4, "bn254_projective_eq"), (Self::V3, "bn254_eq")];
    /// Symbols of releases before 3.0.
    const OLD_MARKS: [&str; 2] = ["bn254_msm_cuda", "bn254MSMCuda"];

    fn of(curve: &File) -> Result<Self, String> {
        if Self::OLD_MARKS.iter().any(|mark| curve.has(mark)) {
            return Err(refused(format!("{} is of a release before 3.0", curve.name)));
        }
        let known = Self::MARKS.iter().find(|(_, mark)| curve.has(mark));
        known
            .map(|(version, _)| *version)
            .ok_or_else(|| refused(format!("{} is of no release that this back end knows", curve.name)))
    }
}

/// How far each device's domain goes: log2 of the longest transform.
pub(super) type Domains = BTreeMap<String, u32>;

/// ICICLE, loaded, with its plugins.
#[derive(Debug)]
pub(super) struct Library {
    pub(super) functions: Functions,
    pub(super) version: Version,
    /// Where the libraries were found, in words.
    pub(super) place: String,
    /// ICICLE keeps one domain for each device and process. The lock is held during every call, so that none works on a
    /// domain that another replaces, and no two ask for the device's memory at once.
    domains: Mutex<Domains>,
}

/// ICICLE's own state is the process's, and so is what is known of it: each copy of the libraries is entered once.
static LOADED: Mutex<Vec<Arc<Library>>> = Mutex::new(Vec::new());

impl Library {
    /// Loads the libraries from a folder, or else from the one that [`LIBRARY_FOLDER`] names, or from where the loader
    /// looks; then plugins.
    ///
    /// # Errors
    /// What is missing or refused, with a hint.
    #[allow(unsafe_code)]
    pub(super) fn open(folder: Option<PathBuf>) -> Result<Arc<Self>, String> {
        let named = || std::env::var_os(LIBRARY_FOLDER).filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let folder = folder.or_else(named);
        let open = |name| File::open(folder.as_deref(), name);
        let device = open("icicle_device")?;
        let field = open("icicle_field_bn254")?;
        let libraries = Libraries { device, field, curve: open("icicle_curve_bn254")? };
        let version = Version::of(&libraries.curve)?;
        // SAFETY: a library of that generation declares these functions so.
        let functions = unsafe { Functions::resolve(&libraries) }?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.iter().find(|known| known.functions.ntt as usize == functions.ntt as usize) {
            return Ok(known.clone());
        }
        // SAFETY: no parameters. Without plugins there is the processor only, which is what the choice of a device will
        // say.
        let _ = unsafe { (functions.load_plugins)() };
        let place = folder.map_or_else(|| "the loader's path".to_owned(), |folder| folder.display().to_string());
        let library = Arc::new(Self { functions, version, place, domains: Mutex::default() });
        loaded.push(library.clone());
        Ok(library)
    }

    /// Waits until no other call is under way.
    pub(super) fn lock(&self) -> MutexGuard<'_, Domains> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a plugin for the type of this device.
    #[allow(unsafe_code)]
    pub(super) fn has_plugin(&self, device: &DeviceId) -> bool {
        // SAFETY: a device as C lays it out, only read.
        unsafe { (self.functions.is_device_available)(device) == SUCCESS }
    }

    /// The types of devices that there are plugins for.
    #[allow(unsafe_code)]
    pub(super) fn plugins(&self) -> Vec<String> {
        /// Enough for a list of some types' names.
        const LIST_BYTES: usize = 1024;
        let mut list = [0u8; LIST_BYTES];
        // SAFETY: room of the length that is told; where the list does not fit nothing is written.
        let status = unsafe { (self.functions.registered_devices)(list.as_mut_ptr().cast::<c_char>(), LIST_BYTES) };
        let text = list.split(|byte| *byte == 0).next().unwrap_or_default();
        let text = if status == SUCCESS { String::from_utf8_lossy(text) } else { String::new().into() };
        text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}
