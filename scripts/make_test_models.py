#!/usr/bin/env python3
"""Makes the small ONNX models of the import tests: one for each operator or form of its attributes.

Needs numpy, onnx and onnxruntime from PyPI. Writes NAME.onnx and NAME.json (`input_data` and `output_data`: lists of
flat lists in ONNX axis order, outputs by onnxruntime) into the folder given, by default tests/models/ops. Weights are
pseudo-random with a fixed seed for each model, so that one model can change without the others. Models under
`refused/` have no JSON: importing them must fail.
"""
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests" / "models" / "ops")


class Model:
    """An ONNX graph under construction; every method returns the name of its result."""

    def __init__(self, name, *shape):
        self.name, self.nodes, self.constants = name, [], []
        self.inputs, self.shapes = ["input"], [list(shape)]
        self.random = np.random.RandomState(zlib.crc32(name.encode()))

    def constant(self, values, dtype=np.float32):
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def weights(self, *shape):
        fan_in = max(1, int(np.prod(shape[1:])))
        return self.constant(self.random.uniform(-1, 1, shape) / np.sqrt(fan_in))

    def vector(self, n, low=-0.5, high=0.5):
        return self.constant(self.random.uniform(low, high, n))

    def op(self, kind, *inputs, domain=None, outputs=1, **attributes):
        number = len(self.nodes)
        names = [f"{kind.lower()}{number}_{i}" if i else f"{kind.lower()}{number}" for i in range(outputs)]
        node = helper.make_node(kind, inputs, names, name=f"node{number}_{kind}", domain=domain, **attributes)
        self.nodes.append(node)
        return names[0]

    def conv(self, x, c_in, c_out, kernel, bias=True, group=1, **attributes):
        w = self.weights(c_out, c_in // group, *kernel)
        inputs = [x, w] + ([self.vector(c_out)] if bias else [])
        return self.op("Conv", *inputs, kernel_shape=kernel, group=group, **attributes)

    def batch_norm(self, x, c):
        scale, shift, mean = self.vector(c, 0.8, 1.2), self.vector(c), self.vector(c)
        return self.op("BatchNormalization", x, scale, shift, mean, self.vector(c, 0.3, 0.9), epsilon=1e-5)

    def proto(self, *outputs):
        value = helper.make_tensor_value_info
        inputs = [value(n, TensorProto.FLOAT, s) for n, s in zip(self.inputs, self.shapes)]
        outputs = [value(n, TensorProto.FLOAT, None) for n in outputs]
        graph = helper.make_graph(self.nodes, self.name, inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid("test", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="zkml-gpu")

    def save(self, *outputs, symbols=()):
        proto = onnx.shape_inference.infer_shapes(self.proto(*outputs))
        onnx.save(proto, FOLDER / f"{self.name}.onnx")
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        shapes = [[dict(symbols).get(d, d) for d in shape] for shape in self.shapes]
        xs = [self.random.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]
        ys = session.run(list(outputs), dict(zip(self.inputs, xs)))
        flat = lambda tensors: [[round(float(v), 7) for v in t.reshape(-1)] for t in tensors]
        text = json.dumps({"input_data": flat(xs), "output_data": flat(ys)})
        (FOLDER / f"{self.name}.json").write_text(text + "\n")

    def refuse(self, *outputs):
        onnx.save(self.proto(*outputs), FOLDER / "refused" / f"{self.name}.onnx")


def convolutions():
    forms = {
        "conv_plain": dict(),
        "conv_no_bias": dict(bias=False),
        "conv_stride_pads": dict(strides=[2, 1], pads=[1, 1, 1, 1]),
        "conv_asymmetric_pads": dict(pads=[0, 1, 2, 0]),
        "conv_same_upper": dict(auto_pad="SAME_UPPER", strides=[2, 2]),
        "conv_dilated": dict(dilations=[2, 1]),
        "conv_grouped": dict(group=2),
    }
    for name, attributes in forms.items():
        m = Model(name, 1, 4, 7, 6)
        m.save(m.conv("input", 4, 6, [3, 2], **attributes))
    m = Model("conv_1d", 1, 3, 12)
    m.save(m.conv("input", 3, 5, [4], strides=[2]))
    m = Model("conv_batch_norm", 1, 3, 6, 6)
    m.save(m.op("Relu", m.batch_norm(m.conv("input", 3, 4, [3, 3], bias=False), 4)))
    m = Model("batch_norm_alone", 1, 3, 5, 4)
    m.save(m.batch_norm("input", 3))
    m = Model("batch_norm_before_conv", 1, 3, 6, 6)
    m.save(m.conv(m.batch_norm("input", 3), 3, 4, [3, 3], pads=[1, 1, 1, 1]))
    m = Model("batch_norm_after_pool", 1, 2, 6, 6)
    x = m.op("MaxPool", m.conv("input", 2, 3, [3, 3]), kernel_shape=[2, 2], strides=[2, 2])
    m.save(m.op("Relu", m.batch_norm(x, 3)))


def activations():
    pool = dict(kernel_shape=[2, 2], strides=[2, 2])
    m = Model("conv_relu_pool", 1, 2, 7, 7)
    m.save(m.op("MaxPool", m.op("Relu", m.conv("input", 2, 3, [2, 2])), **pool))
    m = Model("conv_pool_relu", 1, 2, 7, 7)
    m.save(m.op("Relu", m.op("MaxPool", m.conv("input", 2, 3, [2, 2]), **pool)))
    m = Model("conv_pool_shared", 1, 2, 6, 6)
    x = m.op("Relu", m.conv("input", 2, 3, [3, 3], pads=[1, 1, 1, 1]))
    m.save(m.op("MaxPool", x, **pool), m.op("GlobalAveragePool", x))
    m = Model("conv_relu6", 1, 2, 5, 5)
    x = m.op("Mul", m.conv("input", 2, 3, [2, 2]), m.constant(8.0))
    m.save(m.op("Clip", x, m.constant(0.0), m.constant(6.0)))
    m = Model("relu_alone", 1, 9)
    m.save(m.op("Relu", "input"))


def pools():
    window = dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for name, attributes in {
        "average_pool": dict(kernel_shape=[2, 2], strides=[2, 2]),
        "average_pool_pads_excluded": window,
        "average_pool_pads_counted": dict(count_include_pad=1, **window),
        "average_pool_ceil": dict(kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    }.items():
        m = Model(name, 1, 3, 7, 5)
        m.save(m.op("AveragePool", "input", **attributes))
    m = Model("average_pool_global", 1, 3, 4, 5)
    m.save(m.op("Flatten", m.op("GlobalAveragePool", m.op("Relu", "input"))))
    m = Model("reduce_mean_spatial", 1, 3, 4, 5)
    m.save(m.op("ReduceMean", "input", axes=[2, 3], keepdims=0))
    m = Model("max_pool_overlapping", 1, 3, 7, 7)
    m.save(m.op("MaxPool", m.op("Relu", m.conv("input", 3, 2, [1, 1])), kernel_shape=[3, 3], strides=[2, 2]))
    m = Model("max_pool_padded", 1, 3, 6, 6)
    m.save(m.op("MaxPool", "input", **window))


def products():
    m = Model("linear_1_1", 1, 1)
    m.save(m.op("Gemm", "input", m.constant([[1.5]]), m.constant([-0.25]), transB=1))
    m = Model("gemm_plain", 1, 6)
    m.save(m.op("Gemm", "input", m.weights(6, 4), m.vector(4)))
    m = Model("gemm_no_bias", 1, 6)
    m.save(m.op("Gemm", "input", m.weights(4, 6), transB=1))
    m = Model("gemm_alpha_beta", 1, 6)
    m.save(m.op("Gemm", "input", m.weights(4, 6), m.vector(4), transB=1, alpha=0.5, beta=2.0))
    m = Model("gemm_trans_a", 6, 1)
    m.save(m.op("Gemm", "input", m.weights(6, 4), m.vector(4), transA=1))
    m = Model("gemm_scalar_bias", 1, 6)
    m.save(m.op("Gemm", "input", m.weights(6, 4), m.constant(0.3)))
    m = Model("gemm_rows", 5, 6)
    m.save(m.op("Gemm", "input", m.weights(4, 6), m.vector(4), transB=1))
    m = Model("matmul_bias", 1, 6)
    m.save(m.op("Add", m.op("MatMul", "input", m.weights(6, 4)), m.vector(4)))
    m = Model("matmul_bias_first", 1, 6)
    m.save(m.op("Add", m.vector(4), m.op("MatMul", "input", m.weights(6, 4))))
    m = Model("matmul_weights_left", 6, 1)
    m.save(m.op("MatMul", m.weights(4, 6), "input"))
    m = Model("matmul_batched", 1, 5, 6)
    x = m.op("Relu", m.op("Add", m.op("MatMul", "input", m.weights(6, 8)), m.vector(8)))
    m.save(m.op("Add", "input", m.op("MatMul", x, m.weights(8, 6))))


def sums():
    m = Model("residual_add", 1, 8)
    x = m.op("Relu", m.op("Gemm", "input", m.weights(8, 8), m.vector(8)))
    m.save(m.op("Relu", m.op("Add", m.op("Gemm", x, m.weights(8, 8)), "input")))
    m = Model("residual_conv", 1, 3, 5, 5)
    same = dict(pads=[1, 1, 1, 1])
    x = m.op("Relu", m.batch_norm(m.conv("input", 3, 3, [3, 3], **same), 3))
    m.save(m.op("Relu", m.op("Add", m.conv(x, 3, 3, [3, 3], **same), "input")))
    m = Model("add_inputs", 1, 7)
    m.inputs, m.shapes = ["input", "other"], [[1, 7], [1, 7]]
    m.save(m.op("Add", "input", "other"))
    m = Model("subtract", 1, 7)
    x = m.op("Gemm", "input", m.weights(7, 7))
    m.save(m.op("Sub", x, "input"))
    m = Model("scale_and_shift", 1, 3, 4, 4)
    x = m.op("Div", m.op("Sub", "input", m.constant(0.25)), m.constant(0.5))
    m.save(m.conv(x, 3, 2, [2, 2]))
    m = Model("negate", 1, 5)
    m.save(m.op("Neg", "input"))
    m = Model("two_outputs", 1, 6)
    x = m.op("Relu", m.op("Gemm", "input", m.weights(6, 5), m.vector(5)))
    m.save(x, m.op("Gemm", x, m.weights(5, 3), m.vector(3)))


def shapes():
    ints = lambda m, values: m.constant(values, np.int64)
    m = Model("reshape_flat", 1, 2, 3, 4)
    x = m.op("Reshape", m.op("Relu", "input"), ints(m, [1, -1]))
    m.save(m.op("Gemm", x, m.weights(24, 5)))
    m = Model("reshape_image", 1, 16)
    m.save(m.conv(m.op("Reshape", "input", ints(m, [0, 1, 4, 4])), 1, 2, [3, 3]))
    m = Model("reshape_computed", 1, 2, 3, 4)
    x = m.conv("input", 2, 2, [2, 2])
    batch = m.op("Gather", m.op("Shape", x), ints(m, 0), axis=0)
    shape = m.op("Concat", m.op("Unsqueeze", batch, ints(m, [0])), ints(m, [-1]), axis=0)
    m.save(m.op("Gemm", m.op("Reshape", x, shape), m.weights(12, 5)))
    m = Model("squeeze_unsqueeze", 1, 6)
    x = m.op("Squeeze", m.op("Gemm", "input", m.weights(6, 5)), ints(m, [0]))
    m.save(m.op("Unsqueeze", x, ints(m, [0])))
    m = Model("flatten_dropout_identity", 1, 2, 3, 3)
    x = m.op("Identity", m.op("Dropout", m.op("Flatten", m.conv("input", 2, 2, [2, 2]), axis=1)))
    m.save(m.op("Gemm", x, m.weights(8, 3)))
    m = Model("transposed_vector", 6, 1)
    m.save(m.op("Gemm", m.op("Transpose", "input", perm=[1, 0]), m.weights(6, 3)))
    m = Model("channels_last_output", 1, 2, 3, 4)
    m.save(m.op("Transpose", m.conv("input", 2, 3, [2, 2]), perm=[0, 2, 3, 1]))
    m = Model("symbolic_batch", "N", 6)
    m.save(m.op("Relu", m.op("Gemm", "input", m.weights(6, 4), m.vector(4))), symbols=[("N", 1)])
    m = Model("symbolic_rows", 1, "rows", 6)
    m.save(m.op("MatMul", "input", m.weights(6, 4)), symbols=[("rows", 3)])


def refused():
    (FOLDER / "refused").mkdir(exist_ok=True)
    m = Model("sine", 1, 4)
    m.refuse(m.op("Sin", m.op("Relu", "input")))
    m = Model("unknown", 1, 4)
    m.refuse(m.op("Frobnicate", "input", domain="test"))
    m = Model("lstm", 3, 1, 4)
    weights = [m.weights(1, 8, 4), m.weights(1, 8, 2)]
    m.refuse(m.op("LSTM", "input", *weights, hidden_size=2))
    m = Model("transposed_image", 1, 2, 3, 4)
    m.refuse(m.op("Transpose", "input", perm=[0, 1, 3, 2]))
    m = Model("product_of_activations", 1, 4)
    m.refuse(m.op("Mul", "input", m.op("Relu", "input")))
    m = Model("shift_by_position", 1, 2, 3, 4)
    m.refuse(m.op("Add", "input", m.weights(1, 1, 3, 4)))
    m = Model("conv_3d", 1, 2, 4, 4, 4)
    m.refuse(m.conv("input", 2, 3, [2, 2, 2]))
    m = Model("wrong_shapes", 1, 5)
    m.refuse(m.op("MatMul", "input", m.weights(6, 4)))
    m = Model("axis_beyond_rank", 1, 4)
    m.refuse(m.op("ReduceMean", "input", axes=[7]))
    m = Model("no_permutation", 2, 4)
    m.refuse(m.op("Transpose", "input", perm=[0, 0]))
    m = Model("missing_output", 1, 4)
    m.op("Relu", "input")
    m.refuse("nothing")
    m = Model("integer_input", 1, 4)
    proto = m.proto(m.op("Relu", "input"))
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32
    onnx.save(proto, FOLDER / "refused" / "integer_input.onnx")


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for make in (convolutions, activations, pools, products, sums, shapes, refused):
        make()
