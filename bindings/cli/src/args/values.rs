//! Values of options, from text; and those that only go together.

use std::path::PathBuf;
#[cfg(feature = "serve")]
use std::time::Duration;

use zkml_gpu::{FileError, Visibility};

#[cfg(feature = "cuda")]
use super::Architecture;
use super::Weights;

/// Most inputs of one proof: as many as samples of a file are read.
pub(super) const MOST_JOINT: i64 = 1 << 16;
/// Most digits after the point of a number of bytes: more say nothing of any unit.
const MAX_DECIMALS: usize = 12;

#[cfg(feature = "cuda")]
pub(super) fn architecture(text: &str) -> Result<Architecture, String> {
    let number = text.strip_prefix("sm_").and_then(|digits| digits.parse::<u8>().ok());
    // The last digit is the minor version.
    let capability =
        number.filter(|number| *number >= 10).map(|number| (i32::from(number) / 10, i32::from(number) % 10));
    capability
        .map(Architecture)
        .ok_or_else(|| format!("'{text}' is no architecture\nhint: sm_80, sm_90 or sm_120, for instance"))
}

/// A symbolic dimension's name and size.
pub(super) fn dimension(text: &str) -> Result<(String, usize), String> {
    let (name, size) = text.split_once('=').ok_or("expected NAME=SIZE")?;
    match size.parse() {
        Ok(size) if size > 0 && !name.is_empty() => Ok((name.into(), size)),
        _ => Err("expected NAME=SIZE with a positive size".into()),
    }
}

/// Who sees an input or output. The name is all before the last sign of equality.
pub(super) fn visibility(text: &str) -> Result<(String, Visibility), String> {
    let expected = || "expected NAME=public, NAME=private, NAME=committed or NAME=hashed".to_owned();
    let (name, word) = text.rsplit_once('=').ok_or_else(expected)?;
    let visibility = Visibility::ALL.into_iter().find(|visibility| visibility.name() == word);
    visibility.filter(|_| !name.is_empty()).map(|visibility| (name.into(), visibility)).ok_or_else(expected)
}

/// Where weights stand in a circuit that is measured: that committed ones are public changes no time.
pub(super) fn place_of_weights(text: &str) -> Result<Weights, String> {
    match text {
        "committed" => Ok(Weights::Committed),
        "embedded" => Ok(Weights::Embedded),
        _ => Err("expected committed or embedded".into()),
    }
}

/// A tensor's name and a file; the name is all before the first sign of equality.
pub(super) fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.into(), file.into())),
        _ => Err("expected NAME=FILE".into()),
    }
}

/// A number of bytes, with a unit or without; a fraction of a byte is dropped.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 8] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    let unit = UNITS.iter().find_map(|(name, size)| Some((text.strip_suffix(name)?, *size)));
    let count = match unit {
        Some((number, unit)) => scaled(number.trim_end(), unit),
        None => whole(text),
    };
    count.ok_or_else(|| "expected a number of bytes, such as 1500000000, 512MiB or 1.5GiB".into())
}

/// Digits, and nothing else.
fn whole(digits: &str) -> Option<u64> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// A decimal fraction of a unit, without rounding on the way.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (before, after) = match number.split_once('.') {
        Some((before, after)) => (before, Some(after)),
        None => (number, None),
    };
    let whole_units = u128::from(whole(before)?) * u128::from(unit);
    let part = match after {
        Some(digits) if digits.len() <= MAX_DECIMALS => {
            u128::from(whole(digits)?) * u128::from(unit) / 10u128.pow(digits.len() as u32)
        }
        Some(_) => return None,
        None => 0,
    };
    u64::try_from(whole_units + part).ok()
}

/// A bound on an error: a number that an error can be compared with.
pub(super) fn max_error(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(bound) if bound.is_finite() && bound >= 0.0 => Ok(bound),
        _ => Err("expected a part of the output's range, such as 0.016 for 1.6 %".into()),
    }
}

/// A time of a second or more, whole or not.
#[cfg(feature = "serve")]
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let time = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.filter(|time| *time >= Duration::from_secs(1)).ok_or_else(|| "expected a number of seconds from 1 on".into())
}

/// The most bits, of those asked for or the default; `name` is the option with the fewest, which are asked for or a
/// default as well.
///
/// # Errors
/// [`FileError::Artifact`] where fewer are the most.
pub(crate) fn most_bits(
    (name, fewest): (&'static str, u32),
    asked: Option<u32>,
    default: u32,
) -> Result<u32, FileError> {
    match asked {
        Some(most) if most < fewest => Err(FileError::Artifact {
            file: "--max-bits".into(),
            problem: format!("{most} bits at most are fewer than the {fewest} of {name}"),
            hint: "give --max-bits as many or more, or leave it out",
        }),
        Some(most) => Ok(most),
        None => Ok(default.max(fewest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_numbers_with_units() {
        for (text, expected) in [
            ("0", 0),
            ("7", 7),
            ("2GiB", 2 << 30),
            ("512 MiB", 512 << 20),
            ("3kB", 3000),
            ("1.5GiB", 3 << 29),
            ("0.001kB", 1),
            ("0.0015kB", 1),
            ("1.000000000001TB", 1_000_000_000_001),
            ("16777215.5TiB", 33_554_431 << 39),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "GiB",
            "-1",
            "+1",
            "1.5",
            "1.GiB",
            ".5GiB",
            "1.5.5GiB",
            "1,5GiB",
            "1e3MiB",
            "-1GiB",
            "0x10MiB",
            " 1GiB",
            "infGiB",
            "1.0000000000001TB",
            "2gib",
            "2G",
            "99999999999TiB",
            "16777216TiB",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[cfg(feature = "serve")]
    #[test]
    fn times_are_seconds_from_one_on() {
        assert_eq!([seconds("1"), seconds("2.5")], [Ok(Duration::from_secs(1)), Ok(Duration::from_millis(2500))]);
        for text in ["", "0", "0.5", "-1", "nan", "inf", "1e300", "5s"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dimensions_are_names_with_positive_sizes() {
        assert_eq!(dimension("seq=16"), Ok(("seq".into(), 16)));
        for text in ["seq", "=1", "seq=", "seq=0", "seq=-1", "seq=x"] {
            assert!(dimension(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bounds_on_errors_are_numbers_from_zero() {
        for (text, expected) in [("0", 0.0), ("0.016", 0.016), ("1e-6", 1e-6), ("2", 2.0)] {
            assert_eq!(max_error(text), Ok(expected), "{text}");
        }
        for text in ["", "nan", "NaN", "-nan", "inf", "-inf", "infinity", "-1", "-1e-9", "1e39", "1,6", "1.6 %", "x"] {
            assert!(max_error(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_most_bits_are_no_fewer_than_the_fewest() {
        let of = |fewest, asked| most_bits(("--min-bits", fewest), asked, 12).ok();
        assert_eq!(
            [of(4, None), of(14, None), of(4, Some(4)), of(9, Some(16))],
            [Some(12), Some(14), Some(4), Some(16)]
        );
        let refused = most_bits(("--min-bits", 9), Some(5), 12).expect_err("refused").to_string();
        for part in ["--max-bits", "--min-bits", "5", "9", "hint:"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }
}
