//! Files of segments that nobody vouches for.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zkml_gpu::segmented::{SEGMENTED_MODEL, SEGMENTED_PROVING_KEY, SEGMENTED_PUBLIC_MODEL, SegmentedPublicModel};
use zkml_gpu::{
    BackendChoice, CompileOptions, Costs, Error, SEGMENTED_KEY, SegmentedKey, SegmentedModel, SegmentedProof,
    SegmentedProverKey, Srs,
};
use zkml_gpu_files::container::{Container, Kind, SectionName, Writer};

use super::{keys, operation, prove, rng};

/// Sections of a file with their names.
pub(crate) type Sections = Vec<(SectionName, Vec<u8>)>;

/// Whether a reader takes the bytes of its file for what was written.
type IsTaken<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// A file with other sections under digests that are theirs.
pub(crate) fn resealed(bytes: &[u8], kind: Kind, change: impl FnOnce(&mut Sections)) -> Vec<u8> {
    let mut container = Container::open(Cursor::new(bytes), kind).expect("a file of sections");
    // Behind magic and version: their number, then of each name, length and digest.
    let count = u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes")) as usize;
    let names = (0..count).map(|index| bytes[16 + 48 * index..][..8].try_into().expect("eight bytes"));
    let section = |name| (name, container.section(name, u64::MAX).expect("a section"));
    let mut sections: Sections = names.map(section).collect();
    change(&mut sections);
    let names: Vec<SectionName> = sections.iter().map(|(name, _)| *name).collect();
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, kind, &names).expect("a writer");
    sections.iter().for_each(|(_, section)| writer.section(&section[..]).expect("a section"));
    writer.finish().expect("a file");
    file.into_inner()
}

/// The same of a verifying key.
pub(crate) fn resealed_key(bytes: &[u8], change: impl FnOnce(&mut Sections)) -> Vec<u8> {
    resealed(bytes, SEGMENTED_KEY, change)
}

/// One to three bytes changed, numbers at which lengths and counts go wrong, a piece moved, put in or gone, or an early
/// end.
fn mutated(bytes: &[u8], random: &mut ChaCha20Rng) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..random.gen_range(1..=3) {
        if changed.is_empty() {
            break;
        }
        let at = random.gen_range(0..changed.len());
        let len = random.gen_range(1..=40.min(changed.len() - at));
        match random.gen_range(0..8) {
            0 | 1 => changed[at] ^= 1 << random.gen_range(0..8),
            2 => changed[at] = random.r#gen(),
            // A digit more in a number of a description.
            3 => changed.splice(at..at, *b"9").for_each(drop),
            4 => changed[at..at + len].fill(0xff),
            5 => changed.drain(at..at + len).for_each(drop),
            6 => {
                let piece = changed[at..at + len].to_vec();
                changed.splice(at..at, piece).for_each(drop);
            }
            _ => changed.truncate(at),
        }
    }
    changed
}

/// A file with one section mutated. Each section is as likely, so that small ones with numbers are not missed.
fn mutated_file(bytes: &[u8], kind: Kind, random: &mut ChaCha20Rng) -> Vec<u8> {
    resealed(bytes, kind, |sections| {
        let at = random.gen_range(0..sections.len());
        sections[at].1 = mutated(&sections[at].1, random);
    })
}

#[test]
fn files_that_are_cut_or_mutated_are_refused_or_harmless_and_nothing_panics() {
    let seed = 29;
    println!("seed {seed}");
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let (model, samples) = operation("residual_add");
    let options = CompileOptions::default().with_one_width();
    let compiled = model.compile_segments(&samples, &options, &[1]).expect("segments");
    let public = compiled.public().expect("a public model");
    let folder = tempfile::tempdir().expect("a folder");
    let [zkml, pk, open] = ["m.zkml", "m.pk", "m.public.zkml"].map(|name| folder.path().join(name));
    compiled.write(&zkml).expect("written");
    public.write(&open).expect("written");
    let srs = Srs::development(compiled.k(), rng(50)).expect("a reference string");
    let key = keys(compiled, 50);
    key.write(&pk).expect("written");
    let [zkml_bytes, pk_bytes, open_bytes] = [&zkml, &pk, &open].map(|path| std::fs::read(path).expect("read"));
    let vk_bytes = key.key().to_bytes().to_vec();
    let prover = key.prover(&BackendChoice::Cpu, None).expect("a prover");
    let proof = prove(&prover, &samples[0], 51).bundle;
    let verifying = SegmentedKey::from_bytes(&vk_bytes, "m.vk").expect("read");
    verifying.verify(&proof).expect("an honest proof");
    let changed = folder.path().join("changed");

    let key_is_taken = |bytes: &[u8]| {
        SegmentedKey::from_bytes(bytes, "m.vk").is_ok_and(|key| {
            let mut claimed = proof.clone();
            claimed.verifying_key = key.digest().into();
            claimed.seal();
            key.verify(&claimed).is_ok()
        })
    };
    let model_is_taken = |bytes: &[u8]| {
        std::fs::write(&changed, bytes).expect("written");
        SegmentedModel::open(&changed).is_ok_and(|model| {
            let told = model.inputs().len() + model.input_shapes().len() + model.segments() + model.circuits();
            let saturation = model.saturation(&samples[0]).is_some();
            let planned = model.plan(&Costs::reference()).is_ok() && model.public().is_ok();
            told > 0 && (saturation || planned) && model.check().is_ok()
        })
    };
    let pk_is_taken = |bytes: &[u8]| {
        std::fs::write(&changed, bytes).expect("written");
        SegmentedProverKey::open(&changed).is_ok_and(|key| key.model().memory_budgets(None).is_ok())
    };
    let public_is_taken = |bytes: &[u8]| {
        std::fs::write(&changed, bytes).expect("written");
        SegmentedPublicModel::open(&changed)
            .is_ok_and(|model| model.audit(&verifying, &srs, &BackendChoice::Cpu, false).is_ok())
    };
    let readers: [(&str, &[u8], Kind, &IsTaken, usize); 4] = [
        ("m.vk", &vk_bytes, SEGMENTED_KEY, &key_is_taken, 300),
        ("m.zkml", &zkml_bytes, SEGMENTED_MODEL, &model_is_taken, 300),
        ("m.pk", &pk_bytes, SEGMENTED_PROVING_KEY, &pk_is_taken, 100),
        ("m.public.zkml", &open_bytes, SEGMENTED_PUBLIC_MODEL, &public_is_taken, 40),
    ];
    for (name, bytes, kind, is_taken, rounds) in readers {
        assert!(is_taken(bytes), "{name} as it is");
        for share in [0, 1, 4, 16, 50, 99] {
            let cut = &bytes[..bytes.len() * share / 100];
            assert!(!is_taken(cut), "{share} percent of {name}");
        }
        assert!(!is_taken(&[bytes, b"\0"].concat()), "{name} and a byte");
        let mut taken = 0;
        for round in 0..rounds {
            let other = mutated_file(bytes, kind, &mut random);
            let result = catch_unwind(AssertUnwindSafe(|| is_taken(&other)));
            let result = result.unwrap_or_else(|_| panic!("{name}, round {round} panics"));
            taken += usize::from(result && other != bytes);
        }
        println!("{name}: {taken} of {rounds} are taken");
        // Its name, its error and the digests of architectures are the owner's word, and an audit looks at these.
        assert!(kind != SEGMENTED_KEY || taken * 4 < rounds, "{name}: {taken} of {rounds} mutations are taken");
    }

    let text = proof.to_json().expect("JSON");
    for round in 0..300 {
        let other = mutated(&text, &mut random);
        let Ok(mut read) = SegmentedProof::from_json(&other, "proof.json") else { continue };
        if read != proof {
            assert!(verifying.verify(&read).is_err(), "round {round}: the checksum");
            // What is only for the record may be anything that there is.
            read.backend.clone_from(&proof.backend);
            read.seal();
            assert!(read == proof || verifying.verify(&read).is_err(), "round {round}: {read:?}");
        }
    }
}

/// 256 segments may share a circuit, and each has its key in memory.
#[test]
fn a_small_file_is_no_large_key() {
    let (model, samples) = operation("residual_add");
    let compiled = model.compile_segments(&samples, &CompileOptions::default().with_one_width(), &[1]).expect("two");
    let key = keys(compiled, 52);
    let mut about: serde_json::Value = serde_json::to_value(key.key().about()).expect("JSON");
    let [wire, digest] = ["wires", "architectures"].map(|list| about[list][0].clone());
    about["circuits"] = vec![0; 256].into();
    about["wires"] = vec![wire; 256].into();
    about["architectures"] = vec![digest; 256].into();
    let bytes = resealed_key(key.key().to_bytes(), |sections| {
        let of = |name: &[u8; 8]| sections.iter().find(|(own, _)| own == name).expect("a section").1.clone();
        let (mut circuit, model, weights) = (of(b"circ0000"), of(b"modl0000"), of(b"wght0000"));
        circuit.resize(5 << 20, 0);
        let mut all = vec![(*b"about\0\0\0", serde_json::to_vec(&about).expect("JSON")), (*b"circ0000", circuit)];
        for segment in 0..256 {
            let name =
                |kind: &str| -> SectionName { format!("{kind}{segment:04}").into_bytes().try_into().expect("eight") };
            all.extend([(name("modl"), model.clone()), (name("wght"), weights.clone())]);
        }
        *sections = all;
    });
    let refused = SegmentedKey::from_bytes(&bytes, "m.vk").map(drop).expect_err("1.25 GiB of keys").to_string();
    assert!(refused.contains("together"), "{refused}");
}

/// Whoever wrote the file has wired segments to be no model: that is no fault of the program's.
#[test]
fn a_model_whose_wires_are_no_models_is_refused_before_keys_are_made() {
    let (model, samples) = operation("residual_add");
    let compiled = model.compile_segments(&samples, &CompileOptions::default().with_one_width(), &[1]).expect("two");
    let srs = Srs::development(compiled.k(), rng(3)).expect("a reference string");
    let bytes = compiled.to_bytes().expect("bytes");
    assert!(SegmentedModel::from_bytes(bytes.clone()).expect("read").check().is_ok());
    type Change = (&'static str, fn(&mut serde_json::Value));
    let changes: [Change; 4] = [
        ("a tensor between that nobody makes", |about| {
            about["wires"][0]["outputs"][0] = about["wires"][1]["outputs"][0].clone()
        }),
        ("an output twice", |about| about["wires"][1]["outputs"] = about["wires"][0]["outputs"].clone()),
        ("an input for a tensor between", |about| {
            about["wires"][1]["inputs"][0] = about["wires"][0]["inputs"][0].clone()
        }),
        ("other rows", |about| about["k"] = 3.into()),
    ];
    for (what, change) in changes {
        let changed = resealed(&bytes, SEGMENTED_MODEL, |sections| {
            let mut about = serde_json::from_slice(&sections[0].1).expect("JSON");
            change(&mut about);
            sections[0].1 = serde_json::to_vec(&about).expect("JSON");
        });
        let Ok(model) = SegmentedModel::from_bytes(changed) else { continue };
        assert!(matches!(model.check(), Err(Error::File(_))), "{what}: {:?}", model.check());
        let made = model.setup(&srs, &BackendChoice::Cpu, true, rng(4)).map(drop);
        assert!(matches!(made, Err(Error::File(_))), "{what}: {made:?}");
    }
}
