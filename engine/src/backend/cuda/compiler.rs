//! Kernels from source to code for one device, by NVRTC, and the cache on disk that keeps what was compiled.
//!
//! A cached file is a digest and the code that it is of; its name is a digest of the source, and the architecture.
//! Files appear whole or not at all, and one that is not whole is compiled anew.

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
#[derive(Debug)]
pub(super) struct Compiler {
    /// Such as `sm_90`.
    architecture: String,
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

impl Compiler {
    pub(super) fn new((major, minor): (i32, i32), cache: Option<PathBuf>) -> Self {
        Self { architecture: format!("sm_{major}{minor}"), cache }
    }

    /// Whether the cache has the code of a source.
    pub(super) fn has(&self, source: &str) -> bool {
        self.cache.as_ref().is_some_and(|folder| read(&self.file(folder, source)).is_some())
    }

    fn file(&self, folder: &Path, source: &str) -> PathBuf {
        let name: String = digest(source.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        folder.join(format!("{name}-{}.cubin", self.architecture))
    }

    /// The code of a source, from the cache where it has it.
    pub(super) fn code(&self, source: &str) -> Result<Vec<u8>, String> {
        let Some(folder) = &self.cache else { return self.compile(source) };
        let file = self.file(folder, source);
        if let Some(code) = read(&file) {
            return Ok(code);
        }
        // Processes that want the same code wait for the first of them, which writes it. Where that cannot be, several
        // compile it.
        let lock = lock(folder);
        if let Err(failed) = &lock {
            tracing::warn!("compiled kernels are not kept in {}: {failed}", folder.display());
            return self.compile(source);
        }
        if let Some(code) = read(&file) {
            return Ok(code);
        }
        let code = self.compile(source)?;
        if let Err(failed) = write(folder, &file, &code) {
            tracing::warn!("compiled kernels are not kept in {}: {failed}", folder.display());
        }
        Ok(code)
    }

    #[allow(unsafe_code)]
    fn compile(&self, source: &str) -> Result<Vec<u8>, String> {
        libraries::compiler()?;
        let source = CString::new(source).map_err(|_| "a source holds a zero byte".to_owned())?;
        let program = result::create_program(&source, Some(c"zkml-gpu")).map_err(|failed| failed.to_string())?;
        let options = [format!("--gpu-architecture={}", self.architecture), "-std=c++17".to_owned()];
        // SAFETY: the program was just made, and is destroyed after its last use.
        let compiled = unsafe { result::compile_program(program, &options) };
        let code = match compiled {
            // SAFETY: as above.
            Ok(()) => unsafe { cubin(program) },
            Err(failed) => Err(format!(
                "NVRTC does not compile kernels for {}: {failed}{}",
                self.architecture,
                // SAFETY: as above.
                unsafe { log(program) }
            )),
        };
        // SAFETY: as above. A failure leaks the program.
        let _ = unsafe { result::destroy_program(program) };
        code
    }
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

/// Waits for whoever else compiles into the folder. The lock is held until the file is dropped.
fn lock(folder: &Path) -> std::io::Result<File> {
    fs::create_dir_all(folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    Ok(lock)
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
