//! The independent check of finished layouts: it proves every layout of the zoo, and no mutant of one.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zkml_gpu_circuits::{
    check::{CheckError, Checked, check},
    commit::Bank,
    graph::Graph,
    layout::{Layout, LayoutOptions, lower},
};
use zkml_gpu_tests::{
    mutants::mutate,
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

#[test]
fn no_mutant_of_a_layout_is_accepted() {
    let count = std::env::var("ZKML_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let mut alive: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut all = 0;
    for (mode, options) in [("committed", LayoutOptions::default()), ("narrow", narrow()), ("embedded", embedded())] {
        for (name, graph) in zoo() {
            let graph = lower(graph);
            let layout = Layout::compile(&graph, &options).expect("the graph has a layout");
            for seed in 0..count {
                let rng = &mut ChaCha20Rng::seed_from_u64(seed);
                let mut mutant = layout.clone();
                let what = mutate(rng, &graph, &mut mutant);
                all += 1;
                let verdict = std::panic::catch_unwind(|| verdict(&graph, &mutant));
                match verdict {
                    Ok(Err(_)) => {}
                    Ok(Ok(_)) => alive.entry(format!("{mode} {name}")).or_default().push(what),
                    Err(_) => alive.entry(format!("{mode} {name}")).or_default().push(format!("PANIC {what}")),
                }
            }
        }
    }
    for (name, mutants) in &alive {
        for mutant in mutants {
            eprintln!("ALIVE {name}: {mutant}");
        }
    }
    eprintln!("{} of {all}", alive.values().map(Vec::len).sum::<usize>());
    assert!(alive.is_empty());
}
