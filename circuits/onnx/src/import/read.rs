//! From bytes to tract's typed model: checks before tract sees the model, dimensions made concrete, then type and
//! shape inference.

use std::io::{Error, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use tract_onnx::Onnx;
use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::DimLike;
use tract_onnx::tract_hir::infer::Factoid;
use zkml_gpu_files::open_regular;

use super::analyse::{Failure, analyse};
use super::error::ImportError;
use super::external::ExternalWeights;
use super::facts::{bounded, is_index};
use super::guard::{chain, guarded};
use super::learned::{self, Learned};
use super::options::ImportOptions;
use super::protos::node_name;
use super::source::Source;
use super::{check, expand, quantised, quirks, repeats, rounding, unroll, wire};

/// Largest file that is read: protobuf's own limit.
const MAX_FILE_BYTES: u64 = (2 << 30) - 1;

/// Entry of a model's metadata by which it declares its weights `private` or `public`.
const WEIGHTS_KEY: &str = "zkml-gpu.weights";
/// What the names of all such entries begin with.
const KEY_PREFIX: &str = "zkml-gpu.";

/// The bytes of a model file.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, ImportError> {
    let failed = |source| ImportError::File { path: path.into(), source };
    let (file, len) = open_regular(path).map_err(failed)?;
    if len > MAX_FILE_BYTES {
        let problem = format!("{len} bytes, but ONNX files have at most {MAX_FILE_BYTES}");
        return Err(failed(Error::new(ErrorKind::FileTooLarge, problem)));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    // No further than its size was, should it grow.
    file.take(len).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Reads a model; `file` names it in errors and `folder` is where external weights lie.
pub(super) fn read(
    bytes: &[u8],
    file: &str,
    folder: Option<&Path>,
    options: &ImportOptions,
) -> Result<Source, ImportError> {
    let not_onnx = |cause: String| ImportError::NotOnnx { file: file.into(), cause };
    let invalid = |cause: String| ImportError::Invalid { file: file.into(), cause };
    // Our own words may have come through tract.
    let failed = |error: TractError| error.downcast().unwrap_or_else(|error: TractError| invalid(chain(&error)));
    wire::check(bytes).map_err(not_onnx)?;
    let (onnx, weights) = reader();
    let mut proto = onnx.proto_model_for_read(&mut &bytes[..]).map_err(|e| not_onnx(chain(&e)))?;
    let folder = folder.and_then(Path::to_str);
    proto.graph.iter().try_for_each(rounding::refuse)?;
    let private = declares_private(&proto)?;
    let infer = |(onnx, weights): (&Onnx, &ExternalWeights), proto: &ModelProto| {
        let origins = proto.graph.as_ref().map(origins).unwrap_or_default();
        let model = guarded(|| -> Result<InferenceModel, Failure> {
            let model = onnx.parse(proto, folder).map_err(Err)?.model;
            let mut model = concretise(model, options)?;
            analyse(&mut model, bytes.len().saturating_add(weights.total()), &origins)?;
            Ok(model)
        });
        model.map_err(invalid)?.map_err(|error| error.unwrap_or_else(failed))
    };
    // A reader counts what it reads of other files, and reads each but once.
    let anew = |proto: &ModelProto| {
        let (onnx, weights) = reader();
        infer((&onnx, &weights), proto)
    };
    let mut rounds = 0;
    loop {
        prepare(&mut proto, &onnx, folder, &invalid)?;
        let graph = proto.graph.as_ref().ok_or_else(|| not_onnx("it holds no graph".into()))?;
        if graph.output.is_empty() {
            return Err(not_onnx("its graph has no output".into()));
        }
        check::check(graph, &origins(graph), &onnx, invalid)?;
        if !unroll::step(&mut proto, rounds, anew)? {
            break;
        }
        rounds += 1;
    }
    let origins = proto.graph.as_ref().map(origins).unwrap_or_default();
    let typed = |model: InferenceModel| {
        let model = guarded(|| -> TractResult<TypedModel> {
            let mut model = model.into_typed()?;
            repeats::write_out(&mut model)?;
            expand::replace(&mut model)?;
            model.into_decluttered()
        });
        let model = model.map_err(invalid)?;
        model.map_err(failed)
    };
    let model = typed(infer((&onnx, &weights), &proto)?)?;
    let name = name(&proto, file);
    let changed = guarded(|| match learned::change(proto.graph.as_mut()?, &reader().0, folder) {
        Ok(true) => anew(&proto).and_then(typed).ok(),
        Ok(false) => Some(model.clone()),
        Err(_) => None,
    });
    let learned = Learned::of(&model, changed.ok().flatten().as_ref());
    let digest = weights.digest(bytes);
    Ok(Source { file: file.into(), digest, name, private, model, origins, learned })
}

/// Rewrites what tract would read as something else. `onnx` reads tensors in the model's other files.
fn prepare(
    proto: &mut ModelProto,
    onnx: &Onnx,
    folder: Option<&str>,
    invalid: &impl Fn(String) -> ImportError,
) -> Result<(), ImportError> {
    proto.graph.iter_mut().for_each(quirks::separate_outputs);
    proto.graph.iter_mut().for_each(quirks::write_celu);
    proto.graph.iter_mut().for_each(quirks::write_axes);
    proto.graph.iter_mut().for_each(quirks::write_zeros);
    if let Some(graph) = &mut proto.graph {
        let single = guarded(|| quirks::single_precision(graph, onnx, folder)).map_err(invalid)?;
        single.map_err(|error| invalid(chain(&error)))?;
    }
    let floats = guarded(|| quantised::dequantise(proto, onnx, folder)).map_err(invalid)?;
    floats.map_err(|error| error.unwrap_or_else(|error| invalid(chain(&error))))
}

/// What reads an ONNX file, and the files that hold its weights.
fn reader() -> (Onnx, Arc<ExternalWeights>) {
    let weights = Arc::new(ExternalWeights::default());
    // Shapes noted inside the model may name symbols that the inputs no longer have.
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
    onnx.provider = Arc::clone(&weights) as _;
    rounding::register(&mut onnx);
    expand::register(&mut onnx);
    (onnx, weights)
}

/// What the metadata says of the weights. An entry for this project that is not known is refused, and a word that is
/// neither of the two: a slip in either must not publish them.
fn declares_private(proto: &ModelProto) -> Result<bool, ImportError> {
    let mut private = false;
    for entry in proto.metadata_props.iter().filter(|entry| is_ours(&entry.key)) {
        if entry.key != WEIGHTS_KEY {
            return Err(ImportError::UnknownDeclaration { key: entry.key.clone(), known: WEIGHTS_KEY });
        }
        match entry.value.as_str() {
            "private" => private = true,
            "public" => {}
            value => return Err(ImportError::Declaration { key: WEIGHTS_KEY, value: value.into() }),
        }
    }
    Ok(private)
}

/// Whether an entry of the metadata is meant for this project, however its prefix is written.
fn is_ours(key: &str) -> bool {
    key.trim_start().to_ascii_lowercase().replace('_', "-").starts_with(KEY_PREFIX)
}

fn name(proto: &ModelProto, file: &str) -> String {
    let stem = Path::new(file).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let graph = proto.graph.as_ref().map(|g| g.name.clone()).unwrap_or_default();
    if stem.is_empty() { graph } else { stem }
}

/// Name (as tract derives it) and operator of each node.
fn origins(graph: &GraphProto) -> Vec<(String, String)> {
    graph.node.iter().map(|node| (node_name(node), node.op_type.clone())).collect()
}

/// Replaces symbolic dimensions of the inputs by numbers and checks element types. Fails with our own error, or
/// with tract's.
fn concretise(mut model: InferenceModel, options: &ImportOptions) -> Result<InferenceModel, Failure> {
    check_symbols(&symbols(&model).map_err(Err)?, options).map_err(Ok)?;
    for i in 0..model.input_outlets().map_err(Err)?.len() {
        let outlet = model.input_outlets().map_err(Err)?[i];
        let input = model.node(outlet.node).name.clone();
        let fact = model.outlet_fact(outlet).map_err(Err)?.clone();
        match fact.datum_type.concretize() {
            None | Some(DatumType::F32 | DatumType::Bool) => {}
            Some(integer) if is_index(integer) => {}
            Some(other) => return Err(Ok(ImportError::ElementType { tensor: input, got: format!("{other:?}") })),
        }
        if fact.shape.is_open() {
            return Err(Ok(ImportError::Dimension {
                input,
                dimension: "?".into(),
                axis: fact.shape.rank().concretize().map_or(0, |r| r as usize),
            }));
        }
        let dims: Vec<Option<TDim>> = fact.shape.dims().map(|d| d.concretize()).collect();
        let shape: Result<Vec<usize>, ImportError> =
            dims.iter().enumerate().map(|(axis, dim)| size(dim.as_ref(), axis, &input, options)).collect();
        let shape = shape.map_err(Ok)?;
        bounded(&input, &shape).map_err(Ok)?;
        let datum_type = fact.datum_type.concretize().unwrap_or(DatumType::F32);
        let fact = InferenceFact::dt_shape(datum_type, shape);
        model.set_input_fact(i, fact).map_err(Err)?;
    }
    Ok(model)
}

/// Names of the inputs' dimensions that have no size, each once: symbols, and of those without one the input and the axis.
fn symbols(model: &InferenceModel) -> TractResult<Vec<String>> {
    let mut names = Vec::new();
    for outlet in model.input_outlets()? {
        let input = &model.node(outlet.node).name;
        for (axis, dim) in model.outlet_fact(*outlet)?.shape.dims().enumerate() {
            let name = dimension(dim.concretize().as_ref(), axis, input);
            names.extend(name.filter(|name| !names.contains(name)));
        }
    }
    Ok(names)
}

/// The name of a dimension without a size; `None` of one that has a size.
fn dimension(dim: Option<&TDim>, axis: usize, input: &str) -> Option<String> {
    match dim {
        Some(dim) if dim.to_usize().is_ok() => None,
        Some(dim) => Some(dim.to_string()),
        None => Some(format!("{input}.{axis}")),
    }
}

/// Refuses sizes of dimensions that the model does not have, and second ones.
fn check_symbols(known: &[String], options: &ImportOptions) -> Result<(), ImportError> {
    for (i, (symbol, size)) in options.symbols.iter().enumerate() {
        let problem = if !known.contains(symbol) {
            "is for none that the model has"
        } else if options.symbols[..i].iter().any(|(before, _)| before == symbol) {
            "is a second one"
        } else {
            continue;
        };
        return Err(ImportError::Symbol { symbol: symbol.clone(), size: *size, problem, known: known.to_vec() });
    }
    Ok(())
}

/// The number for a dimension: its own, the caller's, or 1 for a batch of unknown size.
fn size(dim: Option<&TDim>, axis: usize, input: &str, options: &ImportOptions) -> Result<usize, ImportError> {
    if let Some(n @ 1..) = dim.and_then(|d| d.to_usize().ok()) {
        return Ok(n);
    }
    let name = dimension(dim, axis, input).unwrap_or_default();
    let given = options.symbols.iter().find(|(symbol, _)| *symbol == name);
    match given {
        Some((_, n)) if *n > 0 => Ok(*n),
        None if axis == 0 => Ok(1),
        _ => Err(ImportError::Dimension { input: input.into(), dimension: name, axis }),
    }
}
