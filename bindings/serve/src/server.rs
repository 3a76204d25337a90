//! A server: what it is made of, and its life.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use zkml_gpu::circuit::system::Port;
use zkml_gpu::{AnyKey, AnyModel, AnyProver, Visibility};

use crate::health::Health;
use crate::jobs::{Jobs, Store, unix_ms};
use crate::metrics::Metrics;
use crate::{ServeError, ServeOptions, http, worker};

/// Bytes of a number in JSON with its comma, at most: `-1.1754943508222875e-38, `.
const NUMBER_BYTES: u64 = 26;
/// Bytes of a request besides its numbers.
const OTHER_BYTES: u64 = 4096;
/// How often jobs that are kept for a time are looked at.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);
/// Most threads that run inferences for answers.
const MOST_INFERENCE_THREADS: usize = 4;
/// Threads for work with the disk.
const DISK_THREADS: usize = 32;

/// What requests and workers share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) prover: AnyProver,
    /// Its verifying key.
    pub(crate) key: AnyKey,
    pub(crate) options: ServeOptions,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    /// Of its own, because the pool that proves would let an inference wait for a step of a proof.
    pub(crate) inferences: rayon::ThreadPool,
    pub(crate) max_body_bytes: u64,
}

/// A model's server, which has its folder and its address, and answers once it [runs](Self::run).
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    signals: Signals,
}

impl Server {
    /// Takes the folder of jobs, finds what an earlier server has left in it, and listens. What tells the process to stop
    /// is kept from here on for [`run`](Self::run), so that whoever knows the address may stop the server in order.
    ///
    /// # Errors
    /// [`ServeError`]: options that mean nothing, a key with committed tensors, a folder or an address that is another
    /// server's.
    pub fn new(prover: impl Into<AnyProver>, options: ServeOptions) -> Result<Self, ServeError> {
        let prover = prover.into();
        let key = prover.key();
        check(&prover, &key, &options)?;
        let store = Store::open(&options.jobs, key.digest())?;
        let records = store.records()?;
        let jobs = Arc::new(Jobs::new(store, &records, options.queue));
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_INFERENCE_THREADS);
        let inferences = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("infer {i}"));
        let inferences = inferences.build().map_err(|error| ServeError::System(std::io::Error::other(error)))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(DISK_THREADS)
            .thread_name("http")
            .enable_all()
            .build()
            .map_err(ServeError::System)?;
        let signals = runtime.block_on(async { Signals::new() }).map_err(ServeError::System)?;
        let listen = |source| ServeError::Listen { address: options.listen, source };
        let listener = runtime.block_on(TcpListener::bind(options.listen)).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let metrics = Metrics::new(key.model(), &prover.backend(), options.queue);
        let max_body_bytes = options.max_body_bytes.unwrap_or_else(|| needed_body_bytes(&prover));
        let health = Health::default();
        let service = Service { prover, key, options, jobs, metrics, health, inferences, max_body_bytes };
        Ok(Self { service: Arc::new(service), runtime, listener, address, signals })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Jobs that an earlier server has left to be proved.
    pub fn waiting(&self) -> usize {
        self.service.jobs.counts().waiting
    }

    /// Largest body of a request.
    pub fn max_body_bytes(&self) -> u64 {
        self.service.max_body_bytes
    }

    /// Answers until the process is told to stop (SIGTERM, SIGINT), then lets requests and proofs under way end, within
    /// the options' time. A proof that does not end then is made by the next server. A second signal ends it at once.
    ///
    /// Returns whether every proof that was under way has ended.
    ///
    /// # Errors
    /// [`ServeError::System`].
    pub fn run(self) -> Result<bool, ServeError> {
        let Self { service, runtime, listener, mut signals, .. } = self;
        let (ended, mut workers) = watch::channel(0usize);
        for number in 0..service.options.workers {
            let (own, ended) = (Arc::clone(&service), ended.clone());
            let body = move || {
                worker::work(&own);
                ended.send_modify(|count| *count += 1);
            };
            std::thread::Builder::new().name(format!("prove {number}")).spawn(body).map_err(ServeError::System)?;
        }
        let all = service.options.workers;
        runtime.spawn(tidy(Arc::clone(&service)));
        let is_done = runtime.block_on(async {
            let (stop, stopped) = watch::channel(false);
            let mut connections = tokio::spawn(http::serve(Arc::clone(&service), listener, stopped));
            signals.next().await;
            tracing::info!(target: "zkml_gpu::serve", "stops: no more requests are taken");
            service.health.stop();
            service.jobs.stop();
            let _ = stop.send(true);
            let orderly = async {
                let _ = (&mut connections).await;
                let _ = workers.wait_for(|count| *count == all).await;
            };
            tokio::select! {
                () = orderly => true,
                () = tokio::time::sleep(service.options.stop_timeout) => false,
                () = signals.next() => false,
            }
        });
        // What is ended in order is no sign of a fault of theirs.
        for id in service.jobs.proving() {
            let _ = service.jobs.store().end(id);
        }
        runtime.shutdown_background();
        Ok(is_done)
    }
}

/// Refuses what cannot be served, or means nothing.
fn check(prover: &AnyProver, key: &AnyKey, options: &ServeOptions) -> Result<(), ServeError> {
    let option = |problem: String, hint| Err(ServeError::Option { problem, hint });
    // What is private and read by several segments is committed for them alone: nobody needs its opening.
    let private = match prover.model() {
        AnyModel::Whole(_) => Vec::new(),
        AnyModel::Segmented(model) => model.shared_private_inputs(),
    };
    let is_committed = |port: &&&Port| match port.visibility() {
        Visibility::Committed => !private.contains(&&port.name[..]),
        Visibility::Public | Visibility::Private | Visibility::Hashed => false,
    };
    if let Some(port) = key.inputs().iter().chain(&key.outputs()).find(is_committed) {
        return Err(ServeError::Committed { name: port.name.clone() });
    }
    if !(0.0..=1.0).contains(&options.max_saturation) {
        return option(format!("{} is no share", options.max_saturation), "a number from 0 to 1 (--max-saturation)");
    }
    if options.workers == 0 || options.queue == 0 {
        return option("without a worker and a place in the queue nothing is proved".into(), "one of each at least");
    }
    if options.token.is_none() && !options.open && !options.listen.ip().is_loopback() {
        return Err(ServeError::Open { address: options.listen });
    }
    Ok(())
}

/// What the inputs need, written with all their digits.
fn needed_body_bytes(prover: &AnyProver) -> u64 {
    let model = prover.model();
    let numbers: usize = model.inputs().iter().map(|input| input.len).sum();
    (numbers as u64).saturating_mul(model.inferences() as u64).saturating_mul(NUMBER_BYTES).saturating_add(OTHER_BYTES)
}

/// Removes finished jobs whose time is over.
async fn tidy(service: Arc<Service>) {
    let Some(keep) = service.options.keep else { return };
    let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    loop {
        let own = Arc::clone(&service);
        let round = move || {
            for id in own.jobs.finished_before(unix_ms().saturating_sub(keep_ms)) {
                if let Err(error) = own.jobs.remove(id) {
                    tracing::error!(target: "zkml_gpu::serve", job = %id, %error, "an old job cannot be removed");
                }
            }
        };
        let _ = tokio::task::spawn_blocking(round).await;
        tokio::time::sleep(TIDY_INTERVAL.min(keep)).await;
    }
}

/// What tells a process to stop.
#[cfg(unix)]
#[derive(Debug)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
#[derive(Debug)]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
