//! Names of back ends, and the one that a name stands for.

#[cfg(feature = "wgpu")]
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
#[cfg(feature = "wgpu")]
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "wgpu")]
use zkml_gpu_engine::backend::Wgpu;
use zkml_gpu_engine::backend::{Backend, Cpu, Dual};
use zkml_gpu_engine::cost::Costs;
use zkml_gpu_engine::prover::ProverError;

use crate::Error;
use crate::devices::{Device, devices, may_have_gpu, wgpu_devices};

/// Which hardware proves: `auto`, `cpu`, `wgpu[:N]`, `cuda[:N]`, `icicle`, `dual:A,B`.
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

/// Something that is done on whichever back end is chosen.
pub trait OnBackend {
    /// What it gives.
    type Output;

    /// Does it on this back end.
    ///
    /// # Errors
    /// As the task has them.
    fn run<B: Backend + 'static>(self, backend: B) -> Result<Self::Output, Error>;
}

/// A back end that is not two in one.
#[derive(Debug)]
enum Opened {
    Cpu(Cpu),
    #[cfg(feature = "wgpu")]
    Wgpu(Wgpu),
}

impl BackendChoice {
    /// The back ends of this build that are not two in one and run on hardware, by index where there may be several.
    pub fn present() -> Vec<Self> {
        let hardware = devices().into_iter().filter(|device| device.available && !device.software);
        hardware.filter_map(|device| device.choice()).collect()
    }

    /// What the choice stands for on this machine: `auto` becomes a device's name, and every device has its index. Nothing is opened.
    ///
    /// # Errors
    /// [`Error::MissingBackend`] where this build has none, [`Error::NoDevice`] where the machine has none that can be used.
    pub fn resolve(&self) -> Result<Self, Error> {
        match self {
            Self::Cpu => Ok(Self::Cpu),
            Self::Auto => {
                let found = if may_have_gpu() { wgpu_devices() } else { Vec::new() };
                let discrete = found.into_iter().find(|device| device.available && device.discrete);
                Ok(discrete.and_then(|device| device.choice()).unwrap_or(Self::Cpu))
            }
            Self::Wgpu(index) if cfg!(feature = "wgpu") => {
                let found = wgpu_devices();
                let wanted = |device: &Device| match index {
                    Some(index) => device.index == Some(*index),
                    None => device.available && !device.software,
                };
                let (mut chosen, mut reason) = (None, "there is no such device".to_owned());
                for device in found {
                    if wanted(&device) && device.available {
                        chosen = chosen.or(device.choice());
                    } else if let Some(why) = device.reason.filter(|_| index.is_none() || device.index == *index) {
                        reason = why;
                    }
                }
                chosen.ok_or(Error::NoDevice { name: self.to_string(), reason })
            }
            Self::Dual(left, right) => Ok(Self::Dual(Box::new(left.resolve()?), Box::new(right.resolve()?))),
            Self::Wgpu(_) | Self::Cuda(_) | Self::Icicle => Err(Error::MissingBackend { name: self.to_string() }),
        }
    }

    /// Opens the back end and does something on it.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve), [`Error::Prover`] where the device does not open, and the task's own.
    pub fn run<T: OnBackend>(&self, task: T) -> Result<T::Output, Error> {
        let Self::Dual(left, right) = self else {
            return match self.open()? {
                Opened::Cpu(cpu) => task.run(cpu),
                #[cfg(feature = "wgpu")]
                Opened::Wgpu(wgpu) => task.run(wgpu),
            };
        };
        match (left.open()?, right.open()?) {
            (Opened::Cpu(left), Opened::Cpu(right)) => task.run(Dual::new(left, right)),
            #[cfg(feature = "wgpu")]
            (Opened::Cpu(left), Opened::Wgpu(right)) => task.run(Dual::new(left, right)),
            #[cfg(feature = "wgpu")]
            (Opened::Wgpu(left), Opened::Cpu(right)) => task.run(Dual::new(left, right)),
            #[cfg(feature = "wgpu")]
            (Opened::Wgpu(left), Opened::Wgpu(right)) => task.run(Dual::new(left, right)),
        }
    }

    fn open(&self) -> Result<Opened, Error> {
        match self.resolve()? {
            Self::Cpu => Ok(Opened::Cpu(Cpu::new())),
            #[cfg(feature = "wgpu")]
            Self::Wgpu(index) => Ok(Opened::Wgpu(open_wgpu(index.unwrap_or(0))?)),
            other => Err(Error::MissingBackend { name: other.to_string() }),
        }
    }

    /// The name of what the choice stands for, as in proofs: never `auto`.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn name(&self) -> Result<String, Error> {
        self.resolve().map(|choice| choice.to_string())
    }

    /// Measures what the operations of this back end cost, in about a tenth of a second on a processor.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn measure(&self) -> Result<Costs, Error> {
        self.run(Measure)
    }

    /// Whether this build and machine can prove with it.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn check(&self) -> Result<(), Error> {
        self.resolve().map(|_| ())
    }
}

/// The device of this index, opened once: kernels are compiled once for the whole process.
#[cfg(feature = "wgpu")]
fn open_wgpu(index: u32) -> Result<Wgpu, Error> {
    static OPENED: Mutex<BTreeMap<u32, Wgpu>> = Mutex::new(BTreeMap::new());
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    match opened.get(&index) {
        Some(device) if !device.is_lost() => Ok(device.clone()),
        _ => {
            let device = Wgpu::new(Some(index as usize)).map_err(ProverError::Backend)?;
            opened.insert(index, device.clone());
            Ok(device)
        }
    }
}

struct Measure;

impl OnBackend for Measure {
    type Output = Costs;

    fn run<B: Backend + 'static>(self, backend: B) -> Result<Costs, Error> {
        Ok(Costs::measure(&backend).map_err(ProverError::Backend)?)
    }
}

impl FromStr for BackendChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        if let Some((left, right)) = name.strip_prefix("dual:").and_then(|pair| pair.split_once(',')) {
            return Ok(Self::Dual(Box::new(single(left, name)?), Box::new(single(right, name)?)));
        }
        single(name, name)
    }
}

/// A back end that is not `dual`, as part of the argument `whole`.
fn single(name: &str, whole: &str) -> Result<BackendChoice, Error> {
    let unknown = || Error::UnknownBackend { name: whole.into() };
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
            assert!(matches!(name.parse::<BackendChoice>(), Err(Error::UnknownBackend { .. })), "{name}");
        }
    }

    #[test]
    fn every_back_end_that_is_present_runs_tasks() {
        let dual = [BackendChoice::Dual(Box::default(), Box::default())];
        for choice in BackendChoice::present().iter().chain(&dual) {
            let costs = choice.run(Measure).expect("measured");
            assert!(costs.is_sound() && choice.name().is_ok(), "{choice}");
        }
        assert!(BackendChoice::Icicle.run(Measure).is_err());
    }

    #[test]
    fn names_not_built_yet_are_told_apart_from_unknown_ones() {
        for (name, known) in [
            ("auto", true),
            ("cpu", true),
            ("dual:cpu,cpu", true),
            ("cuda", false),
            ("icicle", false),
            ("dual:cpu,cuda", false),
        ] {
            let choice: BackendChoice = name.parse().expect(name);
            assert_eq!(choice.check().is_ok(), known, "{name}");
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
        let refused = BackendChoice::Wgpu(Some(99)).resolve();
        if cfg!(feature = "wgpu") {
            assert!(matches!(refused, Err(Error::NoDevice { name, .. }) if name == "wgpu:99"));
        } else {
            assert!(matches!(refused, Err(Error::MissingBackend { .. })));
        }
    }
}
