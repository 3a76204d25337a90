//! From bytes to tract's typed model: checks before tract sees the model, dimensions made concrete, then type and
//! shape inference.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::DimLike;
use tract_onnx::tract_hir::infer::Factoid;

use super::{ImportError, ImportOptions, quirks};

/// Most elements of a tensor, 1 GiB of floats: far beyond what can be proved.
const MAX_ELEMENTS: usize = 1 << 28;

/// Entry of a model's metadata by which it declares its weights `private` or `public`.
const WEIGHTS_KEY: &str = "zkml-gpu.weights";

/// A typed model and what error messages need of its source.
pub(super) struct Source {
    /// Name of the graph.
    pub(super) name: String,
    /// Whether the weights are declared private.
    pub(super) private: bool,
    /// The model after type inference and decluttering.
    pub(super) model: TypedModel,
    /// Name and operator of each ONNX node.
    pub(super) origins: Vec<(String, String)>,
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
    // Shapes noted inside the model may name symbols that the inputs no longer have.
    let onnx = tract_onnx::onnx().with_ignore_value_info(true).with_ignore_output_shapes(true);
    let mut proto = onnx.proto_model_for_read(&mut &bytes[..]).map_err(|e| not_onnx(chain(&e)))?;
    proto.graph.iter_mut().for_each(quirks::separate_outputs);
    let graph = proto.graph.as_ref().ok_or_else(|| not_onnx("it holds no graph".into()))?;
    if graph.output.is_empty() {
        return Err(not_onnx("its graph has no output".into()));
    }
    let private = declares_private(&proto)?;
    check_names(graph).map_err(invalid)?;
    let origins = origins(graph);
    check_operators(&onnx, graph, &origins)?;
    let folder = folder.and_then(Path::to_str);
    let model = guarded(|| analyse(&onnx, &proto, folder, options)).map_err(invalid)?;
    let model = model.map_err(|e| e.unwrap_or_else(|e| invalid(chain(&e))))?;
    Ok(Source { name: name(&proto, file), private, model, origins })
}

/// What the metadata says of the weights. A word that is neither is refused: a misspelt `private` must not publish them.
fn declares_private(proto: &ModelProto) -> Result<bool, ImportError> {
    let mut private = false;
    for entry in proto.metadata_props.iter().filter(|entry| entry.key == WEIGHTS_KEY) {
        match entry.value.as_str() {
            "private" => private = true,
            "public" => {}
            value => return Err(ImportError::Declaration { key: WEIGHTS_KEY, value: value.into() }),
        }
    }
    Ok(private)
}

/// Type and shape inference. Fails with our own error, or with tract's.
fn analyse(
    onnx: &tract_onnx::Onnx,
    proto: &ModelProto,
    folder: Option<&str>,
    options: &ImportOptions,
) -> Result<TypedModel, Result<ImportError, TractError>> {
    let model = onnx.parse(proto, folder).map_err(Err)?.model;
    concretise(model, options)?.into_typed().and_then(TypedModel::into_decluttered).map_err(Err)
}

/// Runs a part of tract that panics, rather than failing, on some invalid models: axes beyond the rank (`ReduceMean`,
/// `Transpose`), a kernel of another rank than its operand (`Conv`), indices out of range (`Gather`). A panic becomes
/// its message.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    // Nothing that the closure touches is used after a panic.
    catch_unwind(AssertUnwindSafe(run)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        format!("its analysis panicked: {}", text.lines().next().unwrap_or_default())
    })
}

/// An error and its causes in one line.
pub(super) fn chain(error: &TractError) -> String {
    error.chain().map(|e| e.to_string().replace('\n', " ")).collect::<Vec<_>>().join(": ")
}

fn name(proto: &ModelProto, file: &str) -> String {
    let stem = Path::new(file).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let graph = proto.graph.as_ref().map(|g| g.name.clone()).unwrap_or_default();
    if stem.is_empty() { graph } else { stem }
}

/// tract indexes its table of values by the names of outputs without checking them, so that is done here.
fn check_names(graph: &GraphProto) -> Result<(), String> {
    let mut known: HashSet<&str> = graph.input.iter().map(|v| v.name.as_str()).collect();
    known.extend(graph.initializer.iter().map(|t| t.name.as_str()));
    known.extend(graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str)));
    let read = graph.node.iter().flat_map(|n| &n.input).filter(|name| !name.is_empty());
    match read.chain(graph.output.iter().map(|v| &v.name)).find(|name| !known.contains(name.as_str())) {
        Some(name) => Err(format!("nothing computes '{name}'")),
        None => Ok(()),
    }
}

/// Name (as tract derives it) and operator of each node.
fn origins(graph: &GraphProto) -> Vec<(String, String)> {
    let name = |n: &NodeProto| {
        if n.name.is_empty() { n.output.first().cloned().unwrap_or_default() } else { n.name.clone() }
    };
    graph.node.iter().map(|n| (name(n), n.op_type.clone())).collect()
}

/// Operators that tract itself does not know, and permutations that are none, for which it would not end.
fn check_operators(
    onnx: &tract_onnx::Onnx,
    graph: &GraphProto,
    origins: &[(String, String)],
) -> Result<(), ImportError> {
    for (node, (name, operator)) in graph.node.iter().zip(origins) {
        let domain = node.domain.as_str();
        if !onnx.op_register.0.contains_key(operator) || !matches!(domain, "" | "ai.onnx") {
            return Err(ImportError::UnsupportedOperator { operator: operator.clone(), node: name.clone() });
        }
        check_permutation(node, name)?;
        quirks::check_padding(node, name)?;
    }
    Ok(())
}

fn check_permutation(node: &NodeProto, name: &str) -> Result<(), ImportError> {
    for attribute in node.attribute.iter().filter(|a| node.op_type == "Transpose" && a.name == "perm") {
        let mut axes = attribute.ints.clone();
        axes.sort_unstable();
        if !axes.iter().copied().eq(0..axes.len() as i64) {
            return Err(ImportError::UnsupportedForm {
                operator: node.op_type.clone(),
                node: name.into(),
                form: format!("perm {:?}", attribute.ints),
                hint: "every axis must occur once",
            });
        }
    }
    Ok(())
}

/// Replaces symbolic dimensions of the inputs by numbers and checks element types. Fails with our own error, or
/// with tract's.
fn concretise(
    mut model: InferenceModel,
    options: &ImportOptions,
) -> Result<InferenceModel, Result<ImportError, TractError>> {
    for i in 0..model.input_outlets().map_err(Err)?.len() {
        let outlet = model.input_outlets().map_err(Err)?[i];
        let input = model.node(outlet.node).name.clone();
        let fact = model.outlet_fact(outlet).map_err(Err)?.clone();
        match fact.datum_type.concretize() {
            None | Some(DatumType::F32) => {}
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
        let fact = InferenceFact::dt_shape(DatumType::F32, shape);
        model.set_input_fact(i, fact).map_err(Err)?;
    }
    Ok(model)
}

/// Refuses tensors beyond [`MAX_ELEMENTS`].
pub(super) fn bounded(tensor: &str, shape: &[usize]) -> Result<(), ImportError> {
    let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d));
    match elements {
        Some(n) if n <= MAX_ELEMENTS => Ok(()),
        _ => Err(ImportError::TooLarge { tensor: tensor.into(), elements, limit: MAX_ELEMENTS }),
    }
}

/// The number for a dimension: its own, the caller's, or 1 for a batch of unknown size.
fn size(dim: Option<&TDim>, axis: usize, input: &str, options: &ImportOptions) -> Result<usize, ImportError> {
    if let Some(n @ 1..) = dim.and_then(|d| d.to_usize().ok()) {
        return Ok(n);
    }
    let name = dim.map(ToString::to_string);
    let given = options.symbols.iter().find(|(symbol, _)| Some(symbol) == name.as_ref());
    match given {
        Some((_, n)) if *n > 0 => Ok(*n),
        None if axis == 0 => Ok(1),
        _ => Err(ImportError::Dimension { input: input.into(), dimension: name.unwrap_or_else(|| "?".into()), axis }),
    }
}
