//! How much memory the system offers this process: what is free, what the groups of processes that it belongs to may
//! still use, and what its own limits leave (`ulimit -v`, `ulimit -d`). The least of them counts.
//!
//! Groups are control groups of either version, as containers, Slurm and systemd make them. A group's limit holds for
//! all groups below it, so every ancestor counts, as far as it can be seen: a container sees its own group as the
//! topmost. What a group uses includes cached files; those that nobody has used of late go away before anything is
//! refused, so they count as free.

use std::num::NonZero;
use std::path::{Component, Path, PathBuf};

/// Address space that the C library sets aside for what a thread allocates.
const ARENA_BYTES: u64 = 64 << 20;
/// Address space of a module for WebAssembly of 32 bits.
const WASM_BYTES: u64 = 1 << 32;
/// Stack of a thread, as the standard library makes them.
const STACK_BYTES: u64 = 2 << 20;

/// Memory that this process can have without swapping, with what it has already, in bytes; `None` where the system does
/// not tell. Limits of containers and of the process count.
///
/// A WebAssembly module has an address space of 4 GiB. What the page grants of it is not told ahead.
pub fn available_bytes() -> Option<u64> {
    if cfg!(target_family = "wasm") {
        return Some(WASM_BYTES);
    }
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    System { root: Path::new("/"), processors: processors as u64 }.available_bytes()
}

/// The system's files, below a folder.
struct System<'a> {
    root: &'a Path,
    /// Threads that will run.
    processors: u64,
}

/// A control group's file system: version 2, or the part of version 1 that counts memory.
struct Mount {
    version_2: bool,
    /// The group whose folder the mount point is.
    group: PathBuf,
    point: PathBuf,
}

impl System<'_> {
    fn available_bytes(&self) -> Option<u64> {
        let status = self.text("/proc/self/status").unwrap_or_default();
        let own = |name| kilobytes(&status, name).unwrap_or(0);
        let free = kilobytes(&self.text("/proc/meminfo")?, "MemAvailable:")?;
        let rooms = self.group_rooms().into_iter().chain(self.own_rooms(&status));
        Some(rooms.fold(free, u64::min).saturating_add(own("VmRSS:")))
    }

    fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path.trim_start_matches('/'))).ok()
    }

    /// What each group that the process belongs to may still use.
    fn group_rooms(&self) -> Vec<u64> {
        let (groups, mounts) = (self.text("/proc/self/cgroup"), self.text("/proc/self/mountinfo"));
        let mounts: Vec<Mount> = mounts.iter().flat_map(|text| text.lines()).filter_map(Mount::parse).collect();
        let groups: Vec<(bool, &Path)> = groups.iter().flat_map(|text| text.lines()).filter_map(group).collect();
        let mut rooms = Vec::new();
        for (version_2, group) in groups {
            for mount in mounts.iter().filter(|mount| mount.version_2 == version_2) {
                let below = mount.below(group);
                // From the group up to the topmost that is seen.
                rooms.extend(below.ancestors().filter_map(|group| self.room(version_2, &mount.point.join(group))));
            }
        }
        rooms
    }

    /// What the group of this folder may still use; `None` where it has no limit.
    fn room(&self, version_2: bool, folder: &Path) -> Option<u64> {
        let folder = self.root.join(folder.strip_prefix("/").unwrap_or(folder));
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        let [limit, usage, unused] = match version_2 {
            true => ["memory.max", "memory.current", "inactive_file"],
            false => ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"],
        };
        // Other words than numbers stand for no limit.
        let limit: u64 = text(limit)?.trim().parse().ok()?;
        let usage: u64 = text(usage)?.trim().parse().ok()?;
        let statistics = text("memory.stat").unwrap_or_default();
        let unused = statistics.lines().find_map(|line| line.strip_prefix(unused)?.trim().parse::<u64>().ok());
        Some(limit.saturating_sub(usage.saturating_sub(unused.unwrap_or(0))))
    }

    /// What the limits of this process leave of its address space and of its data, without what threads that do not run
    /// yet will set aside.
    fn own_rooms(&self, status: &str) -> Vec<u64> {
        let limits = self.text("/proc/self/limits").unwrap_or_default();
        let limit = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name));
            line?.split_whitespace().next()?.parse::<u64>().ok()
        };
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse::<u64>().ok());
        // The thread that asks does not compute.
        let coming = self.processors.saturating_sub(threads.unwrap_or(1).saturating_sub(1));
        let room = |name: &str, used: &str, thread_bytes: u64| {
            let used = kilobytes(status, used)?.saturating_add(coming * thread_bytes);
            Some(limit(name)?.saturating_sub(used))
        };
        let address_space = room("Max address space", "VmSize:", ARENA_BYTES + STACK_BYTES);
        let data = room("Max data size", "VmData:", STACK_BYTES);
        address_space.into_iter().chain(data).collect()
    }
}

/// Version and group of a line `NUMBER:CONTROLLERS:GROUP`, where it is of memory: version 2 names no controllers.
fn group(line: &str) -> Option<(bool, &Path)> {
    let mut fields = line.splitn(3, ':');
    let (number, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
    let version_2 = number == "0" && controllers.is_empty();
    (version_2 || controllers.split(',').any(|name| name == "memory")).then_some((version_2, Path::new(group)))
}

impl Mount {
    /// A line of `mountinfo`: the root and the mount point are its fourth and fifth field; type, source and options
    /// follow a dash.
    fn parse(line: &str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (group, point) = (unescaped(place.next()?), unescaped(place.next()?));
        let mut kind = kind.split(' ');
        let version_2 = match kind.next()? {
            "cgroup2" => true,
            "cgroup" if kind.nth(1)?.split(',').any(|option| option == "memory") => false,
            _ => return None,
        };
        Some(Self { version_2, group: group.into(), point: point.into() })
    }

    /// A group's folder below the mount point; the mount point itself, where the group is not below it.
    fn below<'g>(&self, group: &'g Path) -> &'g Path {
        let below = group.strip_prefix(&self.group).unwrap_or(Path::new(""));
        let is_name = |part: Component<'_>| matches!(part, Component::Normal(_));
        if below.components().all(is_name) { below } else { Path::new("") }
    }
}

/// A path of `mountinfo`, in which spaces and other characters are octal numbers.
fn unescaped(path: &str) -> String {
    let known = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    known.iter().fold(path.to_owned(), |path, (code, character)| path.replace(code, character))
}

/// The line `NAME 123 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A system with 1000 MiB free, of which this process of one thread has 10 more, in a folder.
    fn system(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().expect("temporary folder");
        let status = "Name:\tx\nVmSize:\t  204800 kB\nVmRSS:\t   10240 kB\nVmData:\t   51200 kB\nThreads:\t1\n";
        let own = [("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:  1024000 kB\n"), ("proc/self/status", status)];
        for (path, text) in own.iter().chain(files) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        root
    }

    /// In MiB, on two processors.
    fn available(files: &[(&str, &str)]) -> u64 {
        let root = system(files);
        let bytes = System { root: root.path(), processors: 2 }.available_bytes().expect("told");
        assert_eq!(bytes % MIB, 0);
        bytes / MIB
    }

    const UNIFIED: (&str, &str) = ("proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");

    #[test]
    fn without_limits_what_is_free_is_available() {
        assert_eq!(available(&[]), 1010);
        assert_eq!(available(&[("proc/self/cgroup", "0::/\n"), UNIFIED]), 1010);
        let root = tempfile::tempdir().expect("temporary folder");
        assert_eq!(System { root: root.path(), processors: 1 }.available_bytes(), None, "nothing is told");
    }

    #[test]
    fn the_least_limit_of_all_groups_above_counts() {
        let group = "0::/slurm/job 1/step:0\n";
        let limited = |at: &str, megabytes: u64, used: u64| {
            let folder = format!("sys/fs/cgroup/{at}");
            let files = [("memory.max", megabytes), ("memory.current", used)];
            files.map(|(name, value)| (format!("{folder}{name}"), format!("{}\n", value * MIB)))
        };
        let of = |limits: &[[(String, String); 2]]| {
            let files = limits.iter().flatten().map(|(path, text)| (path.as_str(), text.as_str()));
            available(&[&[("proc/self/cgroup", group), UNIFIED], &files.collect::<Vec<_>>()[..]].concat())
        };
        assert_eq!(of(&[limited("slurm/job 1/step:0/", 500, 100)]), 410);
        assert_eq!(of(&[limited("slurm/job 1/", 300, 100)]), 210, "a parent's limit");
        assert_eq!(of(&[limited("slurm/", 50, 10), limited("slurm/job 1/step:0/", 500, 0)]), 50);
        assert_eq!(of(&[limited("", 40, 30)]), 20, "the root that a container sees");
        assert_eq!(of(&[limited("slurm/job 1/step:0/", 100, 200)]), 10, "nothing is left");
        assert_eq!(of(&[limited("slurm/job 2/", 50, 10), limited("other/", 1, 1)]), 1010, "others' limits");
        assert_eq!(of(&[limited("slurm/job 1/step:0/", 5000, 0)]), 1010, "a limit above what there is");
    }

    #[test]
    fn files_that_nobody_uses_are_free_and_words_are_no_limit() {
        let files = |max: &'static str| {
            let of = "sys/fs/cgroup/a/memory";
            let text = [
                (format!("{of}.max"), max.to_owned()),
                (format!("{of}.current"), format!("{}", 90 * MIB)),
                (format!("{of}.stat"), format!("anon 5\ninactive_file {}\nactive_file 7\n", 50 * MIB)),
            ];
            let files: Vec<(&str, &str)> = text.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            available(&[&[("proc/self/cgroup", "0::/a\n"), UNIFIED], &files[..]].concat())
        };
        assert_eq!(files("104857600\n"), 70);
        assert_eq!(files("max\n"), 1010);
    }

    #[test]
    fn version_1_counts_memory_by_its_own_mount() {
        let groups = "9:cpu,cpuacct:/elsewhere\n4:memory:/docker/abc/inner\n1:name=systemd:/\n0::/\n";
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      32 31 0:29 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      35 31 0:32 /docker/abc /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let of = |at: &str, limit: &str| {
            let folder = format!("sys/fs/cgroup/my memory{at}/memory");
            let text = [
                (format!("{folder}.limit_in_bytes"), limit.to_owned()),
                (format!("{folder}.usage_in_bytes"), format!("{}", 30 * MIB)),
                (format!("{folder}.stat"), format!("inactive_file 1\ntotal_inactive_file {}\n", 10 * MIB)),
            ];
            let files: Vec<(&str, &str)> = text.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            let places = [("proc/self/cgroup", groups), ("proc/self/mountinfo", hybrid)];
            available(&[&places, &files[..]].concat())
        };
        assert_eq!(of("/inner", "209715200\n"), 190);
        assert_eq!(of("", "104857600\n"), 90, "the container's own group");
        assert_eq!(of("/inner", "9223372036854771712\n"), 1010, "version 1's word for no limit");
        assert_eq!(of("/docker/abc/inner", "104857600\n"), 1010, "the path begins at the mount's root");
    }

    #[test]
    fn a_group_outside_of_what_is_mounted_has_the_limit_of_the_mount_point() {
        let limit = [("sys/fs/cgroup/memory.max", "104857600"), ("sys/fs/cgroup/memory.current", "0")];
        for group in ["0::/../../other\n", "0::/a/../../b\n", "0::/\n"] {
            assert_eq!(available(&[&[("proc/self/cgroup", group), UNIFIED], &limit[..]].concat()), 110, "{group}");
        }
    }

    #[test]
    fn limits_of_the_process_leave_room_for_threads() {
        let limits = |address_space: &str, data: &str| {
            let text = format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max data size             {data:20} unlimited            bytes     \n\
                 Max address space         {address_space:20} unlimited            bytes     \n"
            );
            available(&[("proc/self/limits", &text)])
        };
        let [none, mib_700] = ["unlimited".to_owned(), (700 * MIB).to_string()];
        assert_eq!(limits(&none, &none), 1010);
        // 200 MiB are mapped, and two threads will set 66 MiB aside.
        assert_eq!(limits(&mib_700, &none), 700 - 200 - 2 * 66 + 10);
        // 50 MiB are data.
        assert_eq!(limits(&none, &mib_700), 700 - 50 - 2 * 2 + 10);
        assert_eq!(limits(&mib_700, &mib_700), 700 - 200 - 2 * 66 + 10);
        assert_eq!(limits("1048576", &none), 10, "nothing is left");
    }
}
