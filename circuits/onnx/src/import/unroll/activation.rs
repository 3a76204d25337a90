//! The functions that recurrent layers name.

use tract_onnx::pb::NodeProto;

use super::super::error::ImportError;
use super::super::protos::{attribute, float};
use super::recurrent::Kind;
use super::unsupported;
use super::writer::Writer;

const HINT: &str = "use `Tanh`, `Sigmoid` or another function of ONNX's list for recurrent layers, with its numbers";

/// A function with its numbers.
#[derive(Clone, Debug)]
pub(super) struct Activation {
    operator: &'static str,
    alpha: f32,
    beta: f32,
}

/// What is known of a function: its name, and for each of its two numbers whether it has one, and which where the file
/// gives none. Numbers that have no default must be given.
struct Form {
    operator: &'static str,
    alpha: Option<Option<f32>>,
    beta: Option<Option<f32>>,
}

const fn form(operator: &'static str, alpha: Option<Option<f32>>, beta: Option<Option<f32>>) -> Form {
    Form { operator, alpha, beta }
}

/// ONNX's list. Of `ThresholdedRelu` the runtimes disagree about the default, and `Affine` and `ScaledTanh` have none.
const FORMS: [Form; 11] = [
    form("Affine", Some(None), Some(None)),
    form("Elu", Some(Some(1.0)), None),
    form("HardSigmoid", Some(Some(0.2)), Some(Some(0.5))),
    form("LeakyRelu", Some(Some(0.01)), None),
    form("Relu", None, None),
    form("ScaledTanh", Some(None), Some(None)),
    form("Sigmoid", None, None),
    form("Softplus", None, None),
    form("Softsign", None, None),
    form("Tanh", None, None),
    form("ThresholdedRelu", Some(None), None),
];

/// The functions of each direction of a layer. Their numbers are listed in order, for those alone that have some.
pub(super) fn activations(
    node: &NodeProto,
    kind: Kind,
    directions: usize,
) -> Result<Vec<Vec<Activation>>, ImportError> {
    let defaults = kind.functions();
    let given = attribute(node, "activations").map(|of| of.strings.as_slice()).filter(|all| !all.is_empty());
    let names: Vec<String> = match given {
        Some(given) => given.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        None => defaults.iter().cycle().take(defaults.len() * directions).map(|name| (*name).to_owned()).collect(),
    };
    if names.len() != defaults.len() * directions {
        let form = format!("{} activations for {directions} directions", names.len());
        return Err(unsupported(node, form, HINT));
    }
    let numbers = |name: &str| attribute(node, name).map(|of| of.floats.clone()).unwrap_or_default().into_iter();
    let (mut alphas, mut betas) = (numbers("activation_alpha"), numbers("activation_beta"));
    let mut functions = Vec::new();
    for name in &names {
        let form = FORMS.iter().find(|form| form.operator.eq_ignore_ascii_case(name));
        let number = |of: Option<Option<f32>>, given: &mut dyn Iterator<Item = f32>| match of {
            Some(default) => given.next().or(default).filter(|number| number.is_finite()),
            None => Some(0.0),
        };
        let function = form.and_then(|form| {
            let (alpha, beta) = (number(form.alpha, &mut alphas), number(form.beta, &mut betas));
            Some(Activation { operator: form.operator, alpha: alpha?, beta: beta? })
        });
        let Some(function) = function else {
            let shown: String = name.escape_debug().take(32).collect();
            let without = if form.is_some() { " without its numbers" } else { "" };
            return Err(unsupported(node, format!("the activation '{shown}'{without}"), HINT));
        };
        functions.push(function);
    }
    Ok(functions.chunks(defaults.len()).map(<[Activation]>::to_vec).collect())
}

impl Activation {
    /// Writes the function of a value.
    pub(super) fn write(&self, part: &str, value: &str, writer: &mut Writer) -> Result<String, ImportError> {
        let [alpha, beta] = [float("alpha", self.alpha), float("beta", self.beta)];
        match self.operator {
            "Affine" => {
                let [factor, summand] = ["alpha", "beta"].map(|number| format!("{part}.{number}"));
                let (factor, summand) = (writer.number(&factor, self.alpha)?, writer.number(&summand, self.beta)?);
                let scaled = writer.op("Mul", &format!("{part}.scaled"), &[value, &factor], vec![])?;
                writer.op("Add", part, &[&scaled, &summand], vec![])
            }
            "ScaledTanh" => {
                let [outer, inner] = ["alpha", "beta"].map(|number| format!("{part}.{number}"));
                let (outer, inner) = (writer.number(&outer, self.alpha)?, writer.number(&inner, self.beta)?);
                let scaled = writer.op("Mul", &format!("{part}.scaled"), &[value, &inner], vec![])?;
                let curved = writer.op("Tanh", &format!("{part}.tanh"), &[&scaled], vec![])?;
                writer.op("Mul", part, &[&curved, &outer], vec![])
            }
            "HardSigmoid" => writer.op(self.operator, part, &[value], vec![alpha, beta]),
            "Elu" | "LeakyRelu" | "ThresholdedRelu" => writer.op(self.operator, part, &[value], vec![alpha]),
            _ => writer.op(self.operator, part, &[value], vec![]),
        }
    }
}
