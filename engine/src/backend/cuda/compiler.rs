//! Kernels from source to code for one device, by NVRTC, and the cache on disk that keeps what was compiled.
//!
//! A cached file is a digest and the code that it is of; its name is a digest of the source, the architecture, and the
//! compiler's release: another compiler's code may not load under a driver. Files appear whole or not at all, and one
//! that is not whole is compiled anew. Code for a lesser minor version of an architecture runs on a device, too.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use blake2b_simd::Params;
use cudarc::nvrtc::{result, sys};

use super::libraries;

/// Bytes of a digest.
const DIGEST_BYTES: usize = 32;

/// Compiles for one architecture.
#[derive(Debug, Clone)]
pub(super) struct Compiler {
    /// The device's compute capability: major, minor.
    capability: (i32, i32),
    cache: Option<PathBuf>,
}

/// Where code is kept unless told otherwise: `zkml-gpu/cuda` in the user's folder for caches.
pub(super) fn cache_folder() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("zkml-gpu").join("cuda"))
}

fn digest(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(Params::new().hash_length(DIGEST_BYTES).hash(bytes).as_bytes());
    digest
}

/// What files of a source's code for an architecture begin with.
fn stem(source: &str, (major, minor): (i32, i32)) -> String {
    let name: String = digest(source.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-sm_{major}{minor}")
}

impl Compiler {
    pub(super) fn new(capability: (i32, i32), cache: Option<PathBuf>) -> Self {
        Self { capability, cache }
    }

    /// Whether the cache has code of a source.
    pub(super) fn has(&self, source: &str) -> bool {
        !self.kept(source).is_empty()
    }

    /// The code of a source that the cache has: this compiler's first, for the device's own architecture first.
    pub(super) fn kept(&self, source: &str) -> Vec<Vec<u8>> {
        let Some(folder) = &self.cache else { return Vec::new() };
        let Ok(entries) = folder.read_dir() else { return Vec::new() };
        let names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let release = libraries::compiler_release().ok();
        let (major, minor) = self.capability;
        let mut found = Vec::new();
        for minor in (0..=minor).rev() {
            let stem = stem(source, (major, minor));
            let of_release = |name: &String| Some(name.strip_prefix(&stem)?.strip_suffix(".cubin")?.to_owned());
            found.extend(names.iter().filter_map(|name| Some((release != release_of(&of_release(name)?), name))));
        }
        // Stable: architectures stay in order.
        found.sort_by_key(|(other, _)| *other);
        found.into_iter().filter_map(|(_, name)| read(&folder.join(name))).collect()
    }

    /// Compiles a source and keeps its code where there is a cache. With `anew` also where the cache has code of this
    /// compiler's, of which the driver wants to know nothing.
    pub(super) fn code(&self, source: &str, anew: bool) -> Result<Vec<u8>, String> {
        let release = libraries::compiler_release()?;
        let target = self.target(release)?;
        let Some(folder) = &self.cache else { return compile(source, target) };
        let stem = stem(source, target);
        let file = folder.join(format!("{stem}-nvrtc_{}.{}.cubin", release.0, release.1));
        // Processes and threads that want the same code wait for the first of them, which writes it. Where that cannot
        // be, several compile it.
        let lock = Lock::new(folder, folder.join(format!("{stem}.lock")));
        if let Err(failed) = &lock {
            tracing::warn!("compiled kernels are not kept in {}: {failed}", folder.display());
            return compile(source, target);
        }
        if let Some(code) = read(&file).filter(|_| !anew) {
            return Ok(code);
        }
        let code = compile(source, target)?;
        if let Err(failed) = write(folder, &file, &code) {
            tracing::warn!("compiled kernels are not kept in {}: {failed}", folder.display());
        }
        Ok(code)
    }

    /// The architecture to compile for: the device's, or the last before it of its generation that this compiler knows.
    fn target(&self, release: (i32, i32)) -> Result<(i32, i32), String> {
        let (major, minor) = self.capability;
        let known = libraries::architectures()?;
        let fits = |known: &(i32, i32)| known.0 == major && known.1 <= minor;
        known.iter().copied().filter(fits).max().ok_or_else(|| {
            let least = known.first().copied().unwrap_or_default();
            let age = if (major, minor) < least { "older" } else { "newer" };
            format!(
                "NVRTC {}.{} compiles nothing for compute capability {major}.{minor}; install {age} NVRTC",
                release.0, release.1
            )
        })
    }
}

/// The compiler's release in the name of a file, after `-nvrtc_`.
fn release_of(text: &str) -> Option<(i32, i32)> {
    let (major, minor) = text.strip_prefix("-nvrtc_")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The code of a source for an architecture.
#[allow(unsafe_code)]
fn compile(source: &str, (major, minor): (i32, i32)) -> Result<Vec<u8>, String> {
    let source = CString::new(source).map_err(|_| "a source holds a zero byte".to_owned())?;
    let program = result::create_program(&source, Some(c"zkml-gpu")).map_err(|failed| failed.to_string())?;
    let options = [format!("--gpu-architecture=sm_{major}{minor}"), "-std=c++17".to_owned()];
    // SAFETY: the program was just made, and is destroyed after its last use.
    let compiled = unsafe { result::compile_program(program, &options) };
    let code = match compiled {
        // SAFETY: as above.
        Ok(()) => unsafe { cubin(program) },
        Err(failed) => Err(format!(
            "NVRTC does not compile kernels for sm_{major}{minor}: {failed}{}",
            // SAFETY: as above.
            unsafe { log(program) }
        )),
    };
    // SAFETY: as above. A failure leaks the program.
    let _ = unsafe { result::destroy_program(program) };
    code
}

/// The code of a program.
///
/// # Safety
/// The program is compiled and not destroyed.
#[allow(unsafe_code)]
unsafe fn cubin(program: sys::nvrtcProgram) -> Result<Vec<u8>, String> {
    let mut bytes = 0;
    // SAFETY: the caller's program; the pointer is to a value of the type that the function writes.
    unsafe { sys::nvrtcGetCUBINSize(program, &raw mut bytes) }.result().map_err(|failed| failed.to_string())?;
    let mut code = vec![0u8; bytes];
    // SAFETY: as above, and there is room for as many bytes as the program has.
    unsafe { sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()) }.result().map_err(|failed| failed.to_string())?;
    Ok(code)
}

/// What the compiler wrote about a program, on lines of its own.
///
/// # Safety
/// The program is not destroyed.
#[allow(unsafe_code)]
unsafe fn log(program: sys::nvrtcProgram) -> String {
    // SAFETY: the caller's program.
    let Ok(log) = (unsafe { result::get_program_log(program) }) else { return String::new() };
    let bytes: Vec<u8> = log.iter().map(|byte| byte.cast_unsigned()).take_while(|byte| *byte != 0).collect();
    format!("\n{}", String::from_utf8_lossy(&bytes).trim_end())
}

/// Held by whoever compiles a source. Its file goes when it is dropped: whoever waits for it then looks for the code.
struct Lock {
    file: PathBuf,
    _held: File,
}

impl Lock {
    /// Waits for whoever else has it.
    fn new(folder: &Path, file: PathBuf) -> std::io::Result<Self> {
        fs::create_dir_all(folder)?;
        let held = File::create(&file)?;
        held.lock()?;
        Ok(Self { file, _held: held })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It is in nobody's way where it stays.
        let _ = fs::remove_file(&self.file);
    }
}

/// The code in a file, if it is whole.
fn read(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(file).ok()?;
    let code = bytes.split_off(bytes.len().min(DIGEST_BYTES));
    (bytes == digest(&code)).then_some(code)
}

fn write(folder: &Path, file: &Path, code: &[u8]) -> std::io::Result<()> {
    let mut whole = tempfile::NamedTempFile::new_in(folder)?;
    whole.write_all(&digest(code))?;
    whole.write_all(code)?;
    whole.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_tell_the_compilers_release() {
        assert_eq!(release_of("-nvrtc_12.8"), Some((12, 8)));
        for text in ["", "-nvrtc_12", "nvrtc_12.8", "-nvrtc_12.8.1"] {
            assert_eq!(release_of(text), None, "{text}");
        }
    }

    #[test]
    fn a_file_that_is_not_whole_is_no_code() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("some.cubin");
        assert_eq!(read(&file), None);
        write(folder.path(), &file, b"code").expect("writes");
        assert_eq!(read(&file), Some(b"code".to_vec()));
        let mut bytes = fs::read(&file).expect("reads");
        bytes.pop();
        fs::write(&file, &bytes).expect("writes");
        assert_eq!(read(&file), None);
        fs::write(&file, b"short").expect("writes");
        assert_eq!(read(&file), None);
    }
}
