//! What the suite for all back ends does not ask of the one on CUDA: where its work runs, what is refused, how it
//! fails.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use ff::Field;
use halo2curves::bn256::Fr;
use zkml_gpu_engine::BackendError;
use zkml_gpu_engine::backend::cuda::{Cuda, Options, Programs, devices};
use zkml_gpu_engine::backend::program::ProgramBuilder;
use zkml_gpu_engine::backend::{Cpu, MemoryOps, MsmOps, NttOps, QuotientOps, VectorOps};
use zkml_gpu_kernels::cuda::HOST_NAME;
use zkml_gpu_tests::conformance::data::Points;
use zkml_gpu_tests::cuda::{self, configure, configure_compiler, is_real};
use zkml_gpu_tests::device::{
    evaluate, every_operation_runs_on, folded, folds_run_on, integers_travel_as_such, long_programs_run_on, random,
    sums_run_on,
};

/// The device; without one, which `cuda` says aloud, the test is skipped.
macro_rules! device {
    ($device:expr) => {
        match $device {
            Some(device) => device,
            None => return,
        }
    };
}

/// Names the device, or says that tests are skipped: `scripts/test.sh` shows it before all others.
#[test]
fn a_device_opens_where_there_is_a_compiler() {
    match cuda::whole() {
        Some(device) => println!("CUDA tests run on {}", device.description()),
        None => println!("CUDA tests are SKIPPED: no C++ compiler (Debian: g++)"),
    }
}

#[test]
fn every_operation_runs_on_the_device_and_moves_no_column() {
    let gpu = device!(cuda::own(interpreted));
    every_operation_runs_on(&gpu, Cuda::counters);
}

fn interpreted(options: Options) -> Options {
    options.with_programs(Programs::Interpreted)
}

#[test]
fn integers_travel_to_the_device_as_such() {
    let gpu = device!(cuda::own(interpreted));
    integers_travel_as_such(&gpu, Cuda::counters);
}

#[test]
fn folds_run_on_the_device_and_move_factors_alone() {
    let gpu = device!(cuda::own(interpreted));
    folds_run_on(&gpu, Cuda::counters);
}

/// Four bits are the narrowest window: 64 of them in a scalar.
#[test]
fn sums_run_on_the_device_and_move_no_column() {
    let gpu = device!(cuda::own(interpreted));
    sums_run_on(&gpu, Cuda::counters, 64);
}

/// Few points with room for all their multiples: three kernels, one copy to the device and one wait, of any columns.
#[test]
fn sums_of_few_points_sort_nothing() {
    let gpu = device!(cuda::own(interpreted));
    let points = Points::Distinct.make(1000, 1);
    let columns = [random(1000, 1), vec![Fr::ONE; 7], vec![], vec![-Fr::from(3); 1000]];
    let resident: Vec<_> = columns.iter().map(|column| gpu.upload(column).expect("uploads")).collect();
    let references: Vec<_> = resident.iter().collect();
    let sums = |budget: usize| {
        let bases = gpu.load_bases(&points, budget).expect("loads");
        let before = gpu.counters();
        let sums = gpu.msm(&bases, &references).expect("sums");
        let after = gpu.counters();
        let asked = [after.launches() - before.launches(), after.copies - before.copies, after.waits - before.waits];
        (gpu.table_bytes(&bases), sums, asked)
    };
    let (sorted_bytes, sorted, _) = sums(0);
    let (bytes, direct, [launches, copies, waits]) = sums(64 * 816 * points.len());
    assert_eq!((sorted_bytes, bytes), (Some(0), Some(64 * 816 * points.len())));
    assert_eq!(direct, sorted);
    assert!(launches <= 3 && copies == 2 && waits == 1, "{launches} launches, {copies} copies, {waits} waits");
}

/// Blocks that run at a time invert by themselves; the products of more are inverted together.
#[test]
fn inversions_of_few_blocks_take_one_kernel() {
    let gpu = device!(cuda::own(interpreted));
    let blocks = 8 * if is_real() { 1 << 10 } else { 2 };
    for (len, few) in [(1024, true), (1024 * blocks + 1, false)] {
        let mut values = random(len, 1);
        values[len / 2] = Fr::ZERO;
        let mut vector = gpu.upload(&values).expect("uploads");
        let before = gpu.counters().launches();
        gpu.batch_invert(&mut vector).expect("inverts");
        assert_eq!(gpu.counters().launches() - before == 1, few, "{len} rows");
        let mut expected = Cpu::new().upload(&values).expect("uploads");
        Cpu::new().batch_invert(&mut expected).expect("inverts");
        assert_eq!(gpu.download(&vector), Cpu::new().download(&expected), "{len} rows");
    }
}

#[test]
fn compiled_and_interpreted_programs_agree_with_the_processor() {
    for programs in [Programs::Generated, Programs::Interpreted] {
        let gpu = device!(cuda::own(|options| options.with_programs(programs)));
        assert_eq!(gpu.programs(), Some(programs));
        long_programs_run_on(&gpu, 300);
    }
}

/// A device with a cache of its own, whose programs are compiled after so many multiplications.
fn with_cache(folder: &Path, compile_after: u64) -> Option<Cuda> {
    cuda::own(|options| options.with_cache(folder.to_owned()).with_compilation_after(compile_after))
}

/// Nobody waits for kernels of a program's own: the interpreter runs until they are there, or for good.
#[test]
fn programs_are_interpreted_while_their_kernels_are_compiled() {
    if !is_alone("programs_are_interpreted_while_their_kernels_are_compiled") {
        return;
    }
    let values = [random(100, 1), random(100, 2)];
    let expected = evaluate(&Cpu::new(), &folded(), &values).remove(0);
    let folder = tempfile::tempdir().expect("a folder");
    // The second evaluation starts compilation; the last case never does.
    for (refuses, after) in [(1, 1 << 17), (0, u64::MAX), (0, 1 << 17)] {
        let gpu = device!(with_cache(folder.path(), after));
        assert_eq!(gpu.programs(), None);
        let columns = values.each_ref().map(|values| gpu.upload(values).expect("uploads"));
        let program = gpu.compile(&folded()).expect("compiles");
        let run = || {
            let outputs = gpu.evaluate(&program, 100, &columns.each_ref(), &[Fr::from(3)]).expect("evaluates");
            assert_eq!(gpu.download(&outputs[0]).as_ref(), Ok(&expected));
            program.is_compiled()
        };
        assert!(!run(), "the first evaluation has the interpreter's kernel compiled, and no other");
        device!(configure_compiler("refuses", refuses).or(is_real().then_some(())));
        let compiles = after < u64::MAX && (refuses == 0 || is_real());
        let tries = if compiles { 6000 } else { 20 };
        let runs = (0..tries).map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            run()
        });
        assert_eq!(runs.into_iter().any(|compiled| compiled), compiles, "{refuses}, {after}");
        device!(configure_compiler("refuses", 0).or(is_real().then_some(())));
    }
    // Whoever has the cache waits for nothing.
    let gpu = device!(with_cache(folder.path(), u64::MAX));
    assert!(gpu.compile(&folded()).expect("compiles").is_compiled());
    assert_eq!(evaluate(&gpu, &folded(), &values).remove(0), expected);
}

/// Runs one test of this file in a process of its own, which an environment variable tells so.
fn alone(name: &str, variable: &str, value: &str) -> String {
    let name = &format!("cuda::{name}");
    let mut run = Command::new(std::env::current_exe().expect("this program has a path"));
    let output = run.args(["--exact", "--nocapture", name]).env(variable, value).output().expect("the test starts");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{:?}\n{text}", output.status);
    text
}

/// Whether this is the test's own process, where it may change settings of the host's driver and compiler; if not, runs it
/// in one.
fn is_alone(name: &str) -> bool {
    const VARIABLE: &str = "ZKML_TEST_ALONE";
    let own = std::env::var(VARIABLE).is_ok_and(|alone| alone == name);
    if !own {
        alone(name, VARIABLE, name);
    }
    own
}

/// The compiler's library must not end below a thread that is in it, and what it has begun is for the next process.
#[test]
fn a_process_that_ends_waits_for_compilations_that_have_begun() {
    const VARIABLE: &str = "ZKML_TEST_END";
    if let Some(folder) = std::env::var_os(VARIABLE) {
        let gpu = device!(with_cache(Path::new(&folder), 0));
        let values = [random(100, 1), random(100, 2)];
        assert_eq!(evaluate(&gpu, &folded(), &values), evaluate(&Cpu::new(), &folded(), &values));
        return;
    }
    device!(cuda::whole());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_string_lossy().into_owned();
    alone("a_process_that_ends_waits_for_compilations_that_have_begun", VARIABLE, &path);
    let gpu = device!(with_cache(folder.path(), u64::MAX));
    assert!(gpu.compile(&folded()).expect("compiles").is_compiled());
}

/// Only what gives host values waits for the device.
#[test]
fn the_host_waits_for_values_only() {
    let gpu = device!(cuda::own(interpreted));
    let mut a = gpu.upload(&random(100, 1)).expect("uploads");
    let b = gpu.zeros(100).expect("zeros");
    let shorter = gpu.slice(&a, 0..64).expect("copies");
    gpu.add_assign(&mut a, &b).expect("adds");
    gpu.batch_invert(&mut a).expect("inverts");
    gpu.coset_ntt(&[&shorter], Fr::from(7)).expect("transforms");
    gpu.divide_by_linear(&a, Fr::from(3)).expect("divides");
    assert_eq!(gpu.counters().waits, 0);
    gpu.read_range(&a, 0..2).expect("reads");
    assert_eq!(gpu.counters().waits, 1);
    gpu.eval_polynomials(&[(&a, Fr::ONE), (&b, Fr::ONE)]).expect("evaluates");
    assert_eq!(gpu.counters().waits, 2);
    let bases = gpu.load_bases(&Points::Distinct.make(100, 1), 0).expect("loads");
    gpu.msm(&bases, &[&a, &b, &shorter]).expect("sums");
    assert_eq!(gpu.counters().waits, 4, "one for the sizes of all columns' digits, one for the sums");
}

#[test]
fn exhausted_memory_is_an_error_that_says_how_much_was_asked_for() {
    let gpu = device!(cuda::own(|mut options| {
        options.memory_bytes = Some(1 << 20);
        interpreted(options)
    }));
    let refused = gpu.zeros(1 << 20).map(drop);
    let Err(BackendError::OutOfMemory { operation: "zeros", bytes, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!(*bytes, 32 << 20);
    let vector = gpu.upload(&[Fr::ONE]).expect("uploads");
    assert_eq!(gpu.download(&vector), Ok(vec![Fr::ONE]));
}

/// Twelve columns and their results fit, twice as much does not.
#[test]
fn transforms_of_more_columns_than_fit_at_once_are_split() {
    let rows = 1 << 12;
    let bytes = 32 * rows as u64;
    let gpu = device!(cuda::own(|mut options| {
        options.memory_bytes = Some(30 * bytes);
        interpreted(options)
    }));
    let columns: Vec<_> = (0..12).map(|seed| gpu.upload(&random(rows, seed)).expect("uploads")).collect();
    let columns: Vec<_> = columns.iter().collect();
    let all = gpu.ntt(&columns).expect("transforms");
    for (column, transformed) in columns.iter().zip(&all) {
        let alone = gpu.ntt(&[column]).expect("transforms").remove(0);
        assert!(gpu.download(&alone) == gpu.download(transformed));
    }
    assert!(gpu.counters().peak_bytes_used <= 30 * bytes);
}

/// Two columns and the output fit with some of the many results that are needed all at once.
#[test]
fn programs_with_more_results_than_fit_are_evaluated_piece_by_piece() {
    let (rows, results) = (1 << 12, 200);
    let bytes = 32 * rows as u64;
    let mut nodes = ProgramBuilder::new();
    let (a, b) = (nodes.column(0, 1), nodes.column(1, -3));
    let mut terms = vec![a, b];
    for i in 0..results {
        terms.push(nodes.mul(terms[i], terms[i + 1]));
    }
    // Every result is met once more, the last first.
    let sum = terms.iter().rev().copied().reduce(|sum, term| nodes.add(sum, term)).expect("terms");
    let program = nodes.finish(&[sum]);
    let values = [random(rows, 1), random(rows, 2)];
    let gpu = device!(cuda::own(|mut options| {
        options.memory_bytes = Some(20 * bytes);
        interpreted(options)
    }));
    assert!(evaluate(&gpu, &program, &values) == evaluate(&Cpu::new(), &program, &values));
    assert!(gpu.counters().peak_bytes_used <= 20 * bytes);
}

/// What was dropped and is kept is given back before an allocation fails: pieces of other sizes are in the way.
#[test]
fn memory_that_others_took_is_found_again() {
    if !is_alone("memory_that_others_took_is_found_again") {
        return;
    }
    let bytes = 64 << 20;
    device!(configure("memory_bytes", bytes));
    let gpu = device!(cuda::own(interpreted));
    for quarters in [3, 2, 3, 2] {
        gpu.zeros(quarters * bytes as usize / 4 / 32).expect("what was freed before is free");
    }
}

#[test]
fn tables_of_points_shrink_to_what_fits() {
    let gpu = device!(cuda::own(|mut options| {
        options.memory_bytes = Some(1 << 20);
        interpreted(options)
    }));
    let bases = gpu.load_bases(&Points::Distinct.make(1 << 10, 1), 1 << 30).expect("loads");
    assert!(gpu.table_bytes(&bases).expect("told") <= 1 << 19);
}

/// A machine without a device fails the tests that ask for one, whatever else it has: a compiler, with which the host
/// could stand in, or the host's driver where the loader finds it first.
#[test]
fn the_host_never_stands_in_for_a_device_that_is_asked_for() {
    if is_real() {
        return;
    }
    let libraries = device!(cuda::libraries());
    let names = [
        "cuda::a_device_opens_where_there_is_a_compiler",
        "cuda::devices_are_listed_and_what_cannot_be_used_says_why",
        "cuda::a_cache_that_is_damaged_or_cannot_be_written_is_done_without",
    ];
    for folder in [None, Some(libraries)] {
        let mut run = Command::new(std::env::current_exe().expect("this program has a path"));
        // In one process, so that what one test loads would be there for the others.
        run.args(["--exact", "--nocapture", "--test-threads=1"]).args(names).env("ZKML_TEST_CUDA", "device");
        run.envs(folder.map(|folder| ("LD_LIBRARY_PATH", folder)));
        let output = run.output().expect("the tests start");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(text.contains("running 3 tests"), "{text}");
        // On a machine that has a device these are tests of that.
        let has_device = folder.is_none() && text.contains("3 passed; 0 failed");
        assert!(has_device || text.contains("0 passed; 3 failed"), "{text}");
        assert!(!text.contains(&format!("CUDA tests run on {HOST_NAME}")), "{text}");
    }
}

#[test]
fn devices_are_listed_and_what_cannot_be_used_says_why() {
    if is_real() {
        let found = devices().expect("a driver");
        assert!(found.iter().all(|device| device.name != HOST_NAME), "{found:?}");
        assert!(found.iter().any(|device| device.reason.is_none()), "{found:?}");
        return;
    }
    if !is_alone("devices_are_listed_and_what_cannot_be_used_says_why") {
        return;
    }
    device!(cuda::libraries());
    let found = devices().expect("a driver");
    assert!(found[0].to_string().contains("compute capability 9.0"), "{}", found[0]);
    assert_eq!((found.len(), found[0].reason.clone()), (1, None));
    let refused = Cuda::new(1).map(drop).expect_err("there is one");
    assert!(refused.to_string().contains("no such device: the driver knows 1"), "{refused}");
    configure("capability", 61);
    let reason = devices().expect("a driver")[0].reason.clone().expect("a reason");
    assert!(reason.contains("compute capability 6.1"), "{reason}");
    assert!(Cuda::new(0).is_err());
    configure("capability", 90);
    configure("version", 11_080);
    let reason = devices().expect_err("too old");
    assert!(reason.contains("supports CUDA 11.8") && reason.contains("install release 525"), "{reason}");
    configure("version", 13_000);
    configure("devices", 0);
    let reason = devices().expect_err("no device");
    assert!(reason.contains("finds no device"), "{reason}");
}

/// The driver gives a kernel's failure to every later call of the process: opening again would be of no use.
#[test]
fn a_device_whose_kernel_fails_is_lost_for_the_whole_process() {
    const VARIABLE: &str = "ZKML_TEST_LOSS";
    if is_real() {
        return;
    }
    let Ok(failure) = std::env::var(VARIABLE) else {
        device!(cuda::whole());
        // A launch that failed, a context that is gone, an assertion, an error that the driver does not know.
        for failure in ["719", "709", "710", "999"] {
            alone("a_device_whose_kernel_fails_is_lost_for_the_whole_process", VARIABLE, failure);
        }
        return;
    };
    let gpu = device!(cuda::own(interpreted));
    let mut vector = gpu.upload(&random(10, 1)).expect("uploads");
    device!(configure("launch_failure", failure.parse().expect("a number")));
    let refused = gpu.scale(&mut vector, Fr::ONE).expect_err("a launch that fails");
    assert!(matches!(refused, BackendError::Device { operation: "scale", .. }), "{refused}");
    device!(configure("launch_failure", 0));
    assert!(gpu.is_lost());
    let refused = gpu.upload(&[Fr::ONE]).map(drop).expect_err("lost");
    assert!(refused.to_string().contains("the device is lost: "), "{refused}");
    let refused = Cuda::new(0).map(drop).expect_err("no other opens");
    assert!(refused.to_string().contains("of no use to this process any more"), "{refused}");
}

fn scales(gpu: &Cuda) -> Result<(), BackendError> {
    gpu.scale(&mut gpu.upload(&random(10, 1)).expect("uploads"), Fr::ONE)
}

/// A driver takes no code of a compiler that it does not know, which is told; an older compiler's is not mistaken for it.
#[test]
fn code_that_the_driver_refuses_is_told_and_compiled_anew() {
    if !is_alone("code_that_the_driver_refuses_is_told_and_compiled_anew") {
        return;
    }
    device!(configure_compiler("release", 13_010));
    let folder = tempfile::tempdir().expect("a folder");
    let own = || cuda::own(|options| interpreted(options.with_cache(folder.path().to_owned())));
    let refused = scales(&device!(own())).expect_err("code of a newer compiler").to_string();
    assert!(refused.contains("no code of NVRTC 13.1: it supports CUDA 13.0"), "{refused}");
    device!(configure_compiler("release", 13_000));
    let gpu = device!(own());
    assert_eq!(scales(&gpu), Ok(()));
    // What there is of this compiler's may be refused as well.
    let kept = || folder.path().read_dir().expect("the folder").filter_map(Result::ok).map(|entry| entry.path());
    let of_release = |release: &str| kept().find(|path| path.to_string_lossy().ends_with(release)).expect("code");
    std::fs::copy(of_release("nvrtc_13.1.cubin"), of_release("nvrtc_13.0.cubin")).expect("copies");
    assert_eq!(scales(&device!(own())), Ok(()));
}

/// Code for a device of the same generation runs on a later one, whose own name the compiler need not know.
#[test]
fn devices_that_the_compiler_does_not_know_run_code_of_their_generation() {
    if !is_alone("devices_that_the_compiler_does_not_know_run_code_of_their_generation") {
        return;
    }
    device!(configure("capability", 89));
    let folder = tempfile::tempdir().expect("a folder");
    let own = || cuda::own(|options| interpreted(options.with_cache(folder.path().to_owned())));
    assert_eq!(scales(&device!(own())), Ok(()));
    let names: Vec<_> = folder.path().read_dir().expect("the folder").filter_map(Result::ok).collect();
    assert!(names.iter().all(|entry| entry.file_name().to_string_lossy().contains("-sm_80-")), "{names:?}");
    assert_eq!(names.len(), 1, "no lock is left");
    // Code that is there is used where the compiler knows nothing of the generation.
    device!(configure_compiler("last_architecture", 75));
    assert_eq!(scales(&device!(own())), Ok(()));
    device!(configure("capability", 100));
    let refused = scales(&device!(own())).expect_err("nothing for this generation").to_string();
    assert!(refused.contains("compiles nothing for compute capability 10.0; install newer NVRTC"), "{refused}");
}

/// Code that a cache holds only in part is compiled anew.
#[test]
fn a_cache_that_is_damaged_or_cannot_be_written_is_done_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("no folder");
    std::fs::write(&file, "a file").expect("writes");
    for cache in [folder.path().to_owned(), folder.path().to_owned(), file] {
        let gpu = device!(cuda::own(|options| interpreted(options.with_cache(cache))));
        let mut vector = gpu.upload(&random(10, 1)).expect("uploads");
        gpu.scale(&mut vector, Fr::ONE).expect("scales");
        for entry in folder.path().read_dir().expect("the folder").filter_map(Result::ok) {
            if entry.path().extension().is_some_and(|extension| extension == "cubin") {
                let bytes = std::fs::read(entry.path()).expect("reads");
                std::fs::write(entry.path(), &bytes[..bytes.len() - 1]).expect("writes");
            }
        }
    }
}

#[test]
fn a_device_is_measured() {
    let gpu = device!(cuda::own(interpreted));
    let throughput = gpu.throughput().expect("measures");
    let all = [throughput.wide_products, throughput.multiplications, throughput.additions];
    let copies = [throughput.copied_bytes, throughput.uploaded_bytes, throughput.downloaded_bytes];
    assert!(all.iter().chain(&copies).all(|rate| rate.is_finite() && *rate > 0.0), "{throughput:?}");
    // A multiplication takes more than a hundred products, and an addition ten multiplications.
    assert!(
        throughput.wide_products > throughput.multiplications && throughput.multiplications > throughput.additions,
        "{throughput:?}"
    );
}
