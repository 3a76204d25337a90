//! What a dishonest prover and a dishonest owner of a key may try.

use group::prime::PrimeCurveAffine;
use halo2curves::bn256::G1Affine;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu::verify::SegmentedAbout;
use zkml_gpu::{Expected, Rejection, SegmentedKey, SegmentedProof, TensorCommitment};
use zkml_gpu_circuit::commit::TensorOpening;
use zkml_gpu_circuit::keys::point_to_hex;
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::prove::CommittedTensor;
use zkml_gpu_graph::{End, Format, Graph, Interleaving, Op, Part, Shape, Storage, Tensor, Visibility, Width, Window};
use zkml_gpu_tests::networks::{Builder, SIGNED, embedded, random_inputs};

use super::files::resealed_key;
use super::owner::{Made, Owner, Shared, Values};

fn sum() -> Op {
    Op::Combine { multipliers: vec![64, 64], offset: Vec::new(), shared: Interleaving::NONE, width: None }
}

/// `y = c + d` with `a = A x`, `b = B a`, `c = C b`, `d = D x`, of four features each; the products are learned. The
/// segments are `A`, `B`, `C` and what is left, of which `B` and `C` are alike.
fn parts(visibility: Visibility) -> Vec<Part> {
    let mut builder = Builder::new(81, 6, Shape::vector(4), SIGNED);
    let mut tensor = 0;
    for _ in 0..3 {
        tensor = builder.linear(tensor, 4, Window::UNIT, [1, 1], 40, SIGNED);
    }
    let side = builder.linear(0, 4, Window::UNIT, [1, 1], 40, SIGNED);
    let total = builder.node(sum(), &[tensor, side], Shape::vector(4), SIGNED);
    let mut graph = builder.finish(&[total]);
    for node in &mut graph.nodes {
        if let Op::Linear(linear) = &mut node.op {
            linear.width = Some(Width { bits: 24, spread_bits: 24 });
        }
    }
    graph.visibility.set_input(0, visibility);
    graph.parts(&[1, 2, 3]).expect("parts")
}

/// The inference of a seed, which every attack begins with.
fn inference(owner: &Owner, seed: u64) -> (Vec<Made>, Values, Shared) {
    let mut values: Values = [(End::Input(0), random_inputs(&owner.segments[0].graph, seed).remove(0))].into();
    let mut shared = Shared::new();
    let made = owner.prove_from(0, &mut values, &mut shared, seed);
    (made, values, shared)
}

/// The segment, from 1, whose proof is rejected.
fn rejected(key: &SegmentedKey, bundle: &SegmentedProof) -> usize {
    match key.verify(bundle) {
        Err(Rejection::Segment { segment, .. }) => segment,
        other => panic!("{other:?}"),
    }
}

/// A fresh commitment to other integers.
fn commitment(owner: &Owner, segment: usize, values: Vec<i64>, seed: u64) -> CommittedTensor {
    let own = &owner.segments[segment];
    let opening = TensorOpening::new(values, own.layout.k(), ChaCha20Rng::seed_from_u64(seed));
    CommittedTensor::new(&own.prover, opening, own.layout.k()).expect("a commitment")
}

#[test]
fn a_boundary_that_differs_in_a_cell_or_in_order_is_rejected_whichever_side_it_is_told_to() {
    let owner = Owner::new(parts(Visibility::Public), &LayoutOptions::default(), false);
    let key = owner.key();
    let (made, values, shared) = inference(&owner, 3);
    key.verify(&owner.bundle(&key, &made, &shared)).expect("an honest proof");
    let boundary = End::Between(0);
    let own = &values[&boundary];
    let mut cell = own.clone();
    cell[2] += if cell[2] < SIGNED.1 { 1 } else { -1 };
    let turned: Vec<i64> = own.iter().rev().copied().collect();
    for (what, other) in [("a cell", cell), ("the order", turned)] {
        assert_ne!(other, *own, "{what}");
        // Everything after the boundary is honest for what it reads.
        let told = commitment(&owner, 1, other.clone(), 41);
        let (mut changed, mut read) = (values.clone(), shared.clone());
        changed.insert(boundary, other);
        read.insert(boundary, told.clone());
        let later = owner.prove_from(1, &mut changed, &mut read, 4);
        let all = [&made[..1], &later].concat();
        assert_eq!(rejected(&key, &owner.bundle(&key, &all, &read)), 1, "{what}: as the reader has it");
        let maker = Shared::from([(boundary, shared[&boundary].clone())]);
        let mixed: Shared = read.iter().map(|(end, tensor)| (*end, tensor.clone())).chain(maker).collect();
        assert_eq!(rejected(&key, &owner.bundle(&key, &all, &mixed)), 2, "{what}: as the maker has it");

        // The reader's proof absorbs the maker's commitment, whose opening is of other integers than it computes with.
        let (mut again, mut lie) = (changed.clone(), read.clone());
        let dishonest = owner.prove(1, &mut again, &mut lie, 5, |mut tensors| {
            tensors[0] = shared[&boundary].clone();
            tensors
        });
        let mut rest = owner.prove_from(2, &mut again, &mut lie, 5);
        rest.insert(0, dishonest);
        let all = [&made[..1], &rest].concat();
        assert_eq!(rejected(&key, &owner.bundle(&key, &all, &lie)), 2, "{what}: the reader's lie");

        // The maker's proof absorbs the reader's.
        let (mut again, mut lie) = (values.clone(), Shared::new());
        let dishonest = owner.prove(0, &mut again, &mut lie, 6, |mut tensors| {
            let last = tensors.len() - 1;
            tensors[last] = told.clone();
            tensors
        });
        let all = [&[dishonest][..], &later].concat();
        assert_eq!(rejected(&key, &owner.bundle(&key, &all, &read)), 1, "{what}: the maker's lie");
    }
}

#[test]
fn commitments_that_are_none_or_too_few_are_rejected() {
    let owner = Owner::new(parts(Visibility::Committed), &LayoutOptions::default(), false);
    let key = owner.key();
    let (made, _, shared) = inference(&owner, 3);
    let honest = owner.bundle(&key, &made, &shared);
    key.verify(&honest).expect("an honest proof");
    let infinity = point_to_hex(&G1Affine::identity());
    type Change = fn(&mut SegmentedProof, &str);
    let changes: [(&str, Change); 10] = [
        ("infinity between", |proof, infinity| proof.between[1][0] = infinity.into()),
        ("infinity for an input", |proof, infinity| proof.inputs[0].commitments[0] = infinity.into()),
        ("no hexadecimal", |proof, _| proof.between[1][0] = "zz".repeat(32)),
        ("an empty text", |proof, _| proof.between[1][0] = String::new()),
        ("upper case", |proof, _| proof.between[1][0] = proof.between[1][0].to_uppercase()),
        ("a point off the curve", |proof, _| proof.between[1][0] = format!("{}00", "ff".repeat(31))),
        ("a point more", |proof, _| {
            let point = proof.between[1][0].clone();
            proof.between[1].push(point);
        }),
        ("a point less", |proof, _| proof.between[1].clear()),
        ("another tensor's point", |proof, _| proof.between[1] = proof.between[0].clone()),
        ("a tensor more", |proof, _| proof.between.push(Vec::new())),
    ];
    for (what, change) in changes {
        let mut changed = honest.clone();
        change(&mut changed, &infinity);
        changed.seal();
        assert_ne!(changed, honest, "{what} changes nothing");
        assert!(key.verify(&changed).is_err(), "{what} is accepted");
    }
}

#[test]
fn segments_of_one_circuit_are_not_taken_for_each_other() {
    let owner = Owner::new(parts(Visibility::Public), &LayoutOptions::default(), true);
    let key = owner.key();
    assert_eq!(key.about().circuits, [0, 1, 1, 2], "two segments share a circuit");
    assert_eq!(key.segments()[1].circuit_digest(), key.segments()[2].circuit_digest());
    let (made, values, mut shared) = inference(&owner, 3);
    let honest = owner.bundle(&key, &made, &shared);
    key.verify(&honest).expect("an honest proof");
    for (what, from, to) in [("replayed", 1, 2), ("replayed", 2, 1)] {
        let mut changed = honest.clone();
        changed.proofs[to] = changed.proofs[from].clone();
        changed.seal();
        assert_eq!(rejected(&key, &changed), to + 1, "{what} from {from} to {to}");
    }
    // The same integers go into both, under the same commitment; only the weights are others.
    let mut alone: Values = [(End::Between(1), values[&End::Between(0)].clone())].into();
    shared.insert(End::Between(1), shared[&End::Between(0)].clone());
    let second = owner.prove(2, &mut alone, &mut shared, 8, |tensors| tensors);
    let mut swapped = honest.clone();
    swapped.proofs[1] = {
        let all = [&made[..1], &[second][..], &made[2..]].concat();
        owner.bundle(&key, &all, &shared).proofs[1].clone()
    };
    swapped.between[1] = shared[&End::Between(2)].commitments.iter().map(point_to_hex).collect();
    swapped.seal();
    assert_eq!(rejected(&key, &swapped), 2, "a proof with the other's weights");

    // Keys with model commitments, or the proofs of weights, of the other segment.
    for [one, other] in [[*b"modl0001", *b"modl0002"], [*b"wght0001", *b"wght0002"]] {
        let bytes = resealed_key(key.to_bytes(), |sections| {
            let at = |name| sections.iter().position(|(own, _)| *own == name).expect("a section");
            let (a, b) = (at(one), at(other));
            let kept = sections[a].1.clone();
            sections[a].1 = sections[b].1.clone();
            sections[b].1 = kept;
        });
        let changed = SegmentedKey::from_bytes(&bytes, "a.vk").expect("well formed");
        let mut claimed = honest.clone();
        claimed.verifying_key = changed.digest().into();
        claimed.seal();
        assert_eq!(rejected(&changed, &claimed), 2, "{:?}", String::from_utf8_lossy(&one));
        let weights = changed.segments().iter().map(|segment| segment.verify_weights().is_ok());
        assert_eq!(weights.collect::<Vec<_>>(), [true, false, false, true], "proofs of other commitments");
    }
}

#[test]
fn keys_of_two_models_take_no_proof_of_the_other() {
    let [one, other] = [82u64, 83].map(|seed| {
        let mut builder = Builder::new(seed, 6, Shape::vector(4), SIGNED);
        let x = builder.linear(0, 4, Window::UNIT, [1, 1], 40, SIGNED);
        let y = builder.linear(x, 4, Window::UNIT, [1, 1], 40, SIGNED);
        Owner::new(builder.finish(&[y]).parts(&[1]).expect("parts"), &LayoutOptions::default(), false)
    });
    let (key, stranger) = (one.key(), other.key());
    let (made, values, shared) = inference(&one, 3);
    let honest = one.bundle(&key, &made, &shared);
    key.verify(&honest).expect("an honest proof");
    assert!(stranger.verify(&honest).is_err());
    let claims = other.bundle(&stranger, &made, &shared);
    assert_eq!(rejected(&stranger, &claims), 1, "with everything that is told in the other's words");
    // The other model's second segment on this one's boundary, and the reverse.
    let (mut values, mut shared) = (values, shared);
    let second = other.prove(1, &mut values, &mut shared, 9, |tensors| tensors);
    let mixed = [made[0].clone(), second];
    assert_eq!(rejected(&key, &one.bundle(&key, &mixed, &shared)), 2);
    assert_eq!(rejected(&stranger, &other.bundle(&stranger, &mixed, &shared)), 1);
}

#[test]
fn wirings_that_are_no_network_are_refused() {
    let owner = Owner::new(parts(Visibility::Public), &LayoutOptions::default(), false);
    let key = owner.key();
    type Change = fn(&mut SegmentedAbout);
    // The last segment reads the input, then tensor 2.
    let changes: [(&str, Change); 19] = [
        ("a circle", |a| (a.wires[1].inputs[0], a.wires[3].inputs[1]) = (End::Between(2), End::Between(0))),
        ("a segment reads itself", |a| a.wires[1].inputs[0] = End::Between(1)),
        ("a segment skipped", |a| a.wires[2].inputs[0] = End::Between(0)),
        ("two makers", |a| a.wires[1].outputs[0] = End::Between(0)),
        ("no maker", |a| a.wires[3].inputs[1] = End::Between(3)),
        ("no reader", |a| a.wires[1].outputs[0] = End::Between(3)),
        ("an output twice", |a| a.wires[2].outputs[0] = End::Output(0)),
        ("an output of another number", |a| a.wires[3].outputs[0] = End::Output(1)),
        ("no output at all", |a| a.wires[3].outputs[0] = End::Between(3)),
        ("an input that none reads", |a| a.wires[3].inputs[0] = End::Input(2)),
        ("what is committed as an input", |a| a.wires[1].inputs[0] = End::Input(0)),
        ("an input as an output", |a| a.wires[3].outputs[0] = End::Input(0)),
        ("an output as an input", |a| a.wires[1].inputs[0] = End::Output(0)),
        ("a public input between", |a| a.wires[3].inputs[0] = End::Between(2)),
        ("a number beyond memory", |a| a.wires[1].inputs[0] = End::Between(usize::MAX)),
        ("a port more", |a| a.wires[1].inputs.push(End::Between(0))),
        ("a port less", |a| a.wires[3].inputs.truncate(1)),
        ("a segment less", |a| drop(a.wires.pop())),
        ("circuits out of order", |a| a.circuits.swap(0, 1)),
    ];
    for (what, change) in changes {
        let mut about = owner.about();
        change(&mut about);
        assert_ne!(about, owner.about(), "{what}");
        // By whoever makes keys with this library, and by whoever writes files.
        assert!(owner.key_of(about.clone()).is_err(), "{what} is made");
        let bytes = resealed_key(key.to_bytes(), |sections| {
            sections[0].1 = serde_json::to_vec(&about).expect("JSON");
        });
        assert!(SegmentedKey::from_bytes(&bytes, "a.vk").is_err(), "{what} is read");
    }
    // White space is another file for the same key.
    let bytes = resealed_key(key.to_bytes(), |sections| sections[0].1.push(b' '));
    assert!(SegmentedKey::from_bytes(&bytes, "a.vk").is_err());
}

#[test]
fn tensors_that_segments_do_not_call_alike_are_refused() {
    type Change = fn(&mut Tensor);
    let changes: [(&str, Change); 4] = [
        ("a range", |tensor| tensor.format = Format::new(0, -128, 126)),
        ("a scale", |tensor| tensor.format = Format::new(1, -128, 127)),
        ("a shape", |tensor| tensor.logical_shape = vec![4, 1]),
        ("an order", |tensor| tensor.storage = Storage::Transposed),
    ];
    for (what, change) in changes {
        let mut parts = parts(Visibility::Public);
        let read = parts[1].graph.inputs[0];
        change(&mut parts[1].graph.tensors[read]);
        let owner = Owner::new(parts, &LayoutOptions::default(), false);
        let refused = owner.key_of(owner.about()).map(drop).expect_err(what);
        assert!(refused.contains("different tensors 0"), "{what}: {refused}");
    }
    let input: [(&str, Change); 2] = [
        ("a name", |tensor| tensor.name = "another".into()),
        ("a range", |tensor| tensor.format = Format::new(0, -128, 126)),
    ];
    for (what, change) in input {
        let mut parts = parts(Visibility::Committed);
        let place = parts[3].inputs.iter().position(|end| *end == End::Input(0)).expect("it reads the input");
        let read = parts[3].graph.inputs[place];
        change(&mut parts[3].graph.tensors[read]);
        let owner = Owner::new(parts, &LayoutOptions::default(), false);
        let refused = owner.key_of(owner.about()).map(drop).expect_err(what);
        assert!(refused.contains("different inputs 0"), "{what}: {refused}");
    }
}

/// Nothing in a proof is of a private input, so two segments could have two.
#[test]
fn an_input_that_is_private_in_several_segments_is_refused() {
    let mut parts = parts(Visibility::Private);
    for part in &mut parts {
        for place in 0..part.inputs.len() {
            if part.inputs[place] == End::Input(0) {
                assert_eq!(part.graph.visibility.input(place), Visibility::Committed, "by an honest cut");
                part.graph.visibility.set_input(place, Visibility::Private);
            }
        }
    }
    let owner = Owner::new(parts, &LayoutOptions::default(), false);
    let refused = owner.key_of(owner.about()).map(drop).expect_err("two inputs that are called one");
    assert!(refused.contains("private in each"), "{refused}");
}

/// What a verifier is told of the weights is told of all of them.
#[test]
fn segments_with_weights_in_different_places_are_refused() {
    for first in [0, 1] {
        let mut builder = Builder::new(84, 6, Shape::vector(4), SIGNED);
        let x = builder.linear(0, 4, Window::UNIT, [1, 1], 40, SIGNED);
        let y = builder.linear(x, 4, Window::UNIT, [1, 1], 40, SIGNED);
        let mut options = [embedded(), LayoutOptions::default()];
        options.swap(0, first);
        let owner = Owner::with(builder.finish(&[y]).parts(&[1]).expect("parts"), &options, false);
        let refused = owner.key_of(owner.about()).map(drop).expect_err("weights that are said to be elsewhere");
        assert!(refused.contains("different places"), "{refused}");
    }
}

/// What lies between segments has names of its owner's choice.
#[test]
fn a_name_is_that_of_an_input_or_output_and_of_nothing_between() {
    let mut builder = Builder::new(85, 6, Shape::vector(4), SIGNED);
    let other = builder.input(Shape::vector(4), SIGNED);
    let x = builder.linear(0, 4, Window::UNIT, [1, 1], 40, SIGNED);
    let y = builder.node(sum(), &[x, other], Shape::vector(4), SIGNED);
    let mut graph: Graph = builder.finish(&[y]);
    graph.visibility.set_input(1, Visibility::Committed);
    let name = graph.tensors[other].name.clone();
    let mut parts = graph.parts(&[1]).expect("parts");
    assert!(!parts[0].inputs.contains(&End::Input(1)), "the second segment alone reads it");
    let between = parts[0].graph.outputs[0];
    parts[0].graph.tensors[between].name.clone_from(&name);
    let owner = Owner::new(parts, &LayoutOptions::default(), false);
    let key = owner.key();
    let mut values = Values::from([(End::Input(0), vec![1, -2, 3, 100]), (End::Input(1), vec![5, 6, -7, 8])]);
    let mut shared = Shared::new();
    let made = owner.prove_from(0, &mut values, &mut shared, 3);
    let bundle = owner.bundle(&key, &made, &shared);
    key.verify(&bundle).expect("an honest proof");
    let port = key.port(&name).expect("an input of that name");
    let keys = key.segments()[1].keys();
    let of = |end| TensorCommitment::new(keys, port, &shared[&end].commitments);
    let expect = |end| {
        let expected = Expected { commitments: vec![(name.clone(), of(end))], ..Expected::default() };
        bundle.expect(&key, &expected)
    };
    expect(End::Input(1)).expect("the input's own");
    assert!(expect(End::Between(0)).is_err(), "the commitment of something else is taken for the input's");
    let unknown =
        Expected { commitments: vec![("segment input 0".into(), of(End::Between(0)))], ..Expected::default() };
    assert!(bundle.expect(&key, &unknown).is_err(), "the model has no such input");
}
