//! Values at the ends of every bound: variances at their least and greatest, equal groups, the widest windows,
//! dividends of 40 bits, ties. Honest proofs are accepted, and a lie of ±1 about any output is not, with the weights in
//! either place.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuit::layout::LayoutOptions;
use zkml_gpu_circuit::system::WeightMode;
use zkml_gpu_graph::{Activation, Graph, Interleaving, Linear, Normalise, Op, Rescale, Shape, Softmax, Window};
use zkml_gpu_tests::lies::{Case, Kind, lies};
use zkml_gpu_tests::networks::{Builder, image, square};

/// Honest proofs of these inputs are accepted; lies about any element of any output, and lies carried on, are not.
fn holds(name: &str, graph: &Graph, inputs: &[Vec<i64>]) {
    for weights in [WeightMode::Committed, WeightMode::Embedded] {
        let mut options = LayoutOptions::default();
        options.weights = weights;
        let case = Case::with_inputs(graph.clone(), &options, inputs.to_vec());
        let case = case.unwrap_or_else(|error| panic!("{name}: {error}"));
        let keys = case.keys(3);
        let honest = case.honest();
        assert!(case.mock(&honest), "{name}, {weights:?}: MockProver");
        assert!(case.real(&keys, &honest), "{name}, {weights:?}: real proof");
        let mut told = 0;
        for port in 0..honest.outputs.len() {
            let format = case.graph.tensors[case.graph.outputs[port]].format;
            for (element, value) in honest.outputs[port].clone().into_iter().enumerate() {
                for lie in [value - 1, value + 1].into_iter().filter(|lie| (format.min..=format.max).contains(lie)) {
                    let mut attempt = honest.clone();
                    attempt.outputs[port][element] = lie;
                    assert!(!case.mock(&attempt), "{name}, {weights:?}: {lie} for {value} is accepted");
                    // A real proof for one of each output.
                    assert!(
                        element > 0 || !case.real(&keys, &attempt),
                        "{name}, {weights:?}: {lie} for {value} is proved"
                    );
                    told += 1;
                }
            }
        }
        let rng = &mut ChaCha20Rng::seed_from_u64(7);
        let carried = lies(&case, rng, 4).into_iter().filter(|lie| !case.is_void(lie) && lie.kind != Kind::Honest);
        for lie in carried {
            assert!(!case.mock(&lie), "{name}, {weights:?}: {:?}, {} is accepted", lie.kind, lie.what);
            told += 1;
        }
        assert!(told > 1, "{name}: only {told} lies");
    }
}

/// A normalisation of two groups of four, whose values are an output.
fn normalised(centred: bool, range: (i64, i64), epsilon: i64, bits: u32) -> Graph {
    let shape = image(4, 1, 2);
    let mut b = Builder::new(51, 6, shape, range);
    let rescale = Rescale { multiplier: 1, limbs: 2 };
    let normalise = Normalise { groups: 2, len: 4, centred, epsilon, bits, rescale };
    let y = b.node(Op::Normalise(normalise), &[0], shape, (-128, 127));
    b.finish(&[y])
}

#[test]
fn variances_at_their_least_and_greatest_are_proved() {
    for (centred, epsilon) in [(true, 1), (true, 7), (false, 1)] {
        // V = epsilon in a group of equals: the greatest root there is.
        let graph = normalised(centred, (-16, 15), epsilon, 15);
        let equal = if centred { vec![5; 8] } else { vec![0; 8] };
        holds("the least V", &graph, &[equal]);
        // Half at one end of the range and half at the other.
        let ends = vec![-16, 15, -16, 15, 15, -16, 15, -16];
        holds("the greatest V of a range", &graph, &[ends]);
        holds("all at one end", &graph, &[vec![-16; 8]]);
    }
    let wide = normalised(true, (-65_535, 65_535), 1, 24);
    let ends = [65_535, -65_535];
    holds("the greatest V of all", &wide, &[(0..8).map(|i| ends[i / 2 % 2]).collect()]);
    holds("one away from equal", &wide, &[vec![9, 9, 9, 9, 9, 10, 9, 9]]);
}

/// A softmax over a vector, masked or not.
fn softmax(len: usize, masked: Vec<bool>, bits: u32, most: i64, rescale: Rescale) -> Graph {
    let shape = Shape::vector(len);
    let mut b = Builder::new(52, 6, shape, (-16, 15));
    let exp = |d: i64| (most as f64 * (-d as f64 / 8.0).exp()).floor() as i64;
    // Greatest, and positive, at 0 alone.
    let values = (0..32).map(|d| exp(d).min(most - i64::from(d > 0))).collect();
    let softmax = Softmax { groups: 1, len, masked, exp: Activation::table(0, values), bits, rescale };
    let y = b.node(Op::Softmax(softmax), &[0], shape, (0, 255));
    b.finish(&[y])
}

#[test]
fn softmax_at_forty_bits_and_over_ties_is_proved() {
    let rescale = Rescale { multiplier: 1, limbs: 6 };
    for (bits, most) in [(40, 1 << 20), (40, 1), (18, 1 << 10)] {
        let limbs = if bits == 40 { rescale } else { Rescale { multiplier: 1, limbs: 2 } };
        let graph = softmax(4, Vec::new(), bits, most, limbs);
        holds("all attain the maximum", &graph, &[vec![3; 4]]);
        holds("two attain the maximum", &graph, &[vec![-16, 15, 15, -16]]);
        holds("one attains the maximum", &graph, &[vec![-16, -16, -16, 15]]);
    }
    let masked = softmax(4, vec![false, true, true, false], 40, 1 << 20, rescale);
    holds("what is masked would be the maximum", &masked, &[vec![-16, 15, 15, -15]]);
    let alone = softmax(3, vec![true, false, true], 40, 1 << 20, rescale);
    holds("one member is kept", &alone, &[vec![15, -16, 15]]);
}

#[test]
fn the_widest_windows_at_both_ends_of_the_range_are_proved() {
    let shape = image(1, 4, 4);
    let ends: Vec<i64> = (0..16).map(|i| if i % 3 == 0 { 15 } else { -16 }).collect();
    // Gathered: nine members, one of which attains the maximum, or all.
    let mut b = Builder::new(53, 6, shape, (-16, 15));
    let y = b.node(Op::MaxPool(square(3, 1, 0)), &[0], image(1, 2, 2), (-16, 15));
    let graph = b.finish(&[y]);
    holds("a gathered window", &graph, std::slice::from_ref(&ends));
    holds("a gathered window of equals", &graph, &[vec![-16; 16]]);
    let mut only = vec![-16; 16];
    only[5] = 15;
    holds("a gathered window with one maximum", &graph, &[only.clone()]);
    // Of accumulators: sixteen, as far apart as the weight lets them.
    let mut b = Builder::new(54, 6, shape, (-16, 15));
    let form = Linear { pool: [4, 4], ..Linear::dense(1, Vec::new(), Vec::new()) };
    let y = b.product(0, form, 60, (-128, 127));
    let graph = b.finish(&[y]);
    for inputs in [ends, vec![15; 16], only] {
        holds("a window of accumulators", &graph, &[inputs]);
    }
}

#[test]
fn ties_and_ends_of_an_index_of_a_maximum_are_proved() {
    for last in [false, true] {
        let mut b = Builder::new(55, 6, Shape::vector(5), (-16, 15));
        let x = b.linear(0, 5, Window::UNIT, [1, 1], 0, (-16, 15));
        let sum = Op::Combine { multipliers: vec![64, 0], offset: Vec::new(), shared: Interleaving::NONE, width: None };
        let x = b.node(sum, &[0, x], Shape::vector(5), (-16, 15));
        let op = Op::ArgMax { starts: vec![0], stride: 1, count: 5, last };
        let y = b.node(op, &[x], Shape::vector(1), (0, 4));
        let graph = b.finish(&[y]);
        for inputs in [[0; 5], [15, -16, -16, -16, 15], [-16, -16, -16, -16, 15], [15, 14, 14, 14, 14]] {
            holds("an index of a maximum", &graph, &[inputs.to_vec()]);
        }
    }
}

#[test]
fn accumulators_beyond_both_ends_saturate_and_are_proved() {
    for range in [(0, 1), (-1, 0), (-128, 127), (7, 7)] {
        let mut b = Builder::new(56, 6, Shape::vector(6), (-16, 15));
        let y = b.linear(0, 4, Window::UNIT, [1, 1], 4000, range);
        let graph = b.finish(&[y]);
        for inputs in [vec![15; 6], vec![-16; 6], vec![0; 6]] {
            holds("a saturated product", &graph, &[inputs]);
        }
    }
}
