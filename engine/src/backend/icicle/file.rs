//! Files of ICICLE's libraries, and the functions in them.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::Path;

/// The environment variable with the folder of the libraries. Without it they are looked for where the system's loader
/// looks.
pub const LIBRARY_FOLDER: &str = "ZKML_ICICLE_LIB_DIR";
/// The releases whose interface this back end knows, for messages.
pub const SUPPORTED: &str = "ICICLE 3.0 to 4.0";

pub(super) fn refused(reason: String) -> String {
    format!("{reason}\nhint: {SUPPORTED} are supported")
}

/// One of the libraries. It stays loaded: ICICLE registers functions of plugins in it, and plugins end with the
/// process.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    handle: ManuallyDrop<libloading::Library>,
}

impl File {
    pub(super) fn open(folder: Option<&Path>, name: &str) -> Result<Self, String> {
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
    pub(super) fn has(&self, name: &str) -> bool {
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
    // SAFETY: the initialisers of a library that the user named or installed under this name; they need nothing of this
    // process.
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
