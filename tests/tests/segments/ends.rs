//! Inputs and outputs of every kind in segments, as honest users have them; and what an audit compares.

use zkml_gpu::segmented::{SEGMENTED_PUBLIC_MODEL, SegmentedPublicModel};
use zkml_gpu::{
    BackendChoice, CompileOptions, Error, Expected, Model, Rejection, Salt, Sample, SegmentedKey, SegmentedModel,
    SegmentedProver, Srs, Visibility, WeightMode, hash_numbers,
};
use zkml_gpu_graph::CutError;

use super::files::{resealed, resealed_key};
use super::{keys, operation, prove, rng};

/// The model cut at every place where it can be cut alone, if there is one, otherwise whole.
fn cut(model: &Model, samples: &[Sample], options: &CompileOptions) -> Vec<SegmentedModel> {
    let mut all = Vec::new();
    for at in 1.. {
        match model.compile_segments(samples, options, &[at]) {
            Err(Error::Cut(CutError::Places { .. })) => break,
            Err(Error::Cut(CutError::Tensor { .. })) => {}
            made => all.push(made.expect("segments")),
        }
    }
    if all.is_empty() {
        all.push(model.compile_segments(samples, options, &[]).expect("one segment"));
    }
    all
}

/// Proves that the segments compute what the whole does, and that what they commit to and hash is what is given.
fn proved(name: &str, options: &CompileOptions, compiled: SegmentedModel, seed: u64) -> SegmentedProver {
    let (model, samples) = operation(name);
    let sample = compiled.together(&vec![samples[0].clone(); compiled.inferences()]).expect("inputs");
    let whole = model.compile(&samples, options).expect("compiled");
    let graph = whole.graph();
    let shown = graph.run(&graph.quantise_inputs(&sample)).expect("a run");
    let prover = keys(compiled, seed).prover(&BackendChoice::Cpu, None).expect("a prover");
    let key = SegmentedKey::from_bytes(prover.key().to_bytes(), "m.vk").expect("read");
    let made = prove(&prover, &sample, seed + 2);
    key.verify(&made.bundle).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(made.bundle.inputs.len(), graph.inputs.len(), "{name}");
    assert_eq!(made.bundle.outputs.len(), graph.outputs.len(), "{name}");
    for (index, output) in made.bundle.outputs.iter().enumerate() {
        let tensor = &graph.tensors[graph.outputs[index]];
        assert_eq!(output.name, tensor.name, "{name}");
        if !output.visibility.is_hidden() {
            let reals: Vec<f32> =
                shown.values[graph.outputs[index]].iter().map(|v| tensor.format.dequantise(*v)).collect();
            let own: Vec<f32> = output.reals().into_iter().map(|value| value as f32).collect();
            assert_eq!(own, tensor.to_logical(&reals), "{name}, output {index}");
        }
    }
    // Openings are those of all committed inputs and outputs, once each, and of nothing between.
    let ports = || key.inputs().into_iter().chain(key.outputs());
    let committed = ports().filter(|port| port.visibility() == Visibility::Committed);
    let mut names: Vec<&str> = committed.map(|port| port.name.as_str()).collect();
    let mut opened: Vec<&str> = made.openings.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    opened.sort_unstable();
    assert_eq!(opened, names, "{name}");
    prover
}

#[test]
fn inputs_and_outputs_of_every_kind_are_proved_in_segments() {
    use Visibility::{Committed, Hashed, Private, Public};
    let cases: [(&str, &[&str], [Visibility; 2]); 12] = [
        ("output_is_input", &["relu1"], [Public, Public]),
        ("output_is_input", &["identity0", "relu1"], [Private, Public]),
        ("output_is_input", &["relu1"], [Committed, Private]),
        ("output_twice", &[], [Hashed, Public]),
        ("output_used_inside", &["relu2"], [Public, Hashed]),
        ("two_inputs", &["add4"], [Committed, Committed]),
        ("two_outputs", &["gemm2"], [Private, Committed]),
        ("residual_add", &["relu4"], [Private, Hashed]),
        ("residual_add", &["relu4"], [Hashed, Committed]),
        ("embeddings_added", &[], [Private, Public]),
        ("embeddings_added", &[], [Hashed, Public]),
        ("channels_last_output", &[], [Public, Public]),
    ];
    let mut segments = 0;
    for (number, (name, outputs, [input, output])) in cases.into_iter().enumerate() {
        let (model, samples) = operation(name);
        let inputs = model.inputs().iter().map(|own| (own.name.to_string(), input)).collect();
        let outputs = outputs.iter().map(|own| ((*own).to_string(), output)).collect();
        let options = CompileOptions::default().with_one_width().with_visibility(inputs, outputs);
        let all = cut(&model, &samples, &options);
        // The last is where most is read again; all have been laid out.
        let compiled = all.into_iter().next_back().expect("one");
        println!("{name}: {} segments", compiled.segments());
        segments += compiled.segments();
        let shared = compiled.wires().iter().filter(|wire| wire.inputs.contains(&zkml_gpu_graph::End::Input(0)));
        let several = shared.count() > 1;
        let prover = proved(name, &options, compiled, 60 + 10 * number as u64);
        let told = prover.key().inputs()[0].visibility();
        let expected = if several && input == Private { Committed } else { input };
        assert_eq!(told, expected, "{name}: what the key tells of the input");
    }
    assert!(segments > 16, "{segments} segments");
}

#[test]
fn several_inferences_and_embedded_weights_are_proved_in_segments() {
    let mut layout = zkml_gpu::LayoutOptions::default();
    layout.weights = WeightMode::Embedded;
    let usual = CompileOptions::default().with_one_width();
    let private = vec![("input".to_string(), Visibility::Private)];
    let cases = [
        usual.clone().with_inferences(2),
        usual.clone().with_layout(layout.clone()),
        usual.with_inferences(3).with_layout(layout).with_visibility(private, Vec::new()),
    ];
    for (number, options) in cases.into_iter().enumerate() {
        let (model, samples) = operation("residual_add");
        let compiled = cut(&model, &samples, &options).remove(0);
        assert_eq!(compiled.segments(), 2);
        let inferences = compiled.inferences();
        let prover = proved("residual_add", &options, compiled, 300 + 10 * number as u64);
        let sample = prover.proving_key().model().together(&vec![samples[0].clone(); inferences]).expect("inputs");
        let bundle = prove(&prover, &sample, 305).bundle;
        assert_eq!(bundle.inferences, inferences as u64);
        let mut fewer = bundle.clone();
        fewer.inferences -= 1;
        fewer.seal();
        assert!(prover.key().verify(&fewer).is_err(), "another number of inferences");
        if inferences > 1 {
            assert_eq!(bundle.pairs().len(), inferences);
            let mut moved = bundle.clone();
            let half = moved.outputs[0].values.len() / inferences;
            moved.outputs[0].values.rotate_left(half);
            // All are the same inference, so another is needed for a change.
            moved.outputs[0].values[0] ^= 1;
            moved.seal();
            assert!(prover.key().verify(&moved).is_err());
        }
    }
}

#[test]
fn openings_and_salts_are_those_of_the_models_own_tensors() {
    use Visibility::{Committed, Hashed};
    let (model, samples) = operation("residual_add");
    let options = |input, output| {
        let usual = CompileOptions::default().with_one_width();
        usual.with_visibility(vec![("input".into(), input)], vec![("relu4".into(), output)])
    };
    let compile = |options: &CompileOptions| model.compile_segments(&samples, options, &[1]).expect("segments");
    let prover = |compiled, seed| keys(compiled, seed).prover(&BackendChoice::Cpu, None).expect("a prover");

    // Both segments read the input.
    let committed = prover(compile(&options(Committed, Committed)), 400);
    let key = committed.key();
    assert!(key.wiring().is_shared(0));
    let first = prove(&committed, &samples[0], 402);
    let again = committed.prove(&samples[0], &first.openings, &[], rng(403), |_| ()).expect("with openings");
    key.verify(&again.bundle).expect("an honest proof");
    assert_eq!(first.bundle.inputs, again.bundle.inputs, "one commitment");
    assert_eq!(first.bundle.outputs, again.bundle.outputs);
    assert_ne!(first.bundle.between, again.bundle.between, "what lies between is blinded anew");
    assert!(first.bundle.proofs.iter().all(|proof| !again.bundle.proofs.contains(proof)));
    for (name, opening) in &first.openings {
        let expected =
            Expected { commitments: vec![(name.clone(), opening.commitment().clone())], ..Expected::default() };
        again.bundle.expect(key, &expected).expect("its own");
        let other = prove(&committed, &samples[0], 404).bundle;
        assert!(matches!(other.expect(key, &expected), Err(Rejection::OtherCommitment { .. })), "fresh ones");
    }
    let named = |name: &str| vec![(name.to_string(), first.openings[0].1.clone())];
    for name in ["segment output 0", "segment input 0", "nothing"] {
        let refused = committed.prove(&samples[0], &named(name), &[], rng(405), |_| ());
        assert!(matches!(refused, Err(Error::Arguments { .. })), "{name}");
    }
    let swapped =
        vec![("relu4".to_string(), first.openings.iter().find(|(name, _)| name == "input").expect("it").1.clone())];
    assert!(committed.prove(&samples[0], &swapped, &[], rng(406), |_| ()).is_err(), "another tensor's opening");
    let salt = || Salt::random(rng(407));
    let refused = committed.prove(&samples[0], &[], &[("input".into(), salt())], rng(408), |_| ());
    assert!(matches!(refused, Err(Error::Arguments { .. })), "a salt of what is not hashed");

    let hashed = prover(compile(&options(Hashed, Hashed)), 410);
    let key = hashed.key();
    assert!(key.wiring().is_shared(0));
    for salts in
        [vec![], vec![("input".to_string(), salt())], vec![("input".to_string(), salt()), ("relu4".into(), salt())]]
    {
        let made = hashed.prove(&samples[0], &[], &salts, rng(412), |_| ()).expect("a proof").bundle;
        key.verify(&made).expect("an honest proof");
        for (segment, own) in key.segments().iter().enumerate() {
            let salt = salts.first().map(|(_, salt)| salt);
            let hash = hash_numbers(own, "input", &samples[0][0], salt).expect("a hash");
            assert_eq!(made.inputs[0].hash, Some(hash), "segment {segment}");
            let expected = Expected { hashes: vec![("input".into(), hash)], ..Expected::default() };
            made.expect(key, &expected).expect("its own");
        }
        let mut changed = made.clone();
        changed.inputs[0].hash = changed.outputs[0].hash;
        changed.seal();
        assert!(key.verify(&changed).is_err(), "another tensor's hash");
    }
}

#[test]
fn an_audit_takes_the_key_of_its_public_model_and_no_other() {
    let (model, samples) = operation("residual_add");
    let options = CompileOptions::default().with_one_width();
    let all = cut(&model, &samples, &options);
    assert!(all.len() > 1, "{} cuts", all.len());
    let publics: Vec<SegmentedPublicModel> = all.iter().map(|own| own.public().expect("a public model")).collect();
    let compiled = all.into_iter().next().expect("one");
    let srs = Srs::development(compiled.k(), rng(500)).expect("a reference string");
    let unproven = model.compile_segments(&samples, &options, &[1]).expect("segments");
    let unproven = unproven.setup(&srs, &BackendChoice::Cpu, true, rng(502)).expect("keys");
    let made = keys(compiled, 500);
    let key = made.key();
    let audit = |public: &SegmentedPublicModel, key: &SegmentedKey, unproven| {
        public.audit(key, &srs, &BackendChoice::Cpu, unproven)
    };
    let found = audit(&publics[0], key, false).expect("its own");
    assert_eq!(found.segments, Some(2));
    assert!(found.soundness_bits > 100.0 && found.insecure_srs);
    assert!(matches!(audit(&publics[1], key, false), Err(Error::Audit(_))), "cut elsewhere");
    assert!(matches!(audit(&publics[0], unproven.key(), false), Err(Error::Audit(_))), "weights of any kind");
    let taken = audit(&publics[0], unproven.key(), true).expect("as asked");
    assert!(taken.weights.contains("not proven"), "{}", taken.weights);
    let other = Srs::development(srs.k(), rng(501)).expect("a reference string");
    assert!(publics[0].audit(key, &other, &BackendChoice::Cpu, false).is_err(), "another reference string");

    // What the key says of itself.
    let says = |change: &dyn Fn(&mut serde_json::Value)| {
        let bytes = resealed_key(key.to_bytes(), |sections| {
            let mut about = serde_json::to_value(key.about()).expect("JSON");
            change(&mut about);
            let about: zkml_gpu::verify::SegmentedAbout = serde_json::from_value(about).expect("a description");
            sections[0].1 = serde_json::to_vec(&about).expect("JSON");
        });
        SegmentedKey::from_bytes(&bytes, "m.vk").expect("read")
    };
    audit(&publics[0], &says(&|about| about["model"] = "another".into()), false).expect("a name is the owner's word");
    for segment in 0..2 {
        let other = says(&|about| about["architectures"][segment] = "1".repeat(64).into());
        let refused = audit(&publics[0], &other, false).expect_err("another architecture");
        assert!(refused.to_string().contains(&format!("segment {}", segment + 1)), "{refused}");
    }

    // What the public model says.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("m.public.zkml");
    publics[0].write(&path).expect("written");
    let bytes = std::fs::read(&path).expect("read");
    type Change = fn(&mut serde_json::Value);
    let changes: [(&str, Change); 3] = [
        ("wires", |about| {
            let wires = about["wires"].as_array_mut().expect("wires");
            wires.swap(0, 1);
        }),
        ("inferences", |about| about["inferences"] = 2.into()),
        ("rows", |about| about["k"] = 30.into()),
    ];
    for (what, change) in changes {
        let changed = resealed(&bytes, SEGMENTED_PUBLIC_MODEL, |sections| {
            let mut about = serde_json::from_slice(&sections[0].1).expect("JSON");
            change(&mut about);
            sections[0].1 = serde_json::to_vec(&about).expect("JSON");
        });
        std::fs::write(&path, changed).expect("written");
        let opened = SegmentedPublicModel::open(&path).expect("opened");
        assert!(matches!(audit(&opened, key, false), Err(Error::Audit(_))), "{what}");
    }
}
