//! Names of back ends, and the one that a name stands for.

use std::fmt;
use std::str::FromStr;

use zkml_gpu_engine::backend::{Backend, Cpu, Dual};
use zkml_gpu_engine::cost::Costs;
use zkml_gpu_engine::prover::ProverError;

use crate::Error;

/// Which hardware proves: `auto`, `cpu`, `wgpu[:N]`, `cuda[:N]`, `icicle`, `dual:A,B`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendChoice {
    /// The fastest device there is; never a software adapter.
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
    fn run<B: Backend>(self, backend: &B) -> Result<Self::Output, Error>;
}

/// A back end of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Available {
    Cpu,
    DualCpu,
}

impl BackendChoice {
    /// The back end of this build that the choice stands for.
    ///
    /// # Errors
    /// [`Error::MissingBackend`] where this build has none.
    pub(crate) fn resolve(&self) -> Result<Available, Error> {
        match self {
            Self::Auto | Self::Cpu => Ok(Available::Cpu),
            Self::Dual(left, right) => match (left.resolve()?, right.resolve()?) {
                (Available::Cpu, Available::Cpu) => Ok(Available::DualCpu),
                _ => Err(Error::MissingBackend { name: self.to_string() }),
            },
            Self::Wgpu(_) | Self::Cuda(_) | Self::Icicle => Err(Error::MissingBackend { name: self.to_string() }),
        }
    }

    /// The back ends of this build that are not two in one.
    pub fn present() -> Vec<Self> {
        vec![Self::Cpu]
    }

    /// Makes the back end and does something on it.
    ///
    /// # Errors
    /// [`Error::MissingBackend`] where this build has none, and the task's own.
    pub fn run<T: OnBackend>(&self, task: T) -> Result<T::Output, Error> {
        match self.resolve()? {
            Available::Cpu => task.run(&Cpu::new()),
            Available::DualCpu => task.run(&Dual::new(Cpu::new(), Cpu::new())),
        }
    }

    /// The name of the back end that the choice stands for, as in proofs.
    ///
    /// # Errors
    /// [`Error::MissingBackend`] where this build has none.
    pub fn name(&self) -> Result<&'static str, Error> {
        self.resolve().map(Available::name)
    }

    /// Measures what the operations of this back end cost, in about a tenth of a second.
    ///
    /// # Errors
    /// [`Error::MissingBackend`] where this build has none, [`Error::Prover`] where the device fails.
    pub fn measure(&self) -> Result<Costs, Error> {
        self.run(Measure)
    }

    /// Whether this build can prove with it.
    ///
    /// # Errors
    /// [`Error::MissingBackend`] where it cannot.
    pub fn check(&self) -> Result<(), Error> {
        self.resolve().map(|_| ())
    }
}

struct Measure;

impl OnBackend for Measure {
    type Output = Costs;

    fn run<B: Backend>(self, backend: &B) -> Result<Costs, Error> {
        Ok(Costs::measure(backend).map_err(ProverError::Backend)?)
    }
}

impl Available {
    /// The name that goes into proofs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::DualCpu => "dual:cpu,cpu",
        }
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
            ("wgpu:0", false),
            ("icicle", false),
            ("dual:cpu,wgpu", false),
        ] {
            let choice: BackendChoice = name.parse().expect(name);
            assert_eq!(choice.check().is_ok(), known, "{name}");
        }
    }
}
