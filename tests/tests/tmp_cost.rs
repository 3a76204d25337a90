use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use std::path::Path;
use std::time::Instant;
use zkml_gpu_circuit::layout::{Layout, LayoutOptions, SegmentLimits, segmentation};
use zkml_gpu_circuit::placement::lower;
use zkml_gpu_onnx::import::{FloatModel, ImportOptions};
use zkml_gpu_onnx::quant::{QuantOptions, quantise};
#[test]
fn tmp() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let name = std::env::var("M").unwrap_or("nanogpt".into());
    let model = FloatModel::load(folder.join(format!("{name}.onnx")), &ImportOptions::default()).unwrap();
    let mut file = NpzReader::new(std::fs::File::open(folder.join(format!("{name}.samples.npz"))).unwrap()).unwrap();
    let inputs: ArrayD<f32> = file.by_name("x").unwrap();
    let samples: Vec<Vec<Vec<f32>>> =
        inputs.axis_iter(Axis(0)).map(|row| vec![row.iter().copied().collect()]).collect();
    let q = quantise(model.graph(), &samples[..1], &QuantOptions::default()).unwrap();
    let graph = q.graph;

    for (mb, n) in
        [(4000u64, None), (600, None), (300, None), (200, None), (4000, Some(2)), (4000, Some(3)), (4000, Some(5))]
    {
        let mut limits = SegmentLimits::new(mb << 20);
        if let Some(n) = n {
            limits = limits.with_segments(n)
        }
        let t = Instant::now();
        let s = segmentation(&graph, &LayoutOptions::default(), limits, &[]).unwrap();
        println!("{mb} {n:?}: {s:?} in {:?}", t.elapsed());
        if std::env::var("FULL").is_err() {
            continue;
        }
        let Some(s) = s else { continue };
        let mut o = LayoutOptions::default();
        o.min_k = s.k;
        o.max_k = s.k;
        let mut sum = 0.0;
        for p in graph.parts(&s.cuts).unwrap() {
            let g = lower(p.graph);
            let l = Layout::compile(&g, &o).unwrap();
            let m = l.memory(&g);
            let p = l.plan(&g, &o.costs);
            sum += p.prove_cpu_ms;
            println!(
                "   {} nodes {:.1} ms {} MB proof {}",
                g.nodes.len(),
                p.prove_cpu_ms,
                m.least_bytes >> 20,
                p.proof_bytes
            );
        }
        println!("  sum {sum:.1}");
    }
    let g = lower(graph.clone());
    let l = Layout::compile(&g, &LayoutOptions::default()).unwrap();
    println!(
        "whole {} ms {} MB k {}",
        l.plan(&g, &LayoutOptions::default().costs).prove_cpu_ms,
        l.memory(&g).least_bytes >> 20,
        l.k()
    );
}
