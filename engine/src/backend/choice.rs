//! Names of back ends, and the one that a name stands for.

#[cfg(any(feature = "cuda", feature = "wgpu"))]
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "icicle")]
use super::Icicle;
#[cfg(feature = "wgpu")]
use super::Wgpu;
use super::devices::{Device, cuda_devices, devices, icicle_device, may_have_gpu, wgpu_devices};
use super::{Any, Cpu, Dual};
#[cfg(feature = "cuda")]
use super::{Cuda, cuda::Throughput};
use crate::cost::Costs;
use crate::error::BackendError;

/// Why a name or a choice leads to no back end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// No back end has this name.
    #[error(
        "back end '{name}' does not exist\nhint: auto, cpu, wgpu[:N], cuda[:N], icicle, or dual:A,B with two of them"
    )]
    Unknown {
        /// The name given.
        name: String,
    },
    /// A device that this machine does not have, or that cannot be used.
    #[error(
        "back end '{name}' has no device to run on: {reason}\nhint: auto takes the processor where nothing else is"
    )]
    NoDevice {
        /// The name given.
        name: String,
        /// What is missing.
        reason: String,
    },
    /// A back end that this program was built without.
    #[error("back end '{name}' is not part of this build\nhint: use cpu, or build with the feature of that name")]
    Missing {
        /// The name given.
        name: String,
    },
    /// An environment variable names what is not known.
    #[error("{problem}\nhint: the processor's instructions are found out without it")]
    Environment {
        /// The variable and what it may be.
        problem: String,
    },
    /// The device does not open, or fails in a measurement.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Which hardware proves: `auto`, `cpu`, `wgpu[:N]`, `cuda[:N]`, `icicle`, `dual:A,B`.
///
/// ```
/// use zkml_gpu_engine::backend::{BackendChoice, MemoryOps};
///
/// let choice: BackendChoice = "auto".parse()?;
/// println!("{} proves: {}", choice.name()?, choice.open()?.description());
/// assert!("gpu".parse::<BackendChoice>().is_err());
/// # Ok::<(), zkml_gpu_engine::backend::ChoiceError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendChoice {
    /// A discrete GPU where there is one, otherwise the processor; never a software adapter.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A GPU through Vulkan, Metal or DirectX, by index.
    Wgpu(Option<u32>),
    /// A GPU through CUDA, by index.
    Cuda(Option<u32>),
    /// A library with ICICLE's interface.
    Icicle,
    /// Two in lock step, compared after every operation.
    Dual(Box<BackendChoice>, Box<BackendChoice>),
}

impl BackendChoice {
    /// The back ends of this build that are not two in one and run on hardware, by index where there may be several.
    pub fn present() -> Vec<Self> {
        let hardware = devices().into_iter().filter(|device| device.available && !device.software);
        hardware.filter_map(|device| device.choice()).collect()
    }

    /// What the choice stands for on this machine: `auto` becomes a device's name, and every device has its index.
    /// Nothing is opened.
    ///
    /// # Errors
    /// [`ChoiceError::Missing`] where this build has none, [`ChoiceError::NoDevice`] where the machine has none that can
    /// be used, [`ChoiceError::Environment`] where a variable names what is not known: the processor computes beside every
    /// device.
    pub fn resolve(&self) -> Result<Self, ChoiceError> {
        Cpu::check_environment().map_err(|problem| ChoiceError::Environment { problem })?;
        match self {
            Self::Cpu => Ok(Self::Cpu),
            Self::Auto => {
                let found = if may_have_gpu() { [cuda_devices(), wgpu_devices()].concat() } else { Vec::new() };
                let discrete = found.into_iter().find(|device| device.available && device.discrete);
                Ok(discrete.and_then(|device| device.choice()).unwrap_or(Self::Cpu))
            }
            Self::Wgpu(index) if cfg!(feature = "wgpu") => self.among(wgpu_devices(), *index),
            Self::Cuda(index) if cfg!(feature = "cuda") => self.among(cuda_devices(), *index),
            Self::Icicle if cfg!(feature = "icicle") => self.among(vec![icicle_device()], None),
            Self::Dual(left, right) => Ok(Self::Dual(Box::new(left.resolve()?), Box::new(right.resolve()?))),
            Self::Wgpu(_) | Self::Cuda(_) | Self::Icicle => Err(ChoiceError::Missing { name: self.to_string() }),
        }
    }

    /// The device of this index; without one, the first that is no software adapter. Where none can be used, the last
    /// reason found.
    fn among(&self, found: Vec<Device>, index: Option<u32>) -> Result<Self, ChoiceError> {
        // A back end that finds nothing has a device without an index, whose reason says why.
        let is_meant = |device: &&Device| index.is_none() || device.index.is_none() || device.index == index;
        let considered: Vec<&Device> = found.iter().filter(is_meant).collect();
        let usable = considered.iter().find(|device| device.available && (index.is_some() || !device.software));
        let reason = || considered.iter().rev().find_map(|device| device.reason.clone());
        usable.and_then(|device| device.choice()).ok_or_else(|| ChoiceError::NoDevice {
            name: self.to_string(),
            reason: reason().unwrap_or_else(|| "there is no such device".to_owned()),
        })
    }

    /// Opens the back end.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve), [`ChoiceError::Backend`] where the device does not open.
    pub fn open(&self) -> Result<Any, ChoiceError> {
        match self.resolve()? {
            Self::Cpu => Ok(Any::new(Cpu::new())),
            #[cfg(feature = "cuda")]
            Self::Cuda(Some(index)) => CUDA.open(index, Cuda::is_lost, |index| Cuda::new(index as usize)).map(Any::new),
            #[cfg(feature = "wgpu")]
            Self::Wgpu(Some(index)) => {
                WGPU.open(index, Wgpu::is_lost, |index| Wgpu::new(Some(index as usize))).map(Any::new)
            }
            #[cfg(feature = "icicle")]
            Self::Icicle => Ok(Any::new(Icicle::open()?)),
            Self::Dual(left, right) => Ok(Any::new(Dual::new(left.open()?, right.open()?))),
            other => Err(ChoiceError::Missing { name: other.to_string() }),
        }
    }

    /// Measures what its device does in a second: products, multiplications, additions of points, bytes copied. `None`
    /// for back ends that are not CUDA's.
    ///
    /// # Errors
    /// As [`open`](Self::open), and the device's failures.
    #[cfg(feature = "cuda")]
    pub fn rates(&self) -> Result<Option<Throughput>, ChoiceError> {
        let Self::Cuda(Some(index)) = self.resolve()? else { return Ok(None) };
        let device = CUDA.open(index, Cuda::is_lost, |index| Cuda::new(index as usize))?;
        Ok(Some(device.throughput()?))
    }

    /// The name of what the choice stands for, as in proofs: never `auto`.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn name(&self) -> Result<String, ChoiceError> {
        self.resolve().map(|choice| choice.to_string())
    }

    /// Measures what the operations of this back end cost, in about a tenth of a second on a processor.
    ///
    /// # Errors
    /// As [`open`](Self::open), and the device's failures.
    pub fn measure(&self) -> Result<Costs, ChoiceError> {
        Ok(Costs::measure(&self.open()?)?)
    }

    /// Whether this build and machine can prove with it.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn check(&self) -> Result<(), ChoiceError> {
        self.resolve().map(|_| ())
    }
}

#[cfg(feature = "cuda")]
static CUDA: Opened<Cuda> = Opened::new();
#[cfg(feature = "wgpu")]
static WGPU: Opened<Wgpu> = Opened::new();

/// Devices by index, opened once: kernels are compiled once for the whole process.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
struct Opened<D>(Mutex<BTreeMap<u32, D>>);

#[cfg(any(feature = "cuda", feature = "wgpu"))]
impl<D: Clone> Opened<D> {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// The device of this index; opened anew where it is lost.
    fn open(
        &self,
        index: u32,
        is_lost: impl Fn(&D) -> bool,
        open: impl Fn(u32) -> Result<D, BackendError>,
    ) -> Result<D, ChoiceError> {
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match opened.get(&index) {
            Some(device) if !is_lost(device) => Ok(device.clone()),
            _ => {
                let device = open(index)?;
                opened.insert(index, device.clone());
                Ok(device)
            }
        }
    }
}

impl FromStr for BackendChoice {
    type Err = ChoiceError;

    fn from_str(name: &str) -> Result<Self, ChoiceError> {
        if let Some((left, right)) = name.strip_prefix("dual:").and_then(|pair| pair.split_once(',')) {
            return Ok(Self::Dual(Box::new(single(left, name)?), Box::new(single(right, name)?)));
        }
        single(name, name)
    }
}

/// A back end that is not `dual`, as part of the argument `whole`.
fn single(name: &str, whole: &str) -> Result<BackendChoice, ChoiceError> {
    let unknown = || ChoiceError::Unknown { name: whole.into() };
    let (kind, index) = match name.split_once(':') {
        Some((kind, index)) if !index.starts_with('+') => (kind, Some(index.parse().map_err(|_| unknown())?)),
        Some(_) => return Err(unknown()),
        None => (name, None),
    };
    match (kind, index) {
        ("auto", None) => Ok(BackendChoice::Auto),
        ("cpu", None) => Ok(BackendChoice::Cpu),
        ("wgpu", index) => Ok(BackendChoice::Wgpu(index)),
        ("cuda", index) => Ok(BackendChoice::Cuda(index)),
        ("icicle", None) => Ok(BackendChoice::Icicle),
        _ => Err(unknown()),
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu(None) => f.write_str("wgpu"),
            Self::Wgpu(Some(index)) => write!(f, "wgpu:{index}"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(index)) => write!(f, "cuda:{index}"),
            Self::Icicle => f.write_str("icicle"),
            Self::Dual(left, right) => write!(f, "dual:{left},{right}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_printed_alike() {
        for name in ["auto", "cpu", "wgpu", "wgpu:1", "cuda", "cuda:0", "icicle", "dual:cpu,cuda:1", "dual:auto,cpu"] {
            assert_eq!(name.parse::<BackendChoice>().expect(name).to_string(), name);
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        for name in [
            "",
            "CPU",
            "cpu:0",
            "gpu",
            "wgpu:",
            "wgpu:+1",
            "wgpu:x",
            "cuda:-1",
            "dual:cpu",
            "dual:cpu,",
            "dual:cpu,dual:cpu,cpu",
            "icicle:0",
        ] {
            assert!(matches!(name.parse::<BackendChoice>(), Err(ChoiceError::Unknown { .. })), "{name}");
        }
    }

    #[test]
    fn every_back_end_that_is_present_is_measured() {
        let dual = [BackendChoice::Dual(Box::default(), Box::default())];
        for choice in BackendChoice::present().iter().chain(&dual) {
            let costs = choice.measure().expect("measured");
            assert!(costs.is_sound() && choice.name().is_ok(), "{choice}");
        }
    }

    #[test]
    fn back_ends_whose_libraries_are_missing_are_told_apart_from_unknown_ones() {
        for name in ["auto", "cpu", "dual:cpu,cpu"] {
            assert!(name.parse::<BackendChoice>().expect(name).check().is_ok(), "{name}");
        }
        let built = cfg!(feature = "icicle");
        for (name, built) in [("icicle", built), ("dual:cpu,icicle", built)] {
            match name.parse::<BackendChoice>().expect(name).check() {
                Err(ChoiceError::NoDevice { name, reason }) => assert!(built, "{name}: {reason}"),
                Err(ChoiceError::Missing { .. }) => assert!(!built, "{name}"),
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_a_choice_stands_for_is_named_and_stays_so() {
        for choice in [BackendChoice::Auto, BackendChoice::Cpu, BackendChoice::Dual(Box::default(), Box::default())] {
            let resolved = choice.resolve().expect("the processor at least");
            assert!(!resolved.to_string().contains("auto"), "{resolved}");
            assert_eq!(resolved.resolve().expect("resolved"), resolved);
        }
    }

    #[test]
    fn a_device_that_does_not_exist_is_refused_by_name() {
        for (choice, built) in [
            (BackendChoice::Cuda(Some(99)), cfg!(feature = "cuda")),
            (BackendChoice::Wgpu(Some(99)), cfg!(feature = "wgpu")),
        ] {
            match choice.resolve() {
                Err(ChoiceError::NoDevice { name, reason }) => {
                    assert!(built && name == choice.to_string(), "{name}: {reason}")
                }
                Err(ChoiceError::Missing { .. }) => assert!(!built, "{choice}"),
                other => panic!("{choice}: {other:?}"),
            }
        }
    }
}
