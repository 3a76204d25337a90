//! Every back end against the oracle, operation by operation.

use halo2curves::bn256::Fr;
use zkml_gpu_engine::BackendError;
use zkml_gpu_engine::backend::cpu::Cpu;
use zkml_gpu_engine::backend::dual::Dual;
use zkml_gpu_engine::backend::{Backend, MemoryOps, Result};
use zkml_gpu_tests::conformance::data::Points;
use zkml_gpu_tests::naive::Naive;
use zkml_gpu_tests::{conformance_suite, cuda, gpu};

conformance_suite!(cpu, Cpu::new());
// Where the processor has them and they are not what `cpu` has.
conformance_suite!(cpu_avx2, maybe Cpu::each().iter().skip(1).find(|cpu| cpu.instructions() == "AVX2"));
conformance_suite!(cpu_portable, Cpu::portable());
conformance_suite!(dual, Dual::new(Cpu::new(), Naive::new()));
conformance_suite!(cuda_whole, maybe cuda::whole());
conformance_suite!(cuda_least, maybe cuda::least());
conformance_suite!(wgpu, maybe gpu::whole());
conformance_suite!(wgpu_least, maybe gpu::least());

/// A little of everything, as a prover would.
fn session<B: Backend>(backend: &B) -> Result<()> {
    let bases = backend.load_bases(&Points::Distinct.make(8, 1), 0)?;
    let column = backend.upload(&[5, 3, 8, 1, 2, 9, 4, 7].map(Fr::from))?;
    backend.msm(&bases, &[&column])?;
    let coefficients = backend.intt(&[&column])?;
    backend.coset_ntt(&[&coefficients[0]], Fr::from(7))?;
    let mut product = backend.prefix_product(&column, Fr::one())?;
    backend.batch_invert(&mut product)?;
    backend.permute_lookup(&column, &column, 8)?;
    backend.eval_polynomials(&[(&coefficients[0], Fr::from(3))])?;
    Ok(())
}

#[test]
fn dual_names_the_first_operation_that_differs() {
    let operations = ["upload", "msm", "intt", "coset_ntt", "prefix_product", "batch_invert", "eval_polynomials"];
    for broken in operations {
        let dual = Dual::new(Cpu::new(), Naive::with_fault(broken));
        let Err(BackendError::Divergence { operation, left, right, index }) = session(&dual) else {
            panic!("the fault in {broken} went unnoticed");
        };
        let last = if ["msm", "eval_polynomials"].contains(&broken) { 0 } else { 7 };
        assert_eq!((operation, index), (broken, last));
        assert_eq!((left.as_str(), right.as_str()), ("cpu", "naive"));
    }
}

#[test]
fn dual_accepts_back_ends_that_agree() {
    assert_eq!(session(&Dual::new(Cpu::new(), Naive::new())), Ok(()));
    assert_eq!(Dual::new(Cpu::new(), Naive::new()).name(), "dual(cpu, naive)");
}
