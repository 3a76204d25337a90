//! Finding ICICLE's libraries, and telling their version.

use super::abi::{DeviceId, Functions, SUCCESS};
use std::collections::BTreeMap;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::{OsString, c_char};
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The environment variable with the folder of the libraries. Without it they are looked for where the system's loader looks.
pub const LIBRARY_FOLDER: &str = "ZKML_ICICLE_LIB_DIR";
/// ICICLE's own variable with the folder of the plugins for devices.
pub(super) const PLUGIN_FOLDER: &str = "ICICLE_BACKEND_INSTALL_DIR";
/// The releases whose interface this back end knows, for messages.
pub const SUPPORTED: &str = "ICICLE 3.0 to 4.0";

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
    /// Symbols that one generation has and no other. ICICLE has no function that tells its version, but renamed those for its users
    /// in Rust between the two.
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

fn refused(reason: String) -> String {
    format!("{reason}\nhint: {SUPPORTED} are supported")
}

/// One of the libraries. It stays loaded: ICICLE registers functions of plugins in it, and plugins end with the process.
#[derive(Debug)]
pub(super) struct File {
    name: String,
    handle: ManuallyDrop<libloading::Library>,
}

impl File {
    fn open(folder: Option<&Path>, name: &str) -> Result<Self, String> {
        let name = format!("{DLL_PREFIX}{name}{DLL_SUFFIX}");
        let path = folder.map_or_else(|| OsString::from(&name), |folder| folder.join(&name).into_os_string());
        match load(path) {
            Ok(handle) => Ok(Self { name, handle: ManuallyDrop::new(handle) }),
            Err(reason) => Err(format!(
                "{name} does not load: {reason}\nhint: install {SUPPORTED} and name the folder of its libraries in {LIBRARY_FOLDER}, \
                 or put them where the loader looks"
            )),
        }
    }

    /// The function of this name.
    ///
    /// # Safety
    /// It has the type T.
    #[allow(unsafe_code)]
    pub(super) unsafe fn symbol<T: Copy>(&self, name: &str) -> Result<T, String> {
        // SAFETY: the type is right by the caller's word, and the library is never closed.
        let found = unsafe { self.handle.get::<T>(name.as_bytes()) };
        found.map(|symbol| *symbol).map_err(|_| refused(format!("{} has no function {name}", self.name)))
    }

    #[allow(unsafe_code)]
    fn has(&self, name: &str) -> bool {
        // SAFETY: only whether there is an address is asked.
        unsafe { self.handle.get::<*const ()>(name.as_bytes()) }.is_ok()
    }
}

/// Loads a library as linking to it would: plugins find its functions.
#[cfg(unix)]
#[allow(unsafe_code)]
fn load(path: OsString) -> Result<libloading::Library, String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_LAZY};
    use std::error::Error as _;
    // SAFETY: the initialisers of a library that the user named or installed under this name; they need nothing of this process.
    let loaded = unsafe { Library::open(Some(path), RTLD_LAZY | RTLD_GLOBAL) };
    // What the loader said is the error's source.
    loaded.map(Into::into).map_err(|error| error.source().map_or_else(|| error.to_string(), ToString::to_string))
}

#[cfg(not(unix))]
fn load(_: OsString) -> Result<libloading::Library, String> {
    Err("there is no ICICLE for this system".to_owned())
}

/// The libraries; later ones call those before them.
#[derive(Debug)]
pub(super) struct Libraries {
    pub(super) device: File,
    pub(super) field: File,
    pub(super) curve: File,
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
    /// ICICLE keeps one domain for each device and process. The lock is held during every call, so that none works on a domain that
    /// another replaces, and no two ask for the device's memory at once.
    domains: Mutex<Domains>,
}

/// ICICLE's own state is the process's, and so is what is known of it: each copy of the libraries is entered once.
static LOADED: Mutex<Vec<Arc<Library>>> = Mutex::new(Vec::new());

impl Library {
    /// Loads the libraries from a folder, or else from the one that [`LIBRARY_FOLDER`] names, or from where the loader looks; then plugins.
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
        // SAFETY: no parameters. Without plugins there is the processor only, which is what the choice of a device will say.
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
