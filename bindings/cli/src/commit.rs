//! `zkml-gpu commit` and `zkml-gpu open`: commitments to tensors and their openings, hashes of tensors and their salts.

use std::path::{Path, PathBuf};

use rand_core::OsRng;
use serde::Serialize;
use zkml_gpu::{
    AnyKey, AnyProverKey, Error, ModelInput, ModelKey, Opening, ReferencePoints, Salt, Srs, TensorCommitment,
    hash_numbers, key_of_tensor, magic, read_hash, read_salt, read_samples, write_salt, write_whole,
};

use crate::args::{CommitOptions, OpenOptions, PointsOptions};
use crate::output;
use crate::report::{self, line};

/// What `--json` prints. Names and meaning are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// The commitment, as its file has it.
    commitment: &'a TensorCommitment,
    /// To publish.
    commitment_file: PathBuf,
    /// To keep.
    opening_file: PathBuf,
}

/// A reference string, and where its points are.
enum Source {
    Key(Box<AnyProverKey>),
    String(Box<Srs>),
}

impl Source {
    fn read(options: &PointsOptions, k: u32) -> Result<Self, Error> {
        match (&options.pk, &options.srs) {
            (Some(path), _) => Ok(Self::Key(Box::new(AnyProverKey::read(path)?))),
            (None, Some(path)) => Ok(Self::String(Box::new(Srs::read(path, k)?))),
            (None, None) => Err(Error::Arguments {
                problem: "the points of the reference string are missing".into(),
                hint: "--pk NAME.pk or --srs FILE",
            }),
        }
    }

    fn points(&self) -> ReferencePoints<'_> {
        match self {
            Self::Key(key) => ReferencePoints::of_any(key),
            Self::String(srs) => ReferencePoints::of(srs),
        }
    }

    /// The verifying key in a proving key that has an input or output of the model.
    fn key(&self, name: &str) -> Result<Option<&ModelKey>, Error> {
        match self {
            Self::Key(key) => key.key_of_tensor(name).map(Some),
            Self::String(_) => Ok(None),
        }
    }
}

pub(crate) fn commit(options: &CommitOptions) -> anyhow::Result<u8> {
    output::try_folder(&options.out)?;
    let read = options.vk.as_ref().map(AnyKey::read).transpose()?;
    let name = options.input.as_ref().or(options.output.as_ref()).map(String::as_str).unwrap_or_default();
    let key = read.as_ref().map(|key| key_of_tensor(key, name)).transpose()?;
    // A hash has nothing of a reference string.
    if let Some(key) = key.filter(|key| is_hashed(key, name)) {
        return hash(options, key, name);
    }
    // Without a verifying key there is a proving key, which has its own.
    let source = Source::read(&options.points, key.map_or(0, |key| key.keys().k()))?;
    let own = if key.is_some() { key } else { source.key(name)? };
    let key = own.ok_or_else(|| Error::Arguments {
        problem: "the key of the model is missing".into(),
        hint: "--vk NAME.vk, or --pk NAME.pk",
    })?;
    if is_hashed(key, name) {
        return hash(options, key, name);
    }
    if options.salt {
        let problem = format!("'{name}' is hashed nowhere in this key, and a commitment hides by itself");
        return Err(Error::Arguments { problem, hint: "leave --salt out" }.into());
    }
    let numbers = numbers(&options.file, key, name)?;
    let opening = Opening::commit(key, name, &numbers, &source.points(), OsRng)?;
    std::fs::create_dir_all(&options.out).map_err(|source| zkml_gpu::FileError::unwritten(&options.out, source))?;
    let [commitment_file, opening_file] = write(&options.out, &file_stem(name), &opening)?;
    let report = Report { commitment: opening.commitment(), commitment_file, opening_file };
    if options.json {
        report::print_json(&report)?;
    } else {
        let mut text = format!("'{}': committed\n", name.escape_debug());
        text += &line("keep", &format!("{}: private, it holds the tensor", report.opening_file.display()));
        text += &line("publish", &report.commitment_file.display().to_string());
        report::print(&text)?;
    }
    Ok(0)
}

/// Whether a key hashes the input or output of this name.
fn is_hashed(key: &ModelKey, name: &str) -> bool {
    zkml_gpu::verify::port(key.keys(), name).is_some_and(|port| port.hashed().is_some())
}

/// The numbers of one tensor: of a key for several inferences, of all of them one after the other.
fn numbers(file: &Path, key: &ModelKey, name: &str) -> Result<Vec<f32>, Error> {
    let (len, classes) = match zkml_gpu::verify::port(key.keys(), name) {
        Some(port) => {
            let classes = port.classes();
            (port.logical_len(), (classes > 1).then_some(classes))
        }
        // The library names what there is.
        None => (1, None),
    };
    let inferences = key.inferences().max(1);
    let samples = read_samples(file, &[ModelInput { name, len: len / inferences, classes }])?;
    if samples.len() == inferences {
        return Ok(samples.into_iter().flatten().flatten().collect());
    }
    let problem = format!("{} holds {} tensors, not {inferences}", file.display(), samples.len());
    let hint = "a commitment is to all inputs of one proof: give one list for each, as the key is for";
    Err(Error::Arguments { problem, hint })
}

/// Hashes a tensor, with a salt where one is asked for.
fn hash(options: &CommitOptions, key: &ModelKey, name: &str) -> anyhow::Result<u8> {
    let numbers = numbers(&options.file, key, name)?;
    let salt = options.salt.then(|| Salt::random(OsRng));
    let hash = hash_numbers(key, name, &numbers, salt.as_ref())?;
    std::fs::create_dir_all(&options.out).map_err(|source| zkml_gpu::FileError::unwritten(&options.out, source))?;
    let file = |kind: &str| options.out.join(format!("{}.{kind}", file_stem(name)));
    let salt_file = salt.map(|salt| write_salt(file("salt"), &salt)).transpose()?;
    let hash_file = file("hash");
    write_whole(&hash_file, format!("{hash}\n").as_bytes())?;
    if options.json {
        report::print_json(&serde_json::json!({ "hash": hash, "hash_file": hash_file, "salt_file": salt_file }))?;
    } else {
        let mut text = format!("'{}': hashed\n", name.escape_debug());
        text += &line("hash", &hash.to_string());
        if let Some(salt) = &salt_file {
            text += &line("keep", &format!("{}: private, it hides the tensor", salt.display()));
        }
        text += &line("publish", &hash_file.display().to_string());
        report::print(&text)?;
    }
    Ok(0)
}

pub(crate) fn open(options: &OpenOptions) -> anyhow::Result<u8> {
    let is_commitment = magic(&options.commitment)?.is_some_and(|magic| magic.starts_with(b"{"));
    let file = options.commitment.display();
    match (&options.vk, is_commitment) {
        (Some(key), false) => return open_hash(options, &AnyKey::read(key)?),
        (None, true) => {}
        (Some(_), true) => {
            let problem = format!("{file} is a commitment, which a verifying key does not open");
            return Err(Error::Arguments { problem, hint: "a commitment takes --pk NAME.pk or --srs FILE" }.into());
        }
        (None, false) => {
            let problem = format!("{file} is no commitment");
            let hint = "a hash takes --vk NAME.vk and --input NAME or --output NAME, and the file of the numbers";
            return Err(Error::Arguments { problem, hint }.into());
        }
    }
    let commitment = TensorCommitment::read(&options.commitment)?;
    let opening = Opening::read(&options.opening)?;
    let source = Source::read(&options.points, commitment.k)?;
    opening.check(&commitment, &source.points())?;
    if options.json {
        report::print_json(&serde_json::json!({ "opens": true, "commitment": commitment }))?;
    } else {
        let mut text = "the opening is of this commitment\n".to_owned();
        text += &line("shape", &format!("{:?}", commitment.shape));
        text +=
            &line("circuits", &format!("k = {}, reference string {}", commitment.k, report::short(&commitment.srs)));
        report::print(&text)?;
    }
    Ok(0)
}

/// Whether a hash is that of numbers, as an input or output of a model has them.
fn open_hash(options: &OpenOptions, key: &AnyKey) -> anyhow::Result<u8> {
    let name = options.input.as_ref().or(options.output.as_ref()).ok_or_else(|| Error::Arguments {
        problem: "a hash is of one input or output".into(),
        hint: "--input NAME or --output NAME",
    })?;
    let key = key_of_tensor(key, name)?;
    let hash = read_hash(&options.commitment)?;
    let salt = options.salt.as_ref().map(read_salt).transpose()?;
    if hash_numbers(key, name, &numbers(&options.opening, key, name)?, salt.as_ref())? != hash {
        let problem =
            format!("the hash is of other numbers than {} holds, or has another salt", options.opening.display());
        let hint = "--salt FILE names the salt that was written beside the hash";
        return Err(Error::Arguments { problem, hint }.into());
    }
    if options.json {
        report::print_json(&serde_json::json!({ "opens": true, "hash": hash }))?;
    } else {
        let mut text = format!("the hash is of these numbers as '{}'\n", name.escape_debug());
        text += &line("hash", &hash.to_string());
        report::print(&text)?;
    }
    Ok(0)
}

/// Writes an opening, readable by the user alone, and then its commitment: no commitment is without its opening.
pub(crate) fn write(folder: &Path, stem: &str, opening: &Opening) -> Result<[PathBuf; 2], Error> {
    let files = [folder.join(format!("{stem}.commitment.json")), folder.join(format!("{stem}.opening"))];
    opening.write(&files[1])?;
    write_whole(&files[0], &opening.commitment().to_json()?)?;
    Ok(files)
}

/// A tensor's name as a part of a file's.
pub(crate) fn file_stem(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let stem: String = name.chars().map(plain).collect();
    if stem.is_empty() { "tensor".into() } else { stem }
}

#[cfg(test)]
mod tests {
    use super::file_stem;

    #[test]
    fn names_of_tensors_lead_to_no_other_folder() {
        for (name, stem) in [("x", "x"), ("a/b", "a_b"), ("../x", "___x"), ("", "tensor"), ("é:0", "__0")] {
            assert_eq!(file_stem(name), stem);
        }
    }
}
