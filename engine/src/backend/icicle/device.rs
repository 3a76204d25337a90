//! Devices of ICICLE's, and the calls that are made on them.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::{Arc, MutexGuard};

use ff::{Field, PrimeField};
use group::prime::PrimeCurveAffine;
use halo2curves::CurveAffine;
use halo2curves::bn256::{Fq, Fr, G1Affine};
use rayon::prelude::*;
use zkml_gpu_kernels::field::{Montgomery, Words};

use super::abi::{self, Affine, DeviceId, Direction, DomainConfig, MsmConfig, NttConfig, SUCCESS, Status};
use super::library::{Domains, Library, PLUGIN_FOLDER};
use crate::backend::cpu::{words, words_mut};
use crate::backend::{Result, root_of_unity};
use crate::error::BackendError;

/// What a device is, in ICICLE's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceType {
    /// A GPU of NVIDIA's.
    Cuda,
    /// A GPU of Apple's.
    Metal,
    /// Any GPU through Vulkan.
    Vulkan,
    /// The processor, by ICICLE's own code: slower than [`Cpu`](crate::backend::Cpu), and there without a licence.
    Cpu,
}

impl DeviceType {
    /// Types that are taken where none is asked for, the first that there is.
    const GPUS: [Self; 3] = [Self::Cuda, Self::Metal, Self::Vulkan];

    /// ICICLE's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cuda => "CUDA",
            Self::Metal => "METAL",
            Self::Vulkan => "VULKAN",
            Self::Cpu => "CPU",
        }
    }
}

/// A device that there is a plugin for.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) library: Arc<Library>,
    id: DeviceId,
    /// As in `CUDA:0`.
    pub(super) name: String,
}

impl Device {
    /// The device of this type and number, or of the first type of GPU that there is a plugin for. Nothing is opened
    /// yet.
    ///
    /// # Errors
    /// What is missing, with a hint.
    pub(super) fn choose(
        library: Arc<Library>,
        kind: Option<DeviceType>,
        index: u16,
    ) -> std::result::Result<Self, String> {
        let kinds = kind.as_ref().map_or(DeviceType::GPUS.as_slice(), std::slice::from_ref);
        let found = kinds.iter().map(|kind| (kind, DeviceId::new(kind.name(), index)));
        match found.into_iter().find(|(_, id)| library.has_plugin(id)) {
            Some((kind, id)) => Ok(Self { library, id, name: format!("{}:{index}", kind.name()) }),
            None => {
                let wanted: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
                let plugins = library.plugins();
                let plugins = if plugins.is_empty() { "none".to_owned() } else { plugins.join(", ") };
                Err(format!(
                    "ICICLE {} in {} has no plugin for {}, only for: {plugins}\nhint: install ICICLE's back end for the GPU, which has a \
                     licence of its own, and name its folder in {PLUGIN_FOLDER}",
                    library.version,
                    library.place,
                    wanted.join(", "),
                ))
            }
        }
    }

    /// Transforms 2^k elements, k at least 1, from or to the values on `shift·H`. ICICLE takes them for canonical: the
    /// transform is linear, so that what is R times too large going in is so coming out.
    #[allow(unsafe_code)]
    pub(super) fn transform(
        &self,
        operation: &'static str,
        input: &[Fr],
        direction: Direction,
        shift: Fr,
    ) -> Result<Vec<Fr>> {
        let mut output = vec![Fr::ZERO; input.len()];
        let mut session = self.session(operation)?;
        session.extend_domain(input.len().ilog2())?;
        let len = session.int(input.len())?;
        let (source, target) = (words(input).as_ptr(), words_mut(&mut output).as_mut_ptr());
        let config = NttConfig::new(canonical(&shift));
        // SAFETY: host memory of `len` elements each, apart from each other, and a config that says so; the domain is
        // long enough.
        let status = unsafe { (self.library.functions.ntt)(source, len, direction, &config, target) };
        session.check("bn254_ntt", status)?;
        drop(session);
        match words(&output).par_iter().all(|words| is_reduced(words, &Montgomery::SCALAR.modulus)) {
            true => Ok(output),
            false => Err(self.error(operation, "bn254_ntt gave a number that is not reduced".to_owned())),
        }
    }

    /// `Σ scalar_i·point_i` over all scalars.
    #[allow(unsafe_code)]
    pub(super) fn sum(&self, operation: &'static str, scalars: Scalars<'_>, points: Points<'_>) -> Result<G1Affine> {
        let (scalars, config) = match scalars {
            Scalars::Elements(elements) => (words(elements), MsmConfig::new()),
            Scalars::Integers { words, bits } => (words, MsmConfig::new().canonical(bits)),
        };
        let (first, len, config) = match points {
            Points::Host(points) => (points.as_ptr(), points.len(), config),
            Points::Resident(points) => (points.address_on(self, operation)?, points.len, config.resident()),
        };
        if scalars.is_empty() {
            return Ok(G1Affine::identity());
        }
        if len < scalars.len() {
            return Err(BackendError::TooFewBases { scalars: scalars.len(), bases: len });
        }
        let session = self.session(operation)?;
        let len = session.int(scalars.len())?;
        let mut sum = abi::Projective::default();
        // SAFETY: `len` scalars in host memory and no fewer points, in the memory that the config says, all only read;
        // room for one result in host memory.
        let status = unsafe { (self.library.functions.msm)(scalars.as_ptr(), first, len, &config, &mut sum) };
        session.check("bn254_msm", status)?;
        to_affine(&sum).ok_or_else(|| self.error(operation, "bn254_msm gave no point of the curve".to_owned()))
    }

    /// Waits for the device and makes it the calling thread's.
    fn session(&self, operation: &'static str) -> Result<Session<'_>> {
        let domains = self.library.lock();
        let session = Session { device: self, operation, domains };
        session.select()?;
        Ok(session)
    }

    pub(super) fn error(&self, operation: &'static str, message: String) -> BackendError {
        BackendError::Device { operation, device: format!("icicle {}", self.name), message }
    }
}

/// Points for a sum.
#[derive(Debug, Clone, Copy)]
pub(super) enum Points<'a> {
    /// In host memory.
    Host(&'a [Affine]),
    /// The first of these.
    Resident(&'a ResidentPoints),
}

/// Scalars for a sum.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalars<'a> {
    /// In Montgomery form.
    Elements(&'a [Fr]),
    /// Integers below 2^bits.
    Integers {
        /// In canonical form.
        words: &'a [Words],
        /// At least one.
        bits: u8,
    },
}

/// The device, while it is this thread's alone. Nothing is left to other threads meanwhile: one that waits for them
/// could be given work that waits for the device.
///
/// An exception in ICICLE would end the process, because none may pass through C: what it throws for is kept from it,
/// devices without a plugin and transforms beyond the domain.
#[derive(Debug)]
struct Session<'a> {
    device: &'a Device,
    operation: &'static str,
    domains: MutexGuard<'a, Domains>,
}

impl Session<'_> {
    fn error(&self, message: String) -> BackendError {
        self.device.error(self.operation, message)
    }

    /// Success, or the function's name and why it failed.
    fn check(&self, function: &str, status: Status) -> Result<()> {
        /// `eIcicleError::LICENSE_CHECK_ERROR`
        const LICENCE: Status = 13;
        if status == SUCCESS {
            return Ok(());
        }
        let hint = if status == LICENCE { "\nhint: ICICLE_LICENSE names the licence's file or server" } else { "" };
        Err(self.error(format!("{function} failed with {} ({status}){hint}", abi::status_name(status))))
    }

    #[allow(unsafe_code)]
    fn select(&self) -> Result<()> {
        // SAFETY: a device as C lays it out, only read; there is a plugin for its type.
        let status = unsafe { (self.device.library.functions.set_device)(&self.device.id) };
        self.check("icicle_set_device", status)
    }

    /// The powers of the root of unity that transforms of 2^log_n elements need.
    #[allow(unsafe_code)]
    fn extend_domain(&mut self, log_n: u32) -> Result<()> {
        let known = self.domains.get(&self.device.name).copied();
        if known.is_some_and(|known| known >= log_n) {
            return Ok(());
        }
        let functions = &self.device.library.functions;
        if known.is_some() {
            self.domains.remove(&self.device.name);
            // SAFETY: no parameters; no transform is under way, because this session holds the lock.
            let status = unsafe { (functions.release_domain)() };
            self.check("bn254_ntt_release_domain", status)?;
        }
        let len = 1usize.checked_shl(log_n).unwrap_or(0);
        let root = root_of_unity(log_n).ok_or(BackendError::NoSuchDomain { operation: self.operation, len })?;
        // SAFETY: a canonical element and a config as C lays it out, only read.
        let status = unsafe { (functions.init_domain)(&canonical(&root), &DomainConfig::new()) };
        self.check("bn254_ntt_init_domain", status)?;
        self.domains.insert(self.device.name.clone(), log_n);
        Ok(())
    }

    /// A length as C has it.
    fn int(&self, len: usize) -> Result<c_int> {
        c_int::try_from(len).map_err(|_| self.error(format!("{len} elements are more than ICICLE counts")))
    }
}

/// Points in a device's memory.
#[derive(Debug)]
pub(super) struct ResidentPoints {
    device: Arc<Device>,
    /// Dangling where there are none.
    first: *mut Affine,
    len: usize,
}

// SAFETY: an address that only ICICLE follows, on whichever thread has its device.
#[allow(unsafe_code)]
unsafe impl Send for ResidentPoints {}
// SAFETY: as above; calls are made one at a time.
#[allow(unsafe_code)]
unsafe impl Sync for ResidentPoints {}

impl ResidentPoints {
    /// Where they are, for calls on their own device.
    fn address_on(&self, device: &Device, operation: &'static str) -> Result<*const Affine> {
        if Arc::ptr_eq(&self.device.library, &device.library) && self.device.name == device.name {
            return Ok(self.first);
        }
        Err(device.error(operation, format!("the points are on another device, {}", self.device.name)))
    }

    /// Copies points to a device.
    #[allow(unsafe_code)]
    pub(super) fn new(device: &Arc<Device>, points: &[Affine]) -> Result<Self> {
        let mut resident = Self { device: device.clone(), first: ptr::null_mut(), len: 0 };
        if points.is_empty() {
            return Ok(resident);
        }
        let session = device.session("load_bases")?;
        let functions = &device.library.functions;
        let mut address: *mut c_void = ptr::null_mut();
        // SAFETY: room for an address.
        let status = unsafe { (functions.allocate)(&mut address, size_of_val(points)) };
        session.check("icicle_malloc", status)?;
        // From here on it is freed, whatever happens.
        (resident.first, resident.len) = (address.cast(), points.len());
        // SAFETY: so many bytes of host memory, into as many of the device's.
        let status = unsafe { (functions.copy_to_device)(address, points.as_ptr().cast(), size_of_val(points)) };
        let copied = session.check("icicle_copy_to_device", status);
        drop(session);
        copied.map(|()| resident)
    }
}

impl Drop for ResidentPoints {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        // A device that cannot be selected any more has no memory to free.
        if let Ok(session) = self.device.session("free") {
            // SAFETY: allocated by `icicle_malloc` on this device, and freed once.
            let status = unsafe { (session.device.library.functions.free)(self.first.cast()) };
            if let Err(failed) = session.check("icicle_free", status) {
                tracing::warn!("{failed}");
            }
        }
    }
}

/// The integer that an element stands for.
fn canonical(element: &Fr) -> Words {
    words_of(element.to_repr().as_ref())
}

/// 32 bytes, the least significant first.
fn words_of(bytes: &[u8]) -> Words {
    let mut words = Words::default();
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    }
    words
}

/// Whether an integer is below the modulus.
fn is_reduced(words: &Words, modulus: &Words) -> bool {
    words.iter().rev().lt(modulus.iter().rev())
}

/// The affine point, or `None` where the coordinates are not reduced or it is not on the curve.
fn to_affine(point: &abi::Projective) -> Option<G1Affine> {
    let coordinate = |words: &Words| {
        let mut bytes = <Fq as PrimeField>::Repr::default();
        for (bytes, word) in bytes.as_mut().chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Option::<Fq>::from(Fq::from_repr(bytes))
    };
    let (x, y, z) = (coordinate(&point[0])?, coordinate(&point[1])?, coordinate(&point[2])?);
    let Some(inverse) = Option::<Fq>::from(z.invert()) else { return Some(G1Affine::identity()) };
    Option::from(G1Affine::from_xy(x * inverse, y * inverse))
}

#[cfg(test)]
mod tests {
    use super::*;
    use group::Curve;
    use halo2curves::bn256::G1;

    fn integer(value: Fq) -> Words {
        words_of(value.to_repr().as_ref())
    }

    #[test]
    fn canonical_words_are_the_integers() {
        assert_eq!(canonical(&Fr::from(7)), [7, 0, 0, 0]);
        let mut largest = Montgomery::SCALAR.modulus;
        largest[0] -= 1;
        assert_eq!(canonical(&-Fr::ONE), largest);
    }

    #[test]
    fn numbers_from_the_modulus_on_are_not_reduced() {
        let modulus = Montgomery::SCALAR.modulus;
        let mut below = modulus;
        below[0] -= 1;
        assert!(is_reduced(&below, &modulus) && is_reduced(&[u64::MAX, u64::MAX, u64::MAX, 0], &modulus));
        assert!(!is_reduced(&modulus, &modulus) && !is_reduced(&[0, 0, 0, u64::MAX], &modulus));
    }

    #[test]
    fn projective_points_become_affine_ones() {
        let point = (G1::generator() * Fr::from(5)).to_affine();
        let z = Fq::from(9);
        let scaled = [point.x * z, point.y * z, z].map(integer);
        assert_eq!(to_affine(&scaled), Some(point));
        for identity in [[Fq::ZERO, Fq::ONE, Fq::ZERO], [Fq::ZERO; 3]] {
            assert_eq!(to_affine(&identity.map(integer)), Some(G1Affine::identity()));
        }
    }

    #[test]
    fn what_is_no_point_is_refused() {
        assert_eq!(to_affine(&[Fq::ONE, Fq::ONE, Fq::ONE].map(integer)), None);
        assert_eq!(to_affine(&[Montgomery::BASE.modulus, integer(Fq::ONE), integer(Fq::ONE)]), None);
        assert_eq!(to_affine(&[[u64::MAX; 4], integer(Fq::ONE), [0; 4]]), None);
    }
}
