//! The arguments. They are few enough to be read without a library for it, which would double what the program is built
//! of.

use std::ffi::OsString;
use std::path::PathBuf;

/// How the program is called, for hints.
pub(crate) const USAGE: &str =
    "zkml-gpu-verify PROOF.json --vk model.vk [--commitment NAME=FILE]... [--hash NAME=FILE]... [--json]";

/// What `--help` prints beneath the usage.
pub(crate) const HELP: &str = "
Arguments:
  PROOF.json         The proof

Options:
      --vk model.vk  The model's verifying key, from someone you trust
      --commitment NAME=FILE
                     The commitment that a committed input or output must have; may be repeated
      --hash NAME=FILE
                     The hash that a hashed input or output must have, as `zkml-gpu commit` writes it; may be repeated
      --json         Print one JSON object
  -h, --help         Print help
  -V, --version      Print version

Exit codes: 0 accepted, 1 proof rejected, 2 bad arguments or input, 70 a bug of ours
";

/// What the caller wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// How the program is called.
    Help,
    /// The program's version.
    Version,
    /// A verdict.
    Verify(Verification),
}

/// A proof to verify.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verification {
    pub(crate) proof: PathBuf,
    pub(crate) vk: PathBuf,
    /// Names of tensors and files of the commitments that they must have.
    pub(crate) commitments: Vec<(String, PathBuf)>,
    /// Likewise of hashes.
    pub(crate) hashes: Vec<(String, PathBuf)>,
    /// Print one JSON object instead of text.
    pub(crate) json: bool,
}

/// Reads the arguments after the program's name: options in any place, values behind a space or `=`, and only paths
/// after `--`.
///
/// # Errors
/// The first argument that is wrong, or the first one missing, in words.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let (mut proof, mut vk, mut json) = (None, None, false);
    let (mut commitments, mut hashes) = (Vec::new(), Vec::new());
    let mut only_paths = false;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        // What is no Unicode is no option either.
        match argument.to_str().filter(|_| !only_paths) {
            Some("-h" | "--help") => return Ok(Request::Help),
            Some("-V" | "--version") => return Ok(Request::Version),
            Some("--") => only_paths = true,
            Some("--json") if !json => json = true,
            Some("--vk") => {
                let value = arguments.next().filter(|value| !value.is_empty());
                set(&mut vk, "--vk", value.ok_or("--vk has no value")?)?;
            }
            Some(text) if text.starts_with("--vk=") => set(&mut vk, "--vk", text["--vk=".len()..].into())?,
            Some(option @ ("--commitment" | "--hash")) => {
                let value = arguments.next().and_then(|value| value.into_string().ok());
                let list = if option == "--hash" { &mut hashes } else { &mut commitments };
                list.push(named(option, value.as_deref().unwrap_or_default())?);
            }
            Some(text) if text.starts_with("--commitment=") => {
                commitments.push(named("--commitment", &text["--commitment=".len()..])?);
            }
            Some(text) if text.starts_with("--hash=") => hashes.push(named("--hash", &text["--hash=".len()..])?),
            Some("--json") => return Err("--json is given twice".into()),
            Some(text) if text.starts_with('-') && text != "-" => return Err(format!("unexpected argument '{text}'")),
            _ => set(&mut proof, "PROOF.json", argument)?,
        }
    }
    let proof = proof.ok_or("PROOF.json is missing")?;
    let vk = vk.ok_or("--vk model.vk is missing")?;
    Ok(Request::Verify(Verification { proof, vk, commitments, hashes, json }))
}

/// A tensor's name and a file.
fn named(option: &str, text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.into(), file.into())),
        _ => Err(format!("{option} takes NAME=FILE")),
    }
}

/// Takes a path, which there is one of.
fn set(path: &mut Option<PathBuf>, name: &str, value: OsString) -> Result<(), String> {
    if value.is_empty() {
        return Err(format!("{name} has no value"));
    }
    match path.replace(value.into()) {
        Some(_) => Err(format!("{name} is given twice")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Request, String> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn options_stand_in_any_place() {
        let expected = |json| {
            Ok(Request::Verify(Verification {
                proof: "proof.json".into(),
                vk: "model.vk".into(),
                commitments: Vec::new(),
                hashes: Vec::new(),
                json,
            }))
        };
        for arguments in [&["proof.json", "--vk", "model.vk"][..], &["--vk=model.vk", "--", "proof.json"]] {
            assert_eq!(parsed(arguments), expected(false), "{arguments:?}");
        }
        assert_eq!(parsed(&["--json", "--vk", "model.vk", "proof.json"]), expected(true));
        let (proof, vk) = ("--json".into(), "--vk".into());
        let strange = Verification { proof, vk, commitments: Vec::new(), hashes: Vec::new(), json: false };
        assert_eq!(parsed(&["--vk", "--vk", "--", "--json"]), Ok(Request::Verify(strange)));
    }

    #[test]
    fn commitments_and_hashes_are_named_and_may_be_several() {
        let files = [("x".to_owned(), PathBuf::from("a=b")), ("y".to_owned(), PathBuf::from("c"))];
        let (proof, vk) = ("proof.json".into(), "model.vk".into());
        let hashes = [("z".to_owned(), PathBuf::from("d")), ("w".to_owned(), PathBuf::from("e"))];
        let expected = Verification { proof, vk, commitments: files.to_vec(), hashes: hashes.to_vec(), json: false };
        let arguments = ["--commitment", "x=a=b", "--hash=z=d", "proof.json", "--commitment=y=c", "--vk", "model.vk"];
        let arguments = [&arguments[..], &["--hash", "w=e"]].concat();
        assert_eq!(parsed(&arguments), Ok(Request::Verify(expected)));
    }

    #[test]
    fn help_and_version_need_nothing_else() {
        for (text, expected) in [
            ("-h", Request::Help),
            ("--help", Request::Help),
            ("-V", Request::Version),
            ("--version", Request::Version),
        ] {
            assert_eq!(parsed(&[text]), Ok(expected), "{text}");
        }
        assert_eq!(parsed(&["proof.json", "--help"]), Ok(Request::Help));
    }

    #[test]
    fn what_is_missing_unknown_or_repeated_is_named() {
        for (arguments, name) in [
            (&[][..], "PROOF.json"),
            (&["proof.json"], "--vk"),
            (&["--vk", "model.vk"], "PROOF.json"),
            (&["proof.json", "--vk"], "--vk"),
            (&["proof.json", "--vk", "a", "--commitment"], "NAME=FILE"),
            (&["proof.json", "--vk", "a", "--commitment", "=b"], "NAME=FILE"),
            (&["proof.json", "--vk", "a", "--commitment=b"], "--commitment takes NAME=FILE"),
            (&["proof.json", "--vk", "a", "--hash"], "--hash takes NAME=FILE"),
            (&["proof.json", "--vk", "a", "--hash=x="], "--hash takes NAME=FILE"),
            (&["proof.json", "--vk="], "--vk"),
            (&["proof.json", "--vk", "a", "--vk", "b"], "--vk"),
            (&["proof.json", "other.json", "--vk", "model.vk"], "PROOF.json"),
            (&["", "--vk", "model.vk"], "PROOF.json"),
            (&["proof.json", "--vk", "model.vk", "--json", "--json"], "--json"),
            (&["proof.json", "--vk", "model.vk", "--quick"], "--quick"),
            (&["proof.json", "-v", "model.vk"], "-v"),
        ] {
            let problem = parsed(arguments);
            assert!(problem.as_ref().is_err_and(|problem| problem.contains(name)), "{arguments:?}: {problem:?}");
        }
    }
}
