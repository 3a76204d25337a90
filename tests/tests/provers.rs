//! The drop-in on a back end of the caller's choice, with keys that stay loaded, and with errors in full.

use std::slice;
use std::sync::{Arc, LazyLock, Mutex};
use std::thread::{self, ThreadId};

use halo2_proofs::plonk::{Error, ProvingKey, keygen_pk, keygen_vk, verify_proof};
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::{ProverGWC, ProverSHPLONK, VerifierGWC, VerifierSHPLONK};
use halo2_proofs::poly::kzg::strategy::SingleStrategy;
use halo2_proofs::transcript::{Blake2bRead, Blake2bWrite, Challenge255, TranscriptReadBuffer, TranscriptWriterBuffer};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tracing::field::{Field, Visit};
use tracing::span::Attributes;
use tracing::{Event, Id, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use zkml_gpu_engine::backend::{Any, BackendChoice, Cpu, Dual};
use zkml_gpu_engine::prover::TRACING_TARGET;
use zkml_gpu_engine::{Opening, ProverError, Provers, create_proof, create_proof_on, try_create_proof};
use zkml_gpu_tests::zoo::{Arithmetic, Empty, Product, Public, RangeCheck, Specimen};

const SEED: u64 = 20_261_129;

type Write = Blake2bWrite<Vec<u8>, G1Affine, Challenge255<G1Affine>>;
type Scheme = KZGCommitmentScheme<Bn256>;

fn rng(stream: u64) -> ChaCha20Rng {
    LazyLock::force(&TOLD);
    println!("seed {SEED}, stream {stream}");
    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    rng.set_stream(stream);
    rng
}

fn keys<C: Specimen>(stream: u64) -> (ParamsKZG<Bn256>, ProvingKey<G1Affine>) {
    let params = ParamsKZG::setup(C::K, rng(stream));
    let vk = keygen_vk(&params, &C::honest()).unwrap();
    let pk = keygen_pk(&params, vk, &C::honest()).unwrap();
    (params, pk)
}

/// Calls with the circuit's public inputs and an empty transcript; the proof.
fn proof<C: Specimen, F>(
    circuit: &C,
    call: impl FnOnce(&[&[&[Fr]]], &mut Write) -> Result<(), F>,
) -> Result<Vec<u8>, F> {
    let instances = circuit.instances();
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let mut transcript = Write::init(Vec::new());
    call(&[&columns], &mut transcript)?;
    Ok(transcript.finalize())
}

fn kept<C: Specimen + Clone>(
    provers: &Provers<Any>,
    (params, pk): &(ParamsKZG<Bn256>, ProvingKey<G1Affine>),
    circuit: &C,
) -> Result<Vec<u8>, ProverError> {
    proof(circuit, |instances, transcript| {
        provers.try_create_proof::<Scheme, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            params,
            pk,
            slice::from_ref(circuit),
            instances,
            rng(9),
            transcript,
        )
    })
}

/// Whether the stock verifier accepts.
fn is_accepted<C: Specimen>(
    (params, pk): &(ParamsKZG<Bn256>, ProvingKey<G1Affine>),
    circuit: &C,
    proof: &[u8],
) -> bool {
    let instances = circuit.instances();
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let mut transcript = Blake2bRead::<_, _, Challenge255<_>>::init(proof);
    verify_proof::<Scheme, VerifierSHPLONK<'_, Bn256>, _, _, _>(
        params,
        pk.get_vk(),
        SingleStrategy::new(params),
        &[&columns],
        &mut transcript,
    )
    .is_ok()
}

fn cpu() -> Any {
    BackendChoice::Cpu.open().unwrap()
}

/// What the engine told, by thread: keys that were loaded, and the errors of proofs that were not made. One subscriber
/// for the process, there before any test proves: `tracing` remembers of a span that nobody listened.
#[derive(Default)]
struct Told {
    loads: Mutex<Vec<ThreadId>>,
    errors: Mutex<Vec<(ThreadId, String)>>,
}

static TOLD: LazyLock<Arc<Told>> = LazyLock::new(|| {
    let told = Arc::new(Told::default());
    let subscriber = tracing_subscriber::registry().with(Listener(told.clone()));
    tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    told
});

/// Keys that these threads have loaded.
fn loads_of(threads: &[ThreadId]) -> usize {
    TOLD.loads.lock().unwrap().iter().filter(|thread| threads.contains(thread)).count()
}

/// Keys that this thread has loaded.
fn loads() -> usize {
    loads_of(&[thread::current().id()])
}

/// Errors that this thread was told.
fn errors() -> Vec<String> {
    let errors = TOLD.errors.lock().unwrap();
    let own = errors.iter().filter(|(thread, _)| *thread == thread::current().id());
    own.map(|(_, error)| error.clone()).collect()
}

struct Listener(Arc<Told>);

impl<S: Subscriber> Layer<S> for Listener {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "load_key" {
            self.0.loads.lock().unwrap().push(thread::current().id());
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == TRACING_TARGET {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.errors.lock().unwrap().push((thread::current().id(), text.0));
        }
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "error" {
            self.0 += &format!("{value:?}");
        }
    }
}

#[test]
fn proofs_are_the_same_by_every_call_and_on_every_back_end() {
    let keys = keys::<Public>(0);
    let (params, pk) = &keys;
    let circuit = Public::honest();
    let plain = proof(&circuit, |instances, transcript| {
        create_proof::<Scheme, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            params,
            pk,
            slice::from_ref(&circuit),
            instances,
            rng(9),
            transcript,
        )
    })
    .unwrap();
    assert!(is_accepted(&keys, &circuit, &plain));
    assert!(!is_accepted(&keys, &Public::other(), &plain));
    for name in ["cpu", "auto", "dual:cpu,cpu"] {
        let on = proof(&circuit, |instances, transcript| {
            let backend = name.parse::<BackendChoice>().unwrap().open().unwrap();
            create_proof_on::<Scheme, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
                backend,
                params,
                pk,
                slice::from_ref(&circuit),
                instances,
                rng(9),
                transcript,
            )
        });
        assert_eq!(on.unwrap(), plain, "{name}");
    }
    let provers = Provers::new(Any::new(Dual::new(Cpu::new(), Cpu::portable())), 1);
    for _ in 0..2 {
        assert_eq!(kept(&provers, &keys, &circuit).unwrap(), plain);
    }
}

#[test]
fn a_key_is_loaded_once_for_all_of_its_proofs() {
    let keys = keys::<Public>(0);
    let provers = Provers::new(cpu(), 2);
    for circuit in [Public::honest(), Public::other(), Public::honest()] {
        let proof = kept(&provers, &keys, &circuit).unwrap();
        assert!(is_accepted(&keys, &circuit, &proof));
    }
    assert_eq!((loads(), provers.len()), (1, 1));
    provers.clear();
    assert!(provers.is_empty());
    kept(&provers, &keys, &Public::honest()).unwrap();
    assert_eq!(loads(), 2);
}

#[test]
fn threads_share_one_prover() {
    let keys = keys::<Public>(0);
    let provers = Provers::new(cpu(), 1);
    let alone = kept(&provers, &keys, &Public::honest()).unwrap();
    provers.clear();
    let prove = || (thread::current().id(), kept(&provers, &keys, &Public::honest()).unwrap());
    let (threads, proofs): (Vec<ThreadId>, Vec<Vec<u8>>) = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(prove)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).unzip()
    });
    assert_eq!(loads_of(&threads), 1);
    assert!(proofs.iter().all(|proof| *proof == alone));
}

#[test]
fn the_key_that_was_used_longest_ago_makes_room() {
    let (sums, products, ranges) = (keys::<Arithmetic>(0), keys::<Product>(0), keys::<RangeCheck>(0));
    // None is less than can be kept.
    for (most, kept_at_most) in [(0, 1), (2, 2)] {
        let provers = Provers::new(cpu(), most);
        kept(&provers, &sums, &Arithmetic::honest()).unwrap();
        kept(&provers, &products, &Product::honest()).unwrap();
        kept(&provers, &sums, &Arithmetic::honest()).unwrap();
        kept(&provers, &ranges, &RangeCheck::honest()).unwrap();
        assert_eq!(provers.len(), kept_at_most);
        let before = loads();
        kept(&provers, &ranges, &RangeCheck::honest()).unwrap();
        assert_eq!(loads(), before);
        kept(&provers, &sums, &Arithmetic::honest()).unwrap();
        assert_eq!(loads(), before + usize::from(kept_at_most == 1));
        kept(&provers, &products, &Product::honest()).unwrap();
        assert_eq!(loads(), before + 1 + usize::from(kept_at_most == 1));
    }
}

#[test]
fn openings_have_provers_of_their_own() {
    let keys = keys::<Public>(0);
    let (params, pk) = &keys;
    let circuit = Public::honest();
    let provers = Provers::new(cpu(), 2);
    let shplonk = kept(&provers, &keys, &circuit).unwrap();
    let gwc = proof(&circuit, |instances, transcript| {
        provers.create_proof::<Scheme, ProverGWC<'_, Bn256>, _, _, _, _>(
            params,
            pk,
            slice::from_ref(&circuit),
            instances,
            rng(9),
            transcript,
        )
    })
    .unwrap();
    assert_eq!(provers.len(), 2);
    let instances = circuit.instances();
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let is_gwc = |proof: &[u8]| {
        let mut transcript = Blake2bRead::<_, _, Challenge255<_>>::init(proof);
        let strategy = SingleStrategy::new(params);
        let instances = [&columns[..]];
        verify_proof::<Scheme, VerifierGWC<'_, Bn256>, _, _, _>(
            params,
            pk.get_vk(),
            strategy,
            &instances,
            &mut transcript,
        )
        .is_ok()
    };
    assert!(is_gwc(&gwc) && !is_gwc(&shplonk));
    assert!(is_accepted(&keys, &circuit, &shplonk) && !is_accepted(&keys, &circuit, &gwc));
}

/// A circuit without fixed columns has the same verifying key for all reference strings.
#[test]
fn reference_strings_have_provers_of_their_own() {
    let (ours, theirs) = (keys::<Empty>(0), keys::<Empty>(1));
    assert_eq!(ours.1.get_vk().transcript_repr(), theirs.1.get_vk().transcript_repr());
    let provers = Provers::new(cpu(), 2);
    for keys in [&ours, &theirs, &ours] {
        let proof = kept(&provers, keys, &Empty::honest()).unwrap();
        assert!(is_accepted(keys, &Empty::honest(), &proof));
    }
    assert_eq!(provers.len(), 2);
    let [first, second] = [&ours, &theirs].map(|(params, pk)| provers.prover(params, pk, Opening::Shplonk).unwrap());
    assert!(!Arc::ptr_eq(&first, &second));
}

/// What each of the calls says to a circuit with these instances, and that the stock errors leave ours in the log.
fn refusals<C: Specimen + Clone>(
    keys: &(ParamsKZG<Bn256>, ProvingKey<G1Affine>),
    circuit: &C,
    instances: &[Vec<Fr>],
    is_expected: impl Fn(&ProverError) -> bool,
) -> Error {
    let before = errors().len();
    let (params, pk) = keys;
    let columns: Vec<&[Fr]> = instances.iter().map(Vec::as_slice).collect();
    let columns = [&columns[..]];
    let circuits = [circuit.clone()];
    let transcript = &mut Write::init(Vec::new());
    let rich = try_create_proof::<Scheme, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        Cpu::new(),
        params,
        pk,
        &circuits,
        &columns,
        rng(9),
        transcript,
    )
    .unwrap_err();
    assert!(is_expected(&rich), "{rich}");
    assert_eq!(errors().len(), before, "who has the error needs no log");
    let provers = Provers::new(cpu(), 1);
    let transcript = &mut Write::init(Vec::new());
    let again = provers
        .try_create_proof::<Scheme, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
            params,
            pk,
            &circuits,
            &columns,
            rng(9),
            transcript,
        )
        .unwrap_err();
    assert_eq!(again.to_string(), rich.to_string());
    let transcript = &mut Write::init(Vec::new());
    let stock = create_proof::<Scheme, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        params,
        pk,
        &circuits,
        &columns,
        rng(9),
        transcript,
    )
    .unwrap_err();
    let transcript = &mut Write::init(Vec::new());
    let same = provers.create_proof::<Scheme, ProverSHPLONK<'_, Bn256>, _, _, _, _>(
        params,
        pk,
        &circuits,
        &columns,
        rng(9),
        transcript,
    );
    assert_eq!(same.unwrap_err().to_string(), stock.to_string());
    assert_eq!(errors()[before..], [rich.to_string(), rich.to_string()]);
    stock
}

#[test]
fn wrong_witnesses_are_told_apart() {
    let tampered = RangeCheck::tampered().unwrap();
    let keys_of_range = keys::<RangeCheck>(0);
    let stock = refusals(
        &keys_of_range,
        &tampered,
        &tampered.instances(),
        |error| matches!(error, ProverError::NotInTable { lookup, row: 39 } if lookup.contains("range")),
    );
    assert!(matches!(stock, Error::ConstraintSystemFailure));
    let tampered = Product::tampered().unwrap();
    let stock = refusals(&keys::<Product>(0), &tampered, &tampered.instances(), |error| {
        matches!(error, ProverError::GateConstraint)
    });
    assert!(matches!(stock, Error::ConstraintSystemFailure));
}

#[test]
fn wrong_instances_are_told_apart() {
    let keys = keys::<Public>(0);
    let honest = Public::honest();
    let tampered = Public::tampered().unwrap();
    let stock = refusals(&keys, &tampered, &tampered.instances(), |error| matches!(error, ProverError::CopyConstraint));
    assert!(matches!(stock, Error::ConstraintSystemFailure));
    let stock = refusals(&keys, &honest, &honest.instances()[..1], |error| {
        matches!(error, ProverError::InstanceColumns { expected: 2, got: 1 })
    });
    assert!(matches!(stock, Error::InvalidInstances));
    let mut long = honest.instances();
    long[1].resize(1 << Public::K, Fr::one());
    let stock = refusals(&keys, &honest, &long, |error| {
        matches!(error, ProverError::InstanceTooLong { column: 1, len: 32, .. })
    });
    assert!(matches!(stock, Error::InstanceTooLarge));
}

#[test]
fn parameters_of_another_size_are_told_and_their_key_takes_no_place() {
    let (_, pk) = keys::<Public>(0);
    let keys = (ParamsKZG::setup(Public::K + 1, rng(0)), pk);
    let honest = Public::honest();
    let stock = refusals(&keys, &honest, &honest.instances(), |error| {
        matches!(error, ProverError::SizeMismatch { params: 6, key: 5 })
    });
    match stock {
        Error::Transcript(error) => {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<ProverError>());
            assert!(matches!(cause, Some(ProverError::SizeMismatch { .. })), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let provers = Provers::new(cpu(), 1);
    assert!(kept(&provers, &keys, &honest).is_err() && provers.is_empty());
}
