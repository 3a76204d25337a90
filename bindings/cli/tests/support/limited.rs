//! The program under bounds of memory, time and file size.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What the program may take.
pub(crate) struct Limits {
    /// Address space, in KiB: far more than a small model takes, far less than a hostile file asks for.
    pub(crate) memory_kib: u32,
    /// Wall time; generous, for machines that do other things.
    pub(crate) time: Duration,
    /// Largest file that may be written, in blocks of 512 bytes; a larger write fails as on a full disk.
    pub(crate) file_blocks: Option<u32>,
    /// Kill it after so long.
    pub(crate) kill_after_ms: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_kib: 768 << 10, time: Duration::from_secs(60), file_blocks: None, kill_after_ms: None }
    }
}

/// Runs the program in `folder`; panics where it takes longer than it may.
pub(crate) fn run_limited(folder: &Path, arguments: &[&str], limits: &Limits) -> Output {
    let mut child = command(limits).args(arguments).current_dir(folder).spawn().expect("run zkml-gpu");
    let start = Instant::now();
    let end = limits.kill_after_ms.map_or(limits.time, Duration::from_millis);
    while child.try_wait().expect("wait").is_none() {
        if start.elapsed() > end {
            child.kill().expect("kill");
            assert!(limits.kill_after_ms.is_some(), "{arguments:?} took more than {end:?}: {}", stderr(child));
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().expect("output")
}

fn stderr(child: Child) -> String {
    String::from_utf8_lossy(&child.wait_with_output().expect("output").stderr).into_owned()
}

/// The shell sets the limits and then becomes the program. Other systems than Linux have no limit of address space.
fn command(limits: &Limits) -> Command {
    let program = env!("CARGO_BIN_EXE_zkml-gpu");
    let mut command = if cfg!(target_os = "linux") {
        // Ignored, the signal of a file too large becomes the error of the write.
        let files = limits.file_blocks.map(|blocks| format!("trap '' XFSZ; ulimit -f {blocks}; ")).unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{files}ulimit -v {}; exec \"$0\" \"$@\"", limits.memory_kib), program]);
        shell
    } else {
        Command::new(program)
    };
    // Each arena of the C library takes address space that is never used.
    command.env("ZKML_GPU_NO_CACHE", "1").env_remove("ZKML_GPU_CACHE");
    command.env("MALLOC_ARENA_MAX", "2").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
