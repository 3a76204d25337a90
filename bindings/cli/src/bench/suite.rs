//! Networks that others publish figures of, with random weights: what a proof costs depends on shapes only.

use std::path::{Path, PathBuf};

use zkml_gpu::{Error, write_whole};

use super::onnx::Shapes;
use super::record::Published;

/// A network with somebody's figures.
struct Network {
    name: &'static str,
    shapes: Shapes<'static>,
    /// Whose figure, of what, and seconds.
    published: &'static [(&'static str, &'static str, f64)],
}

const NETWORKS: [Network; 4] = [
    Network {
        name: "mlp_digits",
        shapes: Shapes { input: &[64], convolutions: &[], dense: &[32, 10] },
        published: &[("EZKL 23.0.5 on 2 virtual cores of an Intel Xeon", "CPU time", 5.8)],
    },
    Network {
        name: "lenet",
        shapes: Shapes { input: &[1, 28, 28], convolutions: &[(6, 5), (16, 5)], dense: &[120, 84, 10] },
        published: &[("EZKL 23.0.5 on 2 virtual cores of an Intel Xeon", "CPU time", 190.0)],
    },
    Network {
        name: "cnn_264k",
        shapes: Shapes { input: &[3, 32, 32], convolutions: &[(12, 5), (33, 5)], dense: &[247, 173, 10] },
        published: &[
            ("DeepProve's README, hardware unstated", "time", 1.24),
            ("EZKL in DeepProve's README, hardware unstated", "time", 197.0),
        ],
    },
    Network {
        name: "dense_4m",
        shapes: Shapes { input: &[4], convolutions: &[], dense: &[1000, 1000, 1000, 1000, 1000, 3] },
        published: &[
            ("DeepProve's README, hardware unstated", "time", 2.34),
            ("EZKL in DeepProve's README, hardware unstated", "time", 127.0),
        ],
    },
];

/// A network of the suite on the disk.
pub(super) struct Member {
    pub(super) path: PathBuf,
    pub(super) published: Vec<Published>,
}

/// Writes all networks to a folder, as `NAME.onnx`.
///
/// # Errors
/// [`Error::File`] where the system refuses.
pub(super) fn write(folder: &Path) -> Result<Vec<Member>, Error> {
    NETWORKS.iter().map(|network| member(network, folder)).collect()
}

fn member(network: &Network, folder: &Path) -> Result<Member, Error> {
    let path = folder.join(format!("{}.onnx", network.name));
    write_whole(&path, &network.shapes.model())?;
    let published = network.published.iter().map(|(source, what, seconds)| Published {
        source: (*source).into(),
        what: (*what).into(),
        seconds: *seconds,
    });
    Ok(Member { path, published: published.collect() })
}

#[cfg(test)]
mod tests {
    use zkml_gpu::{CompileOptions, ImportOptions, Model};

    use super::*;

    #[test]
    fn the_networks_are_imported_with_the_sizes_that_others_give() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let members = write(folder.path()).expect("written");
        let found = members.iter().map(|member| {
            let model = Model::load(&member.path, &ImportOptions::default()).expect("imported");
            let sizes: Vec<usize> = model.inputs().iter().map(|input| input.len).collect();
            let sample: Vec<Vec<f32>> = sizes.iter().map(|size| vec![0.5; *size]).collect();
            let outputs = model.run(&sample).expect("it runs").concat();
            assert!(outputs.iter().any(|value| *value != 0.0) && !member.published.is_empty());
            let compiled = model.compile(&[sample], &CompileOptions::default().with_one_width()).expect("a circuit");
            (sizes[0], outputs.len(), compiled.parameters())
        });
        let expected = [(64, 10, 2_410), (784, 10, 44_426), (3072, 10, 259_511), (4, 3, 4_012_003)];
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
