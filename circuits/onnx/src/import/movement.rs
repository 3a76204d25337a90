//! Movement of data: slices, concatenations, padding, upsampling, tiling, gathering, and changes of axes that no view
//! expresses.
//!
//! What such an operator does is found by running it: tract evaluates it once on tensors that hold the numbers of their
//! elements, and once on other numbers that tell elements from constants, and movement from interpolation. So one
//! function serves all operators and all forms of their attributes, and agrees with the float reference by
//! construction.
//!
//! A circuit's key shows the constants that are moved in among the elements, because they are in a table. Where they
//! are learned (the class token of a transformer) there is 0 instead, and they are added afterwards, as other learned
//! summands are.

use tract_onnx::prelude::*;
use zkml_gpu_graph::{Shape, TensorId};

use super::error::ImportError;
use super::float::{FloatOp, FloatOrigin};
use super::guard::guarded;
use super::translator::Translator;
use super::view::View;

/// Operators of tract that move elements and compute nothing. An interpolating `Resize` is told apart by what it does.
const MOVEMENTS: &[&str] = &[
    "Concat",
    "Downsample",
    "Gather",
    "GatherElements",
    "GatherNd",
    "Identity",
    "MultiBroadcastTo",
    "NearestUpsample",
    "Pad",
    "Resize",
    "ScatterElements",
    "ScatterNd",
    "Slice",
    "StridedSlice",
    "Tile",
    "Trilu",
];

/// Most elements of a result, and of all operands together: numbers of elements, and as many others, must be exact as
/// floats.
const MAX_TRACED: usize = 1 << 23;

/// Whether an operator moves elements only.
pub(super) fn is_movement(node: &TypedNode) -> bool {
    MOVEMENTS.contains(&&*node.op.name())
}

/// Origins of elements in tract's order; operands are positions in `inputs`.
struct Moved {
    inputs: Vec<TensorId>,
    origins: Vec<FloatOrigin>,
    /// Whether the constants among them are learned.
    learned: bool,
}

impl Translator<'_> {
    /// Any operator of [`MOVEMENTS`].
    pub(super) fn movement(&mut self, node: &TypedNode) -> Result<View, ImportError> {
        let views: Vec<Option<View>> = (0..node.inputs.len()).map(|i| self.view(node, i).ok()).collect();
        if views.iter().all(Option::is_none) {
            return Err(self.form(node, "constants only", "fold constants before the export"));
        }
        let moved = self.trace(node, &views)?;
        let dims = self.dims(node)?;
        let principal = views.into_iter().flatten().next();
        Ok(self.place(node, moved, &dims, principal.as_ref()))
    }

    /// A view broadcast to larger extents of the same rank.
    pub(super) fn broadcast(&mut self, node: &TypedNode, view: View, dims: &[usize]) -> Result<View, ImportError> {
        if view.dims == dims {
            return Ok(view);
        }
        self.check_size(node, dims.iter().product())?;
        let offsets = view.broadcast_offsets(dims);
        let origins = offsets.into_iter().map(element).collect();
        let moved = Moved { inputs: vec![view.tensor], origins, learned: false };
        Ok(self.place(node, moved, dims, Some(&view)))
    }

    fn check_size(&self, node: &TypedNode, elements: usize) -> Result<(), ImportError> {
        if elements > MAX_TRACED {
            return Err(self.form(node, format!("{elements} elements to move"), "move smaller tensors"));
        }
        Ok(())
    }

    /// A view of the same elements over a tensor that stores the axes row-major in the order given; the view's own
    /// tensor where it does already.
    pub(super) fn arranged(&mut self, node: &TypedNode, view: &View, order: &[usize], shape: Shape) -> View {
        let permuted = view.permuted(order);
        let tensor = if permuted.is_row_major() {
            self.stored_as(node, view.tensor, shape)
        } else if let Some(&known) = self.rearranged.get(&(permuted.clone(), shape)) {
            known
        } else {
            let origins = permuted.offsets().into_iter().map(element).collect();
            let id = self.push(node, FloatOp::Rearrange { origins }, vec![view.tensor], shape);
            self.rearranged.insert((permuted.clone(), shape), id);
            id
        };
        View::row_major(tensor, &permuted.dims).unpermuted(order)
    }

    /// Where each element of an operator's output comes from.
    fn trace(&self, node: &TypedNode, views: &[Option<View>]) -> Result<Moved, ImportError> {
        let total: usize = views.iter().flatten().map(View::len).sum();
        self.check_size(node, total)?;
        self.check_size(node, self.dims(node)?.iter().product())?;
        let numbers: Vec<f32> = (0..total).map(|i| i as f32).collect();
        let others: Vec<f32> = (0..total).map(|i| (total + scattered(i) % ((1 << 24) - total)) as f32).collect();
        let (first, second) = (self.evaluate(node, views, &numbers)?, self.evaluate(node, views, &others)?);
        let sources = sources(views);
        let origin = |(a, b): (&f32, &f32)| {
            let number = *a as usize;
            if a == b && a.is_finite() {
                Some(FloatOrigin::Constant(*a))
            } else if numbers.get(number) == Some(a) && others.get(number) == Some(b) {
                Some(sources[number])
            } else {
                None
            }
        };
        let origins: Option<Vec<FloatOrigin>> = first.iter().zip(&second).map(origin).collect();
        let hint = "elements may be moved or replaced by finite constants; resize with mode `nearest`";
        let origins = origins.ok_or_else(|| self.form(node, "values computed from several elements", hint))?;
        let inputs = views.iter().flatten().map(|view| view.tensor).collect();
        let learned = (0..views.len()).any(|slot| self.source.learned.is_operand(node, slot));
        Ok(Moved { inputs, origins, learned })
    }

    /// Runs an operator on operands whose elements take these values, in order; constant operands are as they are.
    fn evaluate(&self, node: &TypedNode, views: &[Option<View>], values: &[f32]) -> Result<Vec<f32>, ImportError> {
        let run = || -> TractResult<Option<Vec<f32>>> {
            let mut rest = values;
            let mut operands = tvec!();
            for (i, view) in views.iter().enumerate() {
                let operand = match (view, self.constant_tensor(node, i)) {
                    (Some(view), _) => {
                        let (head, tail) = rest.split_at(view.len());
                        rest = tail;
                        Tensor::from_shape(&view.dims, head)?.into_tvalue()
                    }
                    (None, Some(constant)) => constant.clone().into_tvalue(),
                    (None, None) => return Ok(None),
                };
                operands.push(operand);
            }
            let Some(outputs) = node.op.eval_out_of_plan(operands)? else { return Ok(None) };
            let Some(output) = outputs.first() else { return Ok(None) };
            let output = output.cast_to::<f32>()?;
            Ok(Some(output.to_plain_array_view::<f32>()?.iter().copied().collect()))
        };
        match guarded(run) {
            Ok(Ok(Some(output))) => Ok(output),
            _ => Err(self.form(node, "operands that are computed or out of range", "positions must be constants")),
        }
    }

    /// Stores moved elements as the principal operand is stored, so that what was cheap to read stays so.
    fn place(&mut self, node: &TypedNode, moved: Moved, dims: &[usize], principal: Option<&View>) -> View {
        let (order, shape) = match principal.filter(|view| view.dims.len() == dims.len()) {
            Some(view) => self.storage(view, dims),
            None => ((0..dims.len()).collect(), Shape::vector(dims.iter().product())),
        };
        let sizes: Vec<usize> = order.iter().map(|&axis| dims[axis]).collect();
        let view = View::row_major(0, &sizes).unpermuted(&order);
        let mut origins = vec![FloatOrigin::Constant(0.0); moved.origins.len()];
        for (offset, origin) in view.offsets().into_iter().zip(moved.origins) {
            origins[offset] = origin;
        }
        let summands = moved.learned.then(|| take_constants(&mut origins)).flatten();
        let mut tensor = match moved.inputs.first() {
            Some(&only) if self.is_whole(only, &origins) => self.stored_as(node, only, shape),
            _ => self.push(node, FloatOp::Rearrange { origins }, moved.inputs, shape),
        };
        if let Some(offset) = summands {
            tensor = self.push(node, FloatOp::Combine { factors: vec![1.0], offset }, vec![tensor], shape);
        }
        View { tensor, ..view }
    }

    /// Whether the origins are all elements of the first operand in order.
    fn is_whole(&self, first: TensorId, origins: &[FloatOrigin]) -> bool {
        let in_order = origins.iter().enumerate().all(|(i, origin)| *origin == element(i));
        in_order && self.graph.tensors[first].shape.len() == origins.len()
    }

    /// Order of axes and extent under which a tensor of these extents is stored like the one behind a view of the same
    /// rank: channels, rows and columns are the axes that are so in the view.
    fn storage(&self, view: &View, dims: &[usize]) -> (Vec<usize>, Shape) {
        let stored = self.graph.tensors[view.tensor].shape;
        let rank = dims.len();
        let mut order: Vec<usize> = (0..rank).collect();
        let key = |axis: usize| {
            // An axis of extent 1 lies outside the next one.
            let next = (axis..rank).find(|&a| view.dims[a] != 1);
            next.map_or(0, |a| if a == axis { view.strides[a] } else { view.strides[a] * view.dims[a] })
        };
        let place = |axis: usize| match view.dims[axis] {
            1 if rank == 4 && axis + 2 == rank => 1,
            1 if rank == 4 && axis + 1 == rank => 2,
            1 => 0,
            _ if view.strides[axis] >= stored.height * stored.width => 0,
            _ if view.strides[axis] >= stored.width => 1,
            _ => 2,
        };
        order.sort_by_key(|&axis| (place(axis), std::cmp::Reverse(key(axis))));
        let extent = |which| order.iter().filter(|&&a| place(a) == which).map(|&a| dims[a]).product();
        let shape = Shape { channels: extent(0), height: extent(1), width: extent(2) };
        (order, shape)
    }
}

/// Stored element behind each number.
fn sources(views: &[Option<View>]) -> Vec<FloatOrigin> {
    let views = views.iter().flatten().enumerate();
    let of = |(operand, view): (usize, &View)| {
        let origin = move |offset| FloatOrigin::Element { operand: operand as u32, element: offset as u32 };
        view.offsets().into_iter().map(origin)
    };
    views.flat_map(of).collect()
}

/// Puts 0 in the place of constants; returns them as summands, where there are some.
fn take_constants(origins: &mut [FloatOrigin]) -> Option<Vec<f32>> {
    let mut any = false;
    let take = |origin: &mut FloatOrigin| match origin {
        FloatOrigin::Constant(constant) => {
            any = true;
            std::mem::take(constant)
        }
        FloatOrigin::Element { .. } => 0.0,
    };
    let summands = origins.iter_mut().map(take).collect();
    any.then_some(summands)
}

/// An element of the first operand.
fn element(offset: usize) -> FloatOrigin {
    FloatOrigin::Element { operand: 0, element: offset as u32 }
}

/// Numbers in no relation that an average could keep: the multiples of an odd constant, mixed.
fn scattered(i: usize) -> usize {
    let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as usize
}
