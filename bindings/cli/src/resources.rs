//! What this process has used so far, and what it runs on.

/// User and system time of all threads in milliseconds; 0 where the system does not tell.
pub(crate) fn cpu_ms() -> f64 {
    usage().map_or(0.0, |usage| milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime))
}

/// Greatest resident memory in bytes; 0 where the system does not tell.
pub(crate) fn peak_rss_bytes() -> u64 {
    // Linux carries `ru_maxrss` over from the parent process, `VmHWM` starts anew with the program.
    high_water_mark().or_else(|| usage().map(|usage| max_rss_bytes(&usage))).unwrap_or(0)
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
}
