//! Two runs of `bench`, one of them in a file: what changed beyond the spread of its runs.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use zkml_gpu::{FileError, read_bounded};

use super::record::{FORMAT_VERSION, Setting};
use super::statistics::Spread;
use crate::report::terminal_safe;

/// Largest file that is read: some ten thousand rows.
const MAX_BYTES: u64 = 64 << 20;
/// Change of a median below which nothing is said to have changed: what a quiet machine's runs differ by from day to
/// day.
const NOTABLE: f64 = 0.02;
const HINT: &str =
    "the file is made by zkml-gpu bench with --json, by this version and for the same kind of measurement";

/// A measurement that can be compared.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// By which the same is found in the other run.
    pub(super) name: String,
    /// What else must be equal for times to be comparable, such as the circuit.
    pub(super) same: String,
    pub(super) ms: Spread,
}

/// One measurement in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) old_ms: f64,
    pub(super) new_ms: f64,
    /// `new_ms / old_ms`.
    pub(super) ratio: f64,
    pub(super) verdict: Verdict,
}

/// What can be said of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// The middle halves of the runs overlap, or the medians are close.
    Same,
    /// The new run is faster.
    Faster,
    /// The new run is slower.
    Slower,
    /// The old run proved another circuit.
    NotComparable,
}

impl Verdict {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Same => "within the spread",
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NotComparable => "another circuit",
        }
    }
}

/// A comparison with an earlier run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Comparison {
    /// The file.
    pub(super) with: String,
    /// The machine of that run, if it is not this one: times then say more about machines than about programs.
    pub(super) other_machine: Option<String>,
    /// What both runs measured, in the order of the new one.
    pub(super) changes: Vec<Change>,
}

impl Comparison {
    /// Of what is measured now with what was measured then.
    pub(super) fn new(path: &Path, old: (&Setting, Vec<Measured>), new: (&Setting, Vec<Measured>)) -> Self {
        let before: HashMap<&str, &Measured> = old.1.iter().map(|row| (row.name.as_str(), row)).collect();
        let changes = new.1.iter().filter_map(|row| Some(change(before.get(row.name.as_str())?, row))).collect();
        let place = |setting: &Setting| format!("{}, {} threads", setting.machine, setting.threads);
        let other_machine = (place(old.0) != place(new.0)).then(|| place(old.0));
        Self { with: path.display().to_string(), other_machine, changes }
    }
}

/// The changes as a table.
pub(super) fn text(comparison: &Comparison) -> String {
    let mut text = terminal_safe(&format!("compared with {}", comparison.with));
    if let Some(machine) = &comparison.other_machine {
        text += &format!(" of another machine ({})", terminal_safe(machine));
    }
    text.push('\n');
    let width = comparison.changes.iter().map(|change| change.name.chars().count()).max().unwrap_or(0).max(4);
    let _ = writeln!(text, "  {:width$} {:>12} {:>12} {:>8}", "what", "then ms", "now ms", "now/then");
    for change in &comparison.changes {
        let Change { name, old_ms, new_ms, ratio, verdict } = change;
        let (name, verdict) = (terminal_safe(name), verdict.text());
        let _ = writeln!(text, "  {name:width$} {old_ms:>12.3} {new_ms:>12.3} {ratio:>8.3}  {verdict}");
    }
    if comparison.changes.is_empty() {
        text += "  nothing was measured in both runs\n";
    }
    text
}

fn change(old: &Measured, new: &Measured) -> Change {
    let ratio = new.ms.median / old.ms.median;
    let verdict = if old.same != new.same {
        Verdict::NotComparable
    } else if (ratio - 1.0).abs() < NOTABLE {
        Verdict::Same
    } else if new.ms.upper_quartile < old.ms.lower_quartile {
        Verdict::Faster
    } else if new.ms.lower_quartile > old.ms.upper_quartile {
        Verdict::Slower
    } else {
        Verdict::Same
    };
    Change { name: new.name.clone(), old_ms: old.ms.median, new_ms: new.ms.median, ratio, verdict }
}

/// Reads a record of the kind `bench`.
///
/// # Errors
/// [`FileError::File`], [`FileError::FileSize`], and [`FileError::Artifact`] for anything but a record of this kind and
/// version.
pub(super) fn read<T: for<'a> Deserialize<'a>>(path: &Path, bench: &str) -> Result<T, FileError> {
    let bytes = read_bounded(path, MAX_BYTES)?;
    let fail = |problem: String| FileError::Artifact { file: path.display().to_string(), problem, hint: HINT };
    /// What tells kinds and versions apart.
    #[derive(Deserialize)]
    struct Kind {
        format_version: u32,
        bench: String,
    }
    let kind: Kind = serde_json::from_slice(&bytes).map_err(|error| fail(error.to_string()))?;
    if kind.format_version != FORMAT_VERSION {
        return Err(fail(format!("format version {}, this program reads {FORMAT_VERSION}", kind.format_version)));
    }
    if kind.bench != bench {
        return Err(fail(format!("measurements of 'bench {}', not of 'bench {bench}'", kind.bench)));
    }
    serde_json::from_slice(&bytes).map_err(|error| fail(error.to_string()))
}

/// Refuses numbers that no run gave.
///
/// # Errors
/// [`FileError::Artifact`] names the first measurement whose times are not positive numbers in order.
pub(super) fn check(path: &Path, measured: &[Measured]) -> Result<(), FileError> {
    match measured.iter().find(|row| !row.ms.is_sound()) {
        Some(row) => {
            let problem = format!("the times of '{}' are not positive numbers in order", row.name);
            Err(FileError::Artifact { file: path.display().to_string(), problem, hint: HINT })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(ms: [f64; 3]) -> Measured {
        Measured { name: "a".into(), same: "b".into(), ms: Spread::of(ms) }
    }

    #[test]
    fn a_change_is_told_only_beyond_the_spread() {
        let old = measured([10.0, 11.0, 12.0]);
        for (new, verdict) in [
            ([13.0, 14.0, 15.0], Verdict::Slower),
            ([7.0, 8.0, 9.0], Verdict::Faster),
            ([9.0, 12.0, 15.0], Verdict::Same),
            ([11.1, 11.1, 11.1], Verdict::Same),
        ] {
            assert_eq!(change(&old, &measured(new)).verdict, verdict, "{new:?}");
        }
        let other = Measured { same: "c".into(), ..measured([1.0; 3]) };
        assert_eq!(change(&old, &other).verdict, Verdict::NotComparable);
        assert!((change(&old, &measured([22.0; 3])).ratio - 2.0).abs() < 1e-12);
    }

    #[test]
    fn times_of_zero_are_refused_by_name() {
        let refused = check(Path::new("old.json"), &[measured([1.0; 3]), measured([0.0; 3])]);
        assert!(refused.is_err_and(|error| error.to_string().contains("'a'")));
    }
}
