//! The independent check of finished layouts: it proves every layout of the zoo, and no mutant of one.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuits::{
    check::{CheckError, Checked, check},
    commit::Bank,
    graph::Graph,
    layout::{Layout, LayoutOptions, lower},
};
use zkml_gpu_tests::{
    mutants::{mutate, sayings},
    networks::{embedded, narrow, zoo},
};

fn verdict(graph: &Graph, layout: &Layout) -> Result<Checked, CheckError> {
    check(graph, layout, &Bank::new(layout, graph))
}

#[test]
fn every_layout_of_the_zoo_says_what_its_graph_says() {
    for options in [LayoutOptions::default(), narrow(), embedded()] {
        for (name, graph) in zoo() {
            let graph = lower(graph);
            let layout = Layout::compile(&graph, &options).expect("the graph has a layout");
            let seen = verdict(&graph, &layout).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(seen.copies > 0 && seen.table_rows > 0 && seen.public > 0, "{name}: {seen:?}");
        }
    }
}

/// Mutants of each network: `ZKML_MUTANTS` for more of them.
fn mutants() -> u64 {
    std::env::var("ZKML_MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(100)
}

#[test]
fn no_mutant_of_a_layout_is_accepted_but_one_that_says_the_same() {
    let (mut refused, mut same) = (0, 0);
    for (mode, options) in [("committed", LayoutOptions::default()), ("narrow", narrow()), ("embedded", embedded())] {
        for (name, graph) in zoo() {
            let graph = lower(graph);
            let layout = Layout::compile(&graph, &options).expect("the graph has a layout");
            let said = sayings(&graph, &layout).unwrap_or_else(|| panic!("{name} is not expanded"));
            for seed in 0..mutants() {
                let rng = &mut ChaCha20Rng::seed_from_u64(seed);
                let mut mutant = layout.clone();
                let change = mutate(rng, &graph, &mut mutant);
                if verdict(&graph, &mutant).is_err() {
                    refused += 1;
                } else {
                    let says =
                        sayings(&graph, &mutant).unwrap_or_else(|| panic!("{mode} {name}, seed {seed}: {change}"));
                    let differs = said.difference(&says);
                    assert!(differs.is_none(), "{mode} {name}, seed {seed}: {change}\n{differs:?}");
                    same += 1;
                }
            }
        }
    }
    eprintln!("{refused} mutants are refused, {same} say the same");
    // Most changes matter: the mutants are no idle ones.
    assert!(refused > 20 * same, "{refused} refused, {same} say the same");
}
