//! An audit derives a verifying key from the architecture, and refuses one that differs in anything.

use halo2_proofs::SerdeFormat;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::commit::Bank;
use zkml_gpu_circuit::keys::{Hiding, KeyError, VerifyingKeys, audit, setup_unchecked};
use zkml_gpu_circuit::layout::{Layout, LayoutOptions};
use zkml_gpu_circuit::placement::{BankValues, lower};
use zkml_gpu_circuit::system::{FixedRole, Power};
use zkml_gpu_circuit::weights::{WeightsOpening, prove_weights, verify_weights, weights_keys};
use zkml_gpu_engine::Committer;
use zkml_gpu_engine::backend::Cpu;
use zkml_gpu_graph::{Format, Graph, Op, Width};
use zkml_gpu_tests::networks::{Session, dense, embedded, grouped, zoo};

fn committer(session: &Session) -> Committer<Cpu> {
    Committer::new(Cpu::default(), &session.srs, 0).expect("a committer")
}

/// The graph as the import makes it: what learned values make has a declared width.
fn with_widths(mut graph: Graph) -> Graph {
    let formats: Vec<Format> = graph.nodes.iter().map(|node| graph.tensors[node.inputs[0]].format).collect();
    for (node, format) in graph.nodes.iter_mut().zip(formats) {
        if let Op::Linear(linear) = &mut node.op {
            linear.width = Some(Width::of(&linear.channel_bounds(format)));
        }
    }
    graph
}

/// Keys of whatever layout, as a dishonest owner makes them.
fn forged(session: &Session, layout: &Layout) -> VerifyingKeys {
    let (bank, rng) = (Bank::new(layout, &session.graph), ChaCha20Rng::seed_from_u64(4));
    setup_unchecked(layout, bank, &session.srs, &committer(session), Hiding::Drawn(rng)).expect("keys").1.verifying
}

/// What an auditor says who has the architecture alone.
fn audited(session: &Session, keys: &VerifyingKeys, graph: &Graph) -> Result<(), KeyError> {
    audit(keys, graph, &session.layout, &session.srs, &committer(session))
}

fn refusal(session: &Session, keys: &VerifyingKeys) -> String {
    match audited(session, keys, &session.graph.without_learned_values()) {
        Err(KeyError::Differs(difference)) => difference,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keys_of_every_network_are_derived_without_its_weights() {
    for (name, graph) in zoo() {
        let session = Session::new(with_widths(graph), &LayoutOptions::default(), 1);
        let public = session.graph.architecture();
        let learned = public.nodes.iter().find_map(|node| match &node.op {
            Op::Linear(linear) => linear.weights.iter().find(|weight| **weight != 0),
            _ => None,
        });
        assert_eq!(learned, None, "{name}");
        audited(&session, &session.keys.verifying, &public).expect(name);
        assert_eq!(session.graph.difference(&session.graph.without_learned_values()), None, "{name}");
    }
}

#[test]
fn keys_of_joint_inferences_are_derived_and_are_those_of_their_number() {
    for (name, graph) in zoo() {
        let Ok(joint) = graph.joint(2) else { continue };
        let session = Session::new(joint, &LayoutOptions::default(), 1);
        audited(&session, &session.keys.verifying, &session.graph.without_learned_values()).expect(name);
    }
    let sessions: Vec<Session> = (1..=3)
        .map(|count| Session::new(grouped().joint(count).expect("of one inference"), &LayoutOptions::default(), 1))
        .collect();
    for (i, session) in sessions.iter().enumerate() {
        for (j, other) in sessions.iter().enumerate().filter(|(j, _)| *j != i) {
            let audited = audited(session, &other.keys.verifying, &session.graph.without_learned_values());
            assert!(audited.is_err(), "a key of {} inferences is taken for one of {}", j + 1, i + 1);
            assert!(session.graph.difference(&other.graph).is_some());
        }
    }
}

#[test]
fn keys_with_embedded_weights_are_derived_with_them_alone() {
    let session = Session::new(dense(), &embedded(), 1);
    audited(&session, &session.keys.verifying, &session.graph).expect("its own weights");
    let mut other = session.graph.clone();
    let product = other.nodes.iter_mut().find_map(|node| match &mut node.op {
        Op::Linear(linear) => Some(linear),
        _ => None,
    });
    product.expect("a product").bias[0] += 1;
    match audited(&session, &session.keys.verifying, &other) {
        Err(KeyError::Differs(difference)) => assert!(difference.contains("embedded weights"), "{difference}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_fixed_cell_is_found_in_every_column() {
    let session = Session::new(grouped(), &LayoutOptions::default(), 1);
    for column in 0..session.layout.fixed.len() {
        let mut layout = session.layout.clone();
        match layout.fixed[column].first_mut() {
            Some((_, value)) => *value += 1,
            None => layout.fixed[column].push((0, 1)),
        }
        let role = format!("{:?}", layout.architecture.fixed[column]);
        let difference = refusal(&session, &forged(&session, &layout));
        assert!(difference.contains(&format!("fixed column {column} ({role})")), "{difference}");
    }
}

#[test]
fn a_bias_with_two_cells_is_refused() {
    // Two cells of one bias could hold two numbers, of which an audit sees neither.
    let session = Session::new(dense(), &LayoutOptions::default(), 1);
    let mut layout = session.layout.clone();
    let bias = *layout.bank.iter().find(|row| matches!(row.values, BankValues::Bias)).expect("a bias");
    let holds = |row: &u32| layout.bank.iter().any(|of| of.row == *row);
    let free = (0..layout.usable_rows() as u32).rev().find(|row| !holds(row)).expect("a row without weights");
    layout.bank.push(zkml_gpu_circuit::placement::BankRow { row: free, ..bias });
    let keys = forged(&session, &layout);
    let graph = session.graph.architecture();
    match audit(&keys, &graph, &layout, &session.srs, &committer(&session)) {
        Err(KeyError::Layout(error)) => assert!(error.reason.contains("that another row holds"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_gate_is_found() {
    let session = Session::new(grouped(), &LayoutOptions::default(), 1);
    let step = |role: &FixedRole| matches!(role, FixedRole::Step(_, power) if *power == Power::r(1));
    let at = session.layout.architecture.fixed.iter().position(step).expect("a step by r");
    // A step by 1 instead of r: one gate is another, all fixed cells are the same.
    let mut layout = session.layout.clone();
    let FixedRole::Step(accumulator, _) = layout.architecture.fixed[at] else { panic!("a step") };
    layout.architecture.fixed[at] = FixedRole::Step(accumulator, Power::r(0));
    assert!(refusal(&session, &forged(&session, &layout)).contains("roles or gates"));
    // One lookup less, and with it its gate and query.
    let mut layout = session.layout.clone();
    layout.architecture.range_columns += 1;
    assert!(refusal(&session, &forged(&session, &layout)).contains("roles or gates"));
}

#[test]
fn one_number_of_the_statement_is_found() {
    let session = Session::new(dense(), &LayoutOptions::default(), 1);
    for change in [
        (|layout: &mut Layout| layout.statement.inputs[0].format.max += 1) as fn(&mut Layout),
        |layout| layout.statement.outputs[0].format.frac_bits += 1,
        |layout| layout.statement.outputs[0].name.push('a'),
        |layout| layout.statement.lengths[0] -= 1,
    ] {
        let mut layout = session.layout.clone();
        change(&mut layout);
        assert!(refusal(&session, &forged(&session, &layout)).contains("inputs and outputs"));
    }
}

#[test]
fn one_permuted_column_or_one_more_commitment_is_no_key() {
    let session = Session::new(dense(), &LayoutOptions::default(), 1);
    let keys = &session.keys.verifying;
    let bytes = keys.to_bytes();
    let vk = keys.vk().to_bytes(SerdeFormat::Processed);
    let at = bytes.windows(vk.len()).position(|window| window == vk).expect("Halo2's key");
    // A permutation's commitment follows those of fixed columns.
    let point = &vk[10..42];
    let longer = [&bytes[..at + vk.len()], point, &bytes[at + vk.len()..]].concat();
    let length = format!("\"vk_bytes\":{}", vk.len());
    let text = format!("\"vk_bytes\":{}", vk.len() + point.len());
    let place = longer.windows(length.len()).position(|window| window == length.as_bytes()).expect("its length");
    let longer = [&longer[..place], text.as_bytes(), &longer[place + length.len()..]].concat();
    let header = u64::from_le_bytes(longer[..8].try_into().expect("8 bytes"));
    let header = header + (text.len() - length.len()) as u64;
    let longer = [&header.to_le_bytes()[..], &longer[8..]].concat();
    assert!(matches!(VerifyingKeys::from_bytes(&longer), Err(KeyError::Malformed(_))));
    assert!(VerifyingKeys::from_bytes(&bytes).is_ok());
}

#[test]
fn a_weights_proof_with_wider_masks_is_found() {
    let session = Session::new(grouped(), &LayoutOptions::default(), 1);
    let expected = weights_keys(&session.graph.without_learned_values(), &session.layout, &committer(&session));
    let prove = |layout: &Layout| {
        let keys = &session.keys.verifying;
        let opening = WeightsOpening::new(&session.graph, layout, keys, &session.keys.model);
        let proof = prove_weights(opening, || Ok(committer(&session)), ChaCha20Rng::seed_from_u64(6)).expect("a proof");
        verify_weights(keys, &proof).expect("it holds");
        proof.keys().expect("keys")
    };
    let expected = expected.expect("keys");
    assert_eq!(prove(&session.layout), expected);
    // A row of weights and one of biases, which may be wider, each said to hold what the other does.
    let mut layout = session.layout.clone();
    let place = |is: fn(&BankValues) -> bool| layout.bank.iter().position(|row| is(&row.values)).expect("such a row");
    let weights = place(|values| matches!(values, BankValues::Weight(_)));
    let biases = place(|values| matches!(values, BankValues::Bias));
    let (of_weights, of_biases) = (layout.bank[weights].values, layout.bank[biases].values);
    (layout.bank[weights].values, layout.bank[biases].values) = (of_biases, of_weights);
    let wider = weights_keys(&session.graph, &layout, &committer(&session)).expect("keys");
    assert_ne!(wider, expected);
}

#[test]
fn the_error_that_an_audit_tells_follows_from_the_cells() {
    for (name, graph) in zoo() {
        let mut layout = Layout::compile(&lower(graph), &LayoutOptions::default()).expect(name);
        let bits = layout.soundness_bits();
        assert!((bits - layout.soundness_bits_of_cells()).abs() < 1e-9, "{name}");
        // What a file says of its own degrees is nothing to an auditor.
        (layout.max_degree, layout.max_channel_degree, layout.identities) = (0, 0, 0);
        layout.tables.rows.clear();
        assert!(layout.soundness_bits() > bits && layout.soundness_bits_of_cells() == bits, "{name}");
    }
}
