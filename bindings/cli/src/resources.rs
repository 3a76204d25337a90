//! What this process has used so far, what it runs on, and how it ends where memory does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(unix)]
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
#[cfg(not(unix))]
use std::time::Instant;

use zkml_gpu::ErrorClass;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// The system's allocator. Where that has no more, the program says so and ends with the code of what would not fit;
/// the standard library would abort. Estimates refuse what cannot fit beforehand, with the whole need; this is for what
/// they do not see, such as the reader of models under a low `ulimit -v`.
struct Allocator;

// SAFETY: every call goes to the system's allocator as it is, and every pointer comes from there.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of the system's allocator.
        or_end(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        or_end(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        or_end(unsafe { System.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[inline]
fn or_end(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() { end_without_memory(bytes) } else { pointer }
}

/// Ends the process without allocating anything, and without running what other threads would.
#[cold]
fn end_without_memory(bytes: usize) -> ! {
    let mut text = Fixed { bytes: [0; 256], len: 0 };
    let _ = write!(
        text,
        "error: the system has no memory left: {bytes} more bytes were asked for\nhint: raise the limit (ulimit -v, or \
         the container's), use a machine with more memory, or a smaller model\n"
    );
    write_and_exit(&text.bytes[..text.len])
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn write_and_exit(text: &[u8]) -> ! {
    // SAFETY: the pointer is to as many bytes; `_exit` may be called at any time.
    unsafe {
        libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        libc::_exit(ErrorClass::WouldNotFit.exit_code().into())
    }
}

#[cfg(not(unix))]
fn write_and_exit(_: &[u8]) -> ! {
    std::process::exit(ErrorClass::WouldNotFit.exit_code().into())
}

/// Text of a bounded length, which takes no memory.
struct Fixed {
    bytes: [u8; 256],
    len: usize,
}

impl std::fmt::Write for Fixed {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let free = &mut self.bytes[self.len..];
        let len = text.len().min(free.len());
        free[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
}

/// User and system time of all threads in milliseconds; 0 where the system does not tell.
pub(crate) fn cpu_ms() -> f64 {
    usage().map_or(0.0, |usage| milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime))
}

/// Greatest resident memory in bytes; 0 where the system does not tell.
pub(crate) fn peak_rss_bytes() -> u64 {
    // Linux carries `ru_maxrss` over from the parent process, `VmHWM` starts anew with the program.
    let since = high_water_mark().or_else(|| usage().map(|usage| max_rss_bytes(&usage))).unwrap_or(0);
    since.max(TAKEN_PEAK.load(Ordering::Relaxed))
}

/// The greatest of the peaks that were taken.
static TAKEN_PEAK: AtomicU64 = AtomicU64::new(0);

/// Greatest resident memory since the last call, or since the program began, in bytes; `None` where the system does not
/// count anew.
pub(crate) fn take_peak_rss_bytes() -> Option<u64> {
    let peak = high_water_mark()?;
    TAKEN_PEAK.fetch_max(peak, Ordering::Relaxed);
    // Linux sets the mark to what is resident now (proc(5), `clear_refs`).
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    Some(peak)
}

/// The machine in words: architecture, system, and the processor's name where the system tells it.
pub(crate) fn machine() -> String {
    let system = format!("{} {}", std::env::consts::ARCH, std::env::consts::OS);
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    line.map_or_else(|| system.clone(), |(_, name)| format!("{}, {system}", name.trim()))
}

fn high_water_mark() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(unix)]
type Usage = libc::rusage;

#[cfg(unix)]
fn usage() -> Option<Usage> {
    let mut usage = std::mem::MaybeUninit::<Usage>::zeroed();
    // SAFETY: the pointer is to a whole, writable rusage, all of whose bit patterns are valid.
    #[allow(unsafe_code)]
    let (code, usage) = unsafe { (libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()), usage.assume_init()) };
    (code == 0).then_some(usage)
}

#[cfg(unix)]
fn milliseconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 * 1e3 + time.tv_usec as f64 / 1e3
}

/// macOS counts in bytes, other systems in KiB.
#[cfg(unix)]
fn max_rss_bytes(usage: &Usage) -> u64 {
    let unit = if cfg!(target_vendor = "apple") { 1 } else { 1024 };
    u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit
}

/// What a process that ended spent, with those that it waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spent {
    /// User and system time of all threads.
    pub(crate) cpu_ms: f64,
    /// The greatest resident memory of one process; Linux starts with that of the process that started it.
    pub(crate) peak_rss_bytes: u64,
}

impl Spent {
    /// Of one process after the other.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { cpu_ms: self.cpu_ms + other.cpu_ms, peak_rss_bytes: self.peak_rss_bytes.max(other.peak_rss_bytes) }
    }
}

/// How a process ended, and what it spent, where the system tells.
pub(crate) type Ended = (ExitStatus, Option<Spent>);

/// Waits for a process to end. `None` where it did not within a time, and was ended.
///
/// # Errors
/// The system's own.
#[cfg(unix)]
#[allow(unsafe_code)]
pub(crate) fn wait_within(child: Child, limit: Duration) -> io::Result<Option<Ended>> {
    use std::os::unix::process::ExitStatusExt;

    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let retried = |call: &mut dyn FnMut() -> libc::c_int| {
        while call() == -1 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        Ok(())
    };
    let (ended, heard) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let late = heard.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        if late {
            // SAFETY: a call without pointers. The process is not waited for before this thread has ended, so that the
            // number is still its own.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        late
    });
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    let waited = retried(&mut || {
        // SAFETY: the pointer is to a whole, writable siginfo_t.
        unsafe { libc::waitid(libc::P_PID, child.id(), info.as_mut_ptr(), libc::WEXITED | libc::WNOWAIT) }
    });
    drop(ended);
    let late = watch.join().unwrap_or(false);
    waited?;
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<Usage>::zeroed());
    // SAFETY: the pointers are to a whole, writable number and rusage.
    retried(&mut || unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) })?;
    // SAFETY: all of a rusage's bit patterns are valid.
    let usage = unsafe { usage.assume_init() };
    let spent = Spent {
        cpu_ms: milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime),
        peak_rss_bytes: max_rss_bytes(&usage),
    };
    Ok((!late).then(|| (ExitStatus::from_raw(status), Some(spent))))
}

/// Waits for a process to end. `None` where it did not within a time, and was ended.
///
/// # Errors
/// The system's own.
#[cfg(not(unix))]
pub(crate) fn wait_within(mut child: Child, limit: Duration) -> io::Result<Option<Ended>> {
    /// Between two looks.
    const PAUSE: Duration = Duration::from_millis(5);
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some((status, None)));
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(not(unix))]
struct Usage {
    ru_utime: (),
    ru_stime: (),
}

#[cfg(not(unix))]
fn usage() -> Option<Usage> {
    None
}

#[cfg(not(unix))]
fn milliseconds((): ()) -> f64 {
    0.0
}

#[cfg(not(unix))]
fn max_rss_bytes(_: &Usage) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_are_counted() {
        let before = cpu_ms();
        let sum = (0..20_000_000u64).fold(0u64, |sum, i| std::hint::black_box(sum ^ i.wrapping_mul(sum | 1)));
        assert!(cfg!(not(unix)) || cpu_ms() > before, "{sum}");
        assert!(cfg!(not(unix)) || peak_rss_bytes() > 1 << 16);
    }

    #[cfg(unix)]
    #[test]
    fn a_process_is_waited_for_within_a_time() {
        let start = |script: &str| std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
        let (status, spent) = wait_within(start("exit 3"), Duration::from_secs(60)).unwrap().expect("it ends");
        assert_eq!(status.code(), Some(3));
        assert!(spent.is_some_and(|spent| spent.peak_rss_bytes > 1 << 16), "{spent:?}");
        assert_eq!(wait_within(start("exec sleep 60"), Duration::from_millis(20)).unwrap(), None);
        let one = Spent { cpu_ms: 1.0, peak_rss_bytes: 5 };
        assert_eq!(one.and(Spent { cpu_ms: 2.0, peak_rss_bytes: 3 }), Spent { cpu_ms: 3.0, peak_rss_bytes: 5 });
    }

    #[test]
    fn a_peak_that_was_taken_is_still_the_peak_of_the_process() {
        const BYTES: usize = 64 << 20;
        let Some(before) = take_peak_rss_bytes() else { return };
        drop(std::hint::black_box(vec![1u8; BYTES]));
        let Some(during) = take_peak_rss_bytes() else { return };
        let Some(after) = take_peak_rss_bytes() else { return };
        assert!(during > BYTES as u64 && after <= during, "{before}, {during}, {after}");
        assert!(peak_rss_bytes() >= during, "{during}");
    }
}
