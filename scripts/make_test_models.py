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


LEARNERS = "ai.onnx.ml"
# Those whose first output is whole numbers.
INDEX_OPERATORS = ("ArgMax", "ArgMin", "LinearClassifier", "TreeEnsembleClassifier")


class Model:
    """An ONNX graph under construction; every method returns the name of its result."""

    def __init__(self, name, *shape, opset=13, indices=None):
        # Of inputs that are indices: their type, the least one and the number that they are below.
        self.indices = indices
        self.name, self.nodes, self.constants, self.opset = name, [], [], opset
        self.inputs, self.shapes = ["input"], [list(shape)]
        # Inputs of another type than the others: by name, as above.
        self.kinds = {}
        # Inputs whose numbers are at equal ratios between two: by name.
        self.decades = {}
        self.random = np.random.RandomState(zlib.crc32(name.encode()))

    def constant(self, values, dtype=np.float32):
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def written(self, *values):
        """Numbers of the architecture: those of a Constant node."""
        name = f"written{len(self.nodes)}"
        value = numpy_helper.from_array(np.array(values, np.float32))
        self.nodes.append(helper.make_node("Constant", [], [name], name=f"node_{name}", value=value))
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
        return names[0] if outputs == 1 else names

    def ints(self, *values):
        return self.constant(values, np.int64)

    def conv(self, x, c_in, c_out, kernel, bias=True, group=1, **attributes):
        w = self.weights(c_out, c_in // group, *kernel)
        inputs = [x, w] + ([self.vector(c_out)] if bias else [])
        return self.op("Conv", *inputs, kernel_shape=kernel, group=group, **attributes)

    def conv_transpose(self, x, c_in, c_out, kernel, bias=True, group=1, **attributes):
        w = self.weights(c_in, c_out // group, *kernel)
        inputs = [x, w] + ([self.vector(c_out)] if bias else [])
        return self.op("ConvTranspose", *inputs, kernel_shape=kernel, group=group, **attributes)

    def batch_norm(self, x, c):
        scale, shift, mean = self.vector(c, 0.8, 1.2), self.vector(c), self.vector(c)
        return self.op("BatchNormalization", x, scale, shift, mean, self.vector(c, 0.3, 0.9), epsilon=1e-5)

    def proto(self, *outputs):
        value = helper.make_tensor_value_info
        kind = self.indices[0] if self.indices else TensorProto.FLOAT
        inputs = [value(n, self.kinds.get(n, [kind])[0], s) for n, s in zip(self.inputs, self.shapes)]
        kinds = {node.output[0]: TensorProto.INT64 for node in self.nodes if node.op_type in INDEX_OPERATORS}
        kinds.update({node.output[1]: TensorProto.INT64 for node in self.nodes if node.op_type == "TopK"})
        outputs = [value(n, kinds.get(n, TensorProto.FLOAT), None) for n in outputs]
        graph = helper.make_graph(self.nodes, self.name, inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("test", 1)]
        if any(node.domain == LEARNERS for node in self.nodes):
            opsets.append(helper.make_opsetid(LEARNERS, 3))
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="zkml-gpu")

    def values(self, name, shape):
        if name in self.decades:
            return np.geomspace(*self.decades[name], int(np.prod(shape))).reshape(shape).astype(np.float32)
        if name not in self.kinds:
            return self.random.uniform(-1, 1, shape).astype(np.float32)
        kind, low, high = self.kinds[name]
        return self.random.randint(low, high, shape).astype(helper.tensor_dtype_to_np_dtype(kind))

    def save(self, *outputs, symbols=(), reference=None):
        """Of what onnxruntime does not compute, `reference` is the same model in another form, with its outputs."""
        proto = onnx.shape_inference.infer_shapes(self.proto(*outputs))
        onnx.save(proto, FOLDER / f"{self.name}.onnx")
        if reference:
            proto, outputs = reference[0].proto(*reference[1]), reference[1]
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        shapes = [[dict(symbols).get(d, d) for d in shape] for shape in self.shapes]
        if self.indices:
            kind, low, high = self.indices
            xs = [self.random.randint(low, high, shape).astype(helper.tensor_dtype_to_np_dtype(kind)) for shape in shapes]
        else:
            xs = [self.values(name, shape) for name, shape in zip(self.inputs, shapes)]
        ys = session.run(list(outputs), dict(zip(self.inputs, xs)))
        flat = lambda tensors: [[round(float(v), 7) for v in t.reshape(-1)] for t in tensors]
        text = json.dumps({"input_data": flat(xs), "output_data": flat(ys)})
        (FOLDER / f"{self.name}.json").write_text(text + "\n")

    def refuse(self, *outputs):
        onnx.save(self.proto(*outputs), FOLDER / "refused" / f"{self.name}.onnx")


def embeddings():
    m = Model("embedding", 1, 5, indices=(TensorProto.INT64, 0, 7))
    m.save(m.op("Gather", m.weights(7, 4), "input"))
    m = Model("embedding_from_end", 3, indices=(TensorProto.INT32, -7, 7))
    m.save(m.op("Relu", m.op("Gather", m.weights(4, 7), "input", axis=1)))
    m = Model("embedding_of_heads", 2, 3, indices=(TensorProto.INT64, 0, 6))
    x = m.op("Gather", m.weights(2, 6, 4), m.op("Unsqueeze", "input", m.ints(2)), axis=1)
    m.save(m.op("MatMul", x, m.weights(4, 3)))
    m = Model("embeddings_added", 1, 6, indices=(TensorProto.INT64, 0, 9))
    x = m.op("Gather", m.weights(9, 8), "input")
    x = m.op("Add", m.op("Add", x, m.weights(6, 8)), m.op("Gather", m.weights(9, 8), m.op("Cast", "input", to=TensorProto.INT32)))
    m.save(m.op("MatMul", x, m.op("Transpose", x, perm=[0, 2, 1])))


def learned_numbers():
    """Numbers that training finds and that are no weights of a product."""
    m = Model("learned_activation", 1, 8)
    x = m.op("PRelu", m.op("Gemm", "input", m.weights(8, 8), m.vector(8)), m.constant([0.2]))
    x = m.op("Add", "input", m.op("Mul", x, m.constant([0.7])))
    m.save(m.op("MatMul", x, m.weights(8, 4)))
    m = Model("learned_residual", 1, 6)
    x = m.op("Relu", m.op("Gemm", "input", m.weights(6, 6), m.vector(6)))
    m.save(m.op("Add", "input", m.op("Mul", x, m.constant(0.37))))
    m = Model("learned_layer_scale", 1, 3, 4, 4)
    x = m.op("Relu", m.conv("input", 3, 3, [3, 3], pads=[1, 1, 1, 1]))
    m.save(m.op("Add", "input", m.op("Mul", x, m.constant(m.random.uniform(0.1, 0.4, (3, 1, 1))))))
    m = Model("learned_class_token", 1, 4, 6)
    x = m.op("Concat", m.constant(m.random.uniform(-1, 1, (1, 1, 6))), "input", axis=1)
    x = m.op("Add", x, m.constant(m.random.uniform(-0.5, 0.5, (1, 5, 6))))
    m.save(m.op("MatMul", x, m.weights(6, 3)))
    m = Model("learned_border", 1, 2, 5, 5)
    m.save(m.conv(m.op("Add", "input", m.constant(0.37)), 2, 3, [3, 3], pads=[1, 1, 1, 1]))
    m = Model("learned_bound", 1, 2, 4, 4)
    m.save(m.op("Max", "input", m.constant(0.37)))
    m = Model("learned_mean", 1, 3, 4, 4)
    m.save(m.op("Relu", m.op("Mul", m.op("GlobalAveragePool", "input"), m.constant(1.37))))
    m = Model("learned_attention_scale", 1, 4, 8)
    q, k, v = (m.op("MatMul", "input", m.weights(8, 8)) for _ in range(3))
    scores = m.op("Mul", m.op("MatMul", q, m.op("Transpose", k, perm=[0, 2, 1])), m.constant(0.37))
    m.save(m.op("MatMul", m.op("Softmax", scores, axis=-1), v))
    m = Model("learned_swish", 1, 6)
    x = m.op("Gemm", "input", m.weights(6, 6), m.vector(6))
    m.save(m.op("Mul", x, m.op("Sigmoid", m.op("Mul", x, m.constant(1.37)))))


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


def grouped_convolutions():
    m = Model("conv_depthwise", 1, 6, 6, 5)
    m.save(m.op("Relu", m.conv("input", 6, 6, [3, 3], group=6, pads=[1, 1, 1, 1])))
    m = Model("conv_depthwise_multiplier", 1, 3, 6, 5)
    m.save(m.conv("input", 3, 6, [3, 2], group=3, strides=[2, 1]))
    m = Model("conv_depthwise_pointwise", 1, 4, 5, 5)
    x = m.op("Relu", m.batch_norm(m.conv("input", 4, 4, [3, 3], group=4, bias=False), 4))
    m.save(m.op("Relu", m.conv(x, 4, 5, [1, 1])))
    m = Model("conv_depthwise_1x1", 1, 4, 5, 5)
    m.save(m.conv("input", 4, 4, [1, 1], group=4))
    m = Model("conv_grouped_1x1", 1, 6, 3, 4)
    m.save(m.op("Relu", m.conv("input", 6, 4, [1, 1], group=2)))
    m = Model("conv_grouped_1d", 1, 4, 9)
    m.save(m.conv("input", 4, 6, [3], group=2, dilations=[2], pads=[2, 2]))
    m = Model("batch_norm_before_grouped_conv", 1, 4, 5, 5)
    m.save(m.conv(m.batch_norm("input", 4), 4, 6, [2, 2], group=2))


def transposed_convolutions():
    forms = {
        "conv_transpose": dict(),
        "conv_transpose_stride": dict(strides=[2, 2]),
        "conv_transpose_pads": dict(strides=[2, 1], pads=[1, 0, 0, 1]),
        "conv_transpose_output_padding": dict(strides=[3, 2], output_padding=[2, 1], pads=[1, 1, 1, 1]),
        "conv_transpose_dilated": dict(dilations=[2, 1], strides=[1, 2]),
        "conv_transpose_grouped": dict(group=2, strides=[2, 2]),
        "conv_transpose_depthwise": dict(group=4, strides=[2, 2], pads=[1, 1, 1, 1]),
        "conv_transpose_no_bias": dict(bias=False),
    }
    for name, attributes in forms.items():
        m = Model(name, 1, 4, 3, 4)
        m.save(m.conv_transpose("input", 4, 4, [3, 2], **attributes))
    m = Model("conv_transpose_relu", 1, 3, 3, 3)
    x = m.batch_norm(m.conv_transpose("input", 3, 2, [2, 2], strides=[2, 2], bias=False), 2)
    m.save(m.op("Relu", x))
    m = Model("conv_transpose_1d", 1, 3, 5)
    m.save(m.conv_transpose("input", 3, 2, [4], strides=[2], pads=[1, 1]))


def functions():
    conv = lambda m: m.op("Mul", m.conv("input", 2, 3, [2, 2]), m.constant(4.0))
    limits = lambda m, *values: [m.constant(v) if v is not None else "" for v in values]
    for name, bounds in {
        "clip_both": (-1.0, 2.0),
        "clip_lower": (-0.5, None),
        "clip_upper": (None, 0.75),
        "clip_above": (0.5, 2.0),
    }.items():
        m = Model(name, 1, 2, 5, 5)
        m.save(m.op("Clip", conv(m), *limits(m, *bounds)))
    m = Model("clip_crossed", 1, 2, 3, 3)
    m.save(m.op("Clip", conv(m), *limits(m, 2.0, 1.0)), conv(m))
    m = Model("clip_none", 1, 6)
    m.save(m.op("Clip", "input"))
    m = Model("leaky_relu", 1, 2, 6, 6)
    m.save(m.op("LeakyRelu", conv(m), alpha=0.1))
    m = Model("leaky_relu_default_alone", 1, 9)
    m.save(m.op("LeakyRelu", "input"))
    m = Model("leaky_relu_negative_slope", 1, 2, 5, 5)
    m.save(m.op("LeakyRelu", conv(m), alpha=-0.5))
    m = Model("leaky_relu_pool", 1, 2, 7, 7)
    m.save(m.op("MaxPool", m.op("LeakyRelu", conv(m), alpha=0.2), kernel_shape=[2, 2], strides=[2, 2]))
    m = Model("leaky_relu_twice", 1, 2, 6, 6)
    x = m.op("LeakyRelu", m.conv("input", 2, 3, [3, 3], pads=[1, 1, 1, 1]), alpha=0.9)
    m.save(m.op("LeakyRelu", m.conv(x, 3, 3, [3, 3], pads=[1, 1, 1, 1]), alpha=0.9))
    m = Model("hard_swish", 1, 2, 5, 5, opset=14)
    m.save(m.op("HardSwish", conv(m)))
    m = Model("hard_swish_pool", 1, 2, 7, 7, opset=14)
    m.save(m.op("MaxPool", m.op("HardSwish", conv(m)), kernel_shape=[2, 2], strides=[2, 2]))
    m = Model("hard_swish_clip", 1, 2, 5, 5, opset=14)
    m.save(m.op("Clip", m.op("HardSwish", conv(m)), *limits(m, -0.25, 1.5)))
    m = Model("hard_swish_alone", 1, 9, opset=14)
    m.save(m.op("HardSwish", m.op("Mul", "input", m.constant(5.0))))
    m = Model("hard_sigmoid", 1, 2, 5, 5)
    m.save(m.op("HardSigmoid", conv(m)))
    m = Model("hard_sigmoid_alpha_beta_alone", 1, 9)
    m.save(m.op("HardSigmoid", "input", alpha=0.7, beta=0.4))
    for name, shape in {
        "prelu_scalar": (1,),
        "prelu_channels": (3, 1, 1),
        "prelu_elements": (3, 4, 4),
        "prelu_rows": (4, 1),
    }.items():
        m = Model(name, 1, 2, 5, 5)
        slope = m.constant(m.random.uniform(-0.2, 0.4, shape))
        m.save(m.op("PRelu", conv(m), slope))
    m = Model("prelu_vector", 1, 8)
    m.save(m.op("PRelu", m.op("Gemm", "input", m.weights(8, 6)), m.vector(6, 0, 0.5)))
    m = Model("where_leaky", 1, 2, 5, 5)
    x = conv(m)
    m.save(m.op("Where", m.op("Less", x, m.constant(0.0)), m.op("Mul", x, m.constant(0.3)), x))
    m = Model("max_constant", 1, 2, 4, 4)
    m.save(m.op("Max", m.op("Min", "input", m.constant(0.5)), m.constant(-0.25)))
    m = Model("max_by_channel", 1, 3, 4, 4)
    m.save(m.op("Max", "input", m.constant(m.random.uniform(-0.5, 0.5, (3, 1, 1)))))
    m = Model("min_by_element", 1, 3, 2, 2)
    m.save(m.op("Min", m.constant(m.random.uniform(-0.5, 0.5, (3, 2, 2))), "input"))


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


def large_pools():
    m = Model("max_pool_global", 1, 3, 5, 4)
    m.save(m.op("Flatten", m.op("GlobalMaxPool", m.op("Relu", m.conv("input", 3, 4, [2, 2])))))
    m = Model("average_pool_global_large", 1, 2, 19, 17)
    x = m.op("Flatten", m.op("GlobalAveragePool", m.op("Relu", "input")))
    m.save(m.op("Gemm", x, m.weights(2, 3), m.vector(3)))
    m = Model("max_pool_dilated", 1, 2, 7, 6)
    m.save(m.op("MaxPool", "input", kernel_shape=[2, 3], dilations=[3, 2]))
    m = Model("max_pool_ceil", 1, 2, 6, 5)
    m.save(m.op("MaxPool", "input", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1))
    m = Model("max_pool_1d", 1, 3, 11)
    m.save(m.op("MaxPool", "input", kernel_shape=[3], strides=[2], pads=[1, 1]))
    m = Model("reduce_max_channels", 1, 4, 3, 3)
    m.save(m.op("ReduceMax", "input", axes=[1], keepdims=1))
    m = Model("reduce_mean_channels", 1, 4, 3, 3)
    m.save(m.op("ReduceMean", "input", axes=[1], keepdims=0))
    m = Model("reduce_sum_rows", 1, 3, 4, 4)
    m.save(m.op("ReduceSum", m.op("Relu", "input"), m.ints(2), keepdims=1))


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


def constants():
    m = Model("subtract_constant", 1, 3, 3, 4)
    m.save(m.op("Sub", "input", m.constant(m.random.uniform(-1, 1, (3, 1, 1)))))
    m = Model("subtract_from_constant", 1, 3, 3, 4)
    m.save(m.op("Sub", m.constant(0.5), m.op("Relu", "input")))
    m = Model("divide_by_channel", 1, 3, 3, 4)
    m.save(m.op("Div", "input", m.constant(m.random.uniform(0.5, 2, (1, 3, 1, 1)))))
    m = Model("multiply_by_element", 1, 2, 3, 4)
    m.save(m.op("Relu", m.op("Mul", m.conv("input", 2, 2, [1, 1]), m.weights(2, 3, 4))))
    m = Model("multiply_by_column", 1, 2, 3, 4)
    m.save(m.op("Mul", "input", m.constant(m.random.uniform(-1, 1, 4))))
    m = Model("shift_by_position", 1, 2, 3, 4)
    m.save(m.op("Add", "input", m.weights(1, 1, 3, 4)))
    m = Model("shift_by_element_after_conv", 1, 2, 4, 4)
    m.save(m.op("Relu", m.op("Add", m.constant(m.random.uniform(-1, 1, (3, 3, 3))), m.conv("input", 2, 3, [2, 2]))))
    m = Model("constant_enlarges", 1, 3)
    m.save(m.op("Add", "input", m.weights(4, 3)))
    m = Model("sum_broadcast", 1, 3, 4, 4)
    m.save(m.op("Add", "input", m.op("GlobalAveragePool", "input")))
    m = Model("sum_of_three", 1, 6)
    m.save(m.op("Sum", "input", m.op("Gemm", "input", m.weights(6, 6)), m.op("Relu", "input")))
    m = Model("residual_shifted", 1, 6)
    m.save(m.op("Add", m.op("Add", "input", m.op("Gemm", "input", m.weights(6, 6))), m.vector(6)))
    m = Model("negate_before_conv", 1, 2, 4, 4)
    m.save(m.conv(m.op("Neg", m.op("Relu", "input")), 2, 3, [2, 2], pads=[1, 1, 1, 1]))


def movements():
    image = lambda name, **more: Model(name, 1, 3, 4, 5, **more)
    m = image("transposed_image")
    m.save(m.op("Transpose", "input", perm=[0, 1, 3, 2]))
    m = image("transpose_conv")
    m.save(m.conv(m.op("Transpose", "input", perm=[0, 2, 3, 1]), 4, 3, [2, 2]))
    m = Model("concat_channels", 1, 2, 4, 4)
    x = m.op("Relu", m.conv("input", 2, 3, [1, 1]))
    m.save(m.conv(m.op("Concat", x, m.conv("input", 2, 2, [1, 1]), axis=1), 5, 2, [2, 2]))
    m = Model("concat_relu", 1, 2, 4, 4)
    x = m.op("Concat", m.conv("input", 2, 3, [1, 1]), m.conv("input", 2, 2, [3, 3], pads=[1, 1, 1, 1]), axis=1)
    m.save(m.op("Relu", x))
    m = Model("concat_dense_block", 1, 2, 4, 4)
    x = m.op("Concat", "input", m.op("Relu", m.conv("input", 2, 2, [3, 3], pads=[1, 1, 1, 1])), axis=1)
    m.save(m.op("Concat", x, m.op("Relu", m.conv(x, 4, 2, [3, 3], pads=[1, 1, 1, 1])), axis=1))
    m = Model("concat_width_constant", 1, 2, 3, 3)
    m.save(m.op("Concat", "input", m.weights(1, 2, 3, 1), axis=3))
    m = Model("concat_inputs", 1, 3)
    m.inputs, m.shapes = ["input", "other"], [[1, 3], [2, 3]]
    m.save(m.op("Concat", "input", m.op("Mul", "other", m.constant(100.0)), axis=0), "input")
    m = Model("split_channels", 1, 5, 3, 3)
    a, b = m.op("Split", m.conv("input", 5, 5, [1, 1]), m.ints(2, 3), axis=1, outputs=2)
    m.save(m.op("Relu", a), b)
    m = image("slice_steps")
    m.save(m.op("Slice", "input", m.ints(0, -1), m.ints(3, -6), m.ints(1, 3), m.ints(2, -2)))
    m = image("slice_conv")
    m.save(m.op("Slice", m.conv("input", 3, 4, [1, 1]), m.ints(1, 1), m.ints(3, 4), m.ints(1, 2)))
    m = image("pad_constant")
    m.save(m.op("Pad", "input", m.ints(0, 0, 1, 2, 0, 0, 2, 1), m.constant(0.75)))
    for mode in ("reflect", "edge"):
        m = image(f"pad_{mode}")
        m.save(m.op("Pad", "input", m.ints(0, 0, 1, 2, 0, 0, 2, 1), mode=mode))
    m = image("pad_conv")
    m.save(m.conv(m.op("Pad", "input", m.ints(0, 0, 1, 1, 0, 0, 0, 1)), 3, 2, [2, 2]))
    m = image("pad_reflect_conv")
    m.save(m.conv(m.op("Pad", "input", m.ints(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect"), 3, 2, [3, 3]))
    m = image("expand")
    m.save(m.op("Expand", m.op("GlobalAveragePool", "input"), m.ints(1, 3, 2, 2)))
    m = image("tile")
    m.save(m.op("Tile", "input", m.ints(1, 1, 2, 1)))
    m = image("gather_channels")
    m.save(m.op("Gather", "input", m.ints(2, 0, 2), axis=1))
    m = Model("gather_one", 1, 4, 3)
    m.save(m.op("Gather", "input", m.constant(-1, np.int64), axis=1))
    for mode in ("DCR", "CRD"):
        m = Model(f"depth_to_space_{mode.lower()}", 1, 8, 2, 3)
        m.save(m.op("DepthToSpace", m.conv("input", 8, 8, [1, 1]), blocksize=2, mode=mode))
    m = Model("space_to_depth", 1, 2, 4, 6)
    m.save(m.op("SpaceToDepth", "input", blocksize=2))
    m = Model("channel_shuffle", 1, 6, 3, 3)
    x = m.op("Reshape", m.conv("input", 6, 6, [1, 1], group=2), m.ints(1, 2, 3, 3, 3))
    x = m.op("Reshape", m.op("Transpose", x, perm=[0, 2, 1, 3, 4]), m.ints(1, 6, 3, 3))
    m.save(m.conv(x, 6, 6, [3, 3], group=6))
    m = image("flatten_channels_last")
    x = m.op("Transpose", m.op("Relu", m.conv("input", 3, 4, [2, 2])), perm=[0, 2, 3, 1])
    m.save(m.op("Gemm", m.op("Flatten", x), m.weights(48, 5), m.vector(5)))
    m = image("reshape_exchanged_axes")
    m.save(m.op("Reshape", m.op("Transpose", "input", perm=[0, 3, 1, 2]), m.ints(1, 10, 6)))


def shared_pieces():
    """Two rearrangements of the same tensors: one cuts them anywhere, the other makes an image of them."""

    def cut(m, x, first, end):
        return m.op("Slice", x, m.ints(first), m.ints(end), m.ints(1))

    # The elements of the first are apart from each other where the convolution pads the second.
    m = Model("pieces_of_a_padded_image", 1, 3, 4, 4)
    q = m.op("Flatten", m.op("Relu", m.conv("input", 3, 2, [3, 3])), axis=1)
    p = m.op("Flatten", m.conv("input", 3, 1, [3, 3]), axis=1)
    scores = m.op("Concat", p, cut(m, q, 1, 3), cut(m, p, 2, 4), axis=1)
    image = m.op("Reshape", cut(m, q, 0, 4), m.ints(1, 1, 2, 2))
    m.save(scores, m.conv(image, 1, 2, [3, 3], bias=False, pads=[1, 1, 1, 1]))
    # One that has a circuit only where rows are not rounded up to several lanes.
    m = Model("pieces_of_softmaxes", 1, 16, opset=17)
    dense = lambda n: m.op("Softmax", m.op("Gemm", "input", m.weights(16, n), m.vector(n)), axis=1)
    q, p = dense(14), dense(7)
    scores = m.op("Concat", cut(m, p, 0, 5), cut(m, q, 6, 8), axis=1)
    rows = m.op("Reshape", cut(m, q, 0, 7), m.ints(1, 7, 1))
    m.save(scores, m.op("MatMul", rows, m.weights(1, 4)))


def resizes():
    m = Model("resize_nearest", 1, 2, 3, 4)
    m.save(m.op("Resize", m.conv("input", 2, 3, [1, 1]), "", m.constant([1, 1, 2, 2]), mode="nearest"))
    m = Model("resize_default_sizes", 1, 2, 4, 5)
    m.save(m.op("Resize", "input", "", "", m.ints(1, 2, 7, 3)))
    for coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
        for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            m = Model(f"resize_{coordinates}_{nearest}", 1, 1, 4, 5)
            modes = dict(coordinate_transformation_mode=coordinates, nearest_mode=nearest)
            m.save(m.op("Resize", "input", "", m.constant([1, 1, 1.75, 0.6]), mode="nearest", **modes))
    m = Model("resize_crop", 1, 1, 4, 5)
    modes = dict(coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=0.5)
    region = m.constant([0, 0, 0.25, -0.5, 1, 1, 1, 1])
    m.save(m.op("Resize", "input", region, "", m.ints(1, 1, 3, 6), mode="nearest", **modes))


def channels_last():
    m = Model("channels_last_input", 1, 5, 4, 3)
    x = m.op("Transpose", "input", perm=[0, 3, 1, 2])
    x = m.op("Relu", m.conv(m.op("Mul", x, m.constant(0.5)), 3, 4, [2, 2]))
    m.save(m.op("Transpose", x, perm=[0, 2, 3, 1]))
    m = Model("channels_last_classifier", 1, 6, 5, 2)
    x = m.op("Relu", m.conv(m.op("Transpose", "input", perm=[0, 3, 1, 2]), 2, 3, [3, 3]))
    x = m.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = m.op("Reshape", m.op("Transpose", x, perm=[0, 2, 3, 1]), m.ints(1, -1))
    m.save(m.op("Gemm", x, m.weights(6, 4), m.vector(4)))
    m = Model("channels_last_pad", 1, 5, 4, 3)
    x = m.op("Pad", "input", m.ints(0, 1, 0, 0, 0, 1, 0, 0), mode="edge")
    m.save(m.conv(m.op("Transpose", x, perm=[0, 3, 1, 2]), 3, 2, [2, 2]))


def maxima():
    spread = lambda m, n: m.op("Gemm", "input", m.constant(m.random.permutation(np.eye(n)) * 2), m.constant(np.arange(n) / 4))
    m = Model("arg_max", 1, 7)
    m.save(m.op("ArgMax", spread(m, 7), axis=1))
    m = Model("arg_max_flat", 1, 7)
    m.save(m.op("ArgMax", spread(m, 7), axis=-1, keepdims=0))
    m = Model("arg_max_last", 1, 6)
    x = m.op("Clip", m.op("Mul", "input", m.constant(9.0)), m.constant(-1.0), m.constant(1.0))
    m.save(m.op("ArgMax", x, axis=1, select_last_index=1), m.op("ArgMax", x, axis=1))
    m = Model("arg_max_image", 1, 2, 3, 4)
    w = np.array([[1, 0], [0, 1], [-1, -1]]).reshape(3, 2, 1, 1)
    m.save(m.op("ArgMax", m.op("Conv", "input", m.constant(w)), axis=1, keepdims=0))
    m = Model("arg_max_cast", 1, 5)
    m.save(m.op("Cast", m.op("ArgMax", spread(m, 5), axis=1), to=TensorProto.FLOAT), "input")


def outputs():
    m = Model("output_used_inside", 1, 6)
    x = m.op("Gemm", "input", m.weights(6, 5), m.vector(5))
    m.save(x, m.op("Gemm", x, m.weights(5, 3)), m.op("Relu", x))
    m = Model("output_twice", 1, 6)
    x = m.op("Gemm", "input", m.weights(6, 5), m.vector(5))
    m.save(x, m.op("Identity", x))
    m = Model("output_is_input", 1, 6)
    m.save(m.op("Identity", "input"), m.op("Relu", "input"))
    m = Model("two_inputs", 1, 2, 4, 4)
    m.inputs, m.shapes = ["input", "other"], [[1, 2, 4, 4], [1, 5]]
    x = m.op("Gemm", m.op("Flatten", m.conv("input", 2, 2, [3, 3])), m.weights(8, 4))
    m.save(m.op("Add", x, m.op("Gemm", "other", m.weights(5, 4))), m.op("Relu", "other"))


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
    m = Model("unnamed_rows", 1, None, 6)
    m.save(m.op("MatMul", "input", m.weights(6, 4)), symbols=[(None, 3)])
    m = Model("symbolic_rows", 1, "rows", 6)
    m.save(m.op("MatMul", "input", m.weights(6, 4)), symbols=[("rows", 3)])


def attention():
    """Products of two activations, softmax, normalisation, and what attention makes of them."""
    def heads(m, x, n, order, size=(4, 6), count=2):
        x = m.op("Add", m.op("MatMul", x, m.weights(size[1], size[1])), m.vector(size[1]))
        return m.op("Transpose", m.op("Reshape", x, m.ints(1, size[0], count, size[1] // count)), perm=order)

    m = Model("matmul_activations", 1, 4, 6)
    x = m.op("MatMul", "input", m.weights(6, 5))
    m.save(m.op("MatMul", m.op("Transpose", x, perm=[0, 2, 1]), "input"))
    m = Model("matmul_activations_by_head", 1, 4, 6)
    x = [heads(m, "input", n, order) for n, order in enumerate(([0, 2, 1, 3], [0, 2, 3, 1]))]
    m.save(m.op("Relu", m.op("Mul", m.op("MatMul", *x), m.constant(0.3))))
    m = Model("matmul_activations_broadcast", 2, 3, 4)
    m.save(m.op("MatMul", "input", m.op("Reshape", m.op("Gemm", m.op("Reshape", "input", m.ints(1, 24)), m.weights(24, 8)), m.ints(1, 4, 2))))
    m = Model("matmul_activation_by_itself", 1, 3, 5)
    x = m.op("MatMul", "input", m.weights(5, 5))
    m.save(m.op("MatMul", x, m.op("Transpose", x, perm=[0, 2, 1])))
    m = Model("matmul_to_vector", 1, 4, 6)
    x = m.op("MatMul", "input", m.weights(6, 1))
    m.save(m.op("MatMul", m.op("Transpose", "input", perm=[0, 2, 1]), x))
    for name, axis in {"softmax": -1, "softmax_rows": 1}.items():
        m = Model(name, 1, 4, 6)
        m.save(m.op("Softmax", m.op("MatMul", "input", m.weights(6, 5)), axis=axis))
    m = Model("softmax_classes", 1, 8)
    m.save(m.op("Softmax", m.op("Gemm", "input", m.weights(8, 10)), axis=1))
    for name, value in {"softmax_causal": -1e9, "softmax_causal_infinite": -np.inf}.items():
        m = Model(name, 1, 5, 6)
        x = m.op("MatMul", "input", m.weights(6, 5))
        mask = np.where(np.tril(np.ones((5, 5))) > 0, 0, value)
        m.save(m.op("Softmax", m.op("Add", x, m.constant(mask)), axis=-1))
    # A causal mask as exporters write it, and with the branches exchanged.
    for name in ("softmax_where", "softmax_where_masked"):
        m = Model(name, 1, 5, 6)
        x, seen = m.op("MatMul", "input", m.weights(6, 5)), np.tril(np.ones((5, 5), dtype=bool))
        masked = m.constant(np.full((1, 1, 1), -np.inf))
        x = m.op("Where", m.constant(seen, bool), x, masked) if name == "softmax_where" else m.op("Where", m.constant(~seen, bool), masked, x)
        m.save(m.op("Softmax", x, axis=-1))
    m = Model("where_constant", 1, 4, 6)
    x, y = m.op("MatMul", "input", m.weights(6, 5)), m.op("Relu", m.op("MatMul", "input", m.weights(6, 5)))
    x = m.op("Where", m.constant(np.arange(20).reshape(4, 5) % 3 == 0, bool), x, y)
    m.save(m.op("MatMul", m.op("Where", m.constant(np.arange(5) < 3, bool), x, m.constant(np.full(1, 0.25))), m.weights(5, 3)))
    # As large as a mask's summand, but none.
    m = Model("add_far_constant", 1, 4)
    m.save(m.op("Add", m.op("Gemm", "input", m.weights(4, 4)), m.constant([0, -6000, 10, 0])))
    m = Model("layer_norm", 1, 4, 6, opset=17)
    m.save(m.op("LayerNormalization", m.op("MatMul", "input", m.weights(6, 6)), m.vector(6, 0.5, 1.5), m.vector(6), axis=-1))
    for name in ("layer_norm_written_out", "rms_norm_written_out"):
        m = Model(name, 1, 4, 6)
        x = m.op("MatMul", "input", m.weights(6, 6))
        if name.startswith("layer"):
            x = m.op("Sub", x, m.op("ReduceMean", x, axes=[-1]))
        variance = m.op("ReduceMean", m.op("Pow", x, m.constant(2.0)), axes=[-1])
        x = m.op("Div", x, m.op("Sqrt", m.op("Add", variance, m.constant(1e-5))))
        m.save(m.op("MatMul", m.op("Mul", x, m.vector(6, 0.5, 1.5)), m.weights(6, 3)))
    # Each channel of an image by itself: alone, behind a convolution that reads images, and over one axis.
    m = Model("instance_norm", 1, 3, 4, 5)
    m.save(m.op("InstanceNormalization", "input", m.vector(3, 0.5, 1.5), m.vector(3), epsilon=1e-5))
    m = Model("instance_norm_between_convs", 1, 2, 6, 6)
    x = m.op("InstanceNormalization", m.conv("input", 2, 3, [3, 3]), m.vector(3, 0.5, 1.5), m.vector(3))
    m.save(m.conv(m.op("Relu", x), 3, 2, [3, 3], pads=[1, 1, 1, 1]))
    m = Model("instance_norm_of_a_sequence", 1, 4, 6)
    m.save(m.op("InstanceNormalization", m.conv("input", 4, 3, [3]), m.vector(3, 0.5, 1.5), m.vector(3), epsilon=1e-3))
    m = Model("multiply_activations", 1, 2, 4, 4)
    x = m.conv("input", 2, 3, [3, 3])
    m.save(m.op("Mul", x, m.conv("input", 2, 3, [3, 3])))
    m = Model("multiply_activations_broadcast", 1, 2, 5, 5)
    x = m.conv("input", 2, 3, [3, 3])
    m.save(m.op("Mul", x, m.op("GlobalAveragePool", x)))
    m = Model("divide_by_activation", 1, 6)
    x = m.op("Sigmoid", m.op("Gemm", "input", m.weights(6, 6)))
    m.save(m.op("Div", m.op("Gemm", "input", m.weights(6, 6)), m.op("Add", x, m.constant(0.5))))
    m = Model("attention", 1, 4, 6)
    q, k, v = [heads(m, "input", n, o) for n, o in enumerate(([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))]
    p = m.op("Softmax", m.op("Mul", m.op("MatMul", q, k), m.constant(0.5)), axis=-1)
    x = m.op("Transpose", m.op("MatMul", p, v), perm=[0, 2, 1, 3])
    m.save(m.op("Add", "input", m.op("MatMul", m.op("Reshape", x, m.ints(1, 4, 6)), m.weights(6, 6))))


def smooth_functions():
    """Functions of one number, as one operator and written out."""
    def dense(m):
        return m.op("Gemm", "input", m.weights(6, 8))

    for name, kind, attributes, opset in (
        ("sigmoid", "Sigmoid", {}, 13), ("tanh", "Tanh", {}, 13), ("erf", "Erf", {}, 13), ("exp", "Exp", {}, 13),
        ("gelu", "Gelu", {}, 20), ("gelu_tanh", "Gelu", {"approximate": "tanh"}, 20), ("abs", "Abs", {}, 13),
    ):
        m = Model(name, 1, 6, opset=opset)
        m.save(m.op(kind, dense(m), **attributes))
    for name, kind in {"sqrt": "Sqrt", "reciprocal": "Reciprocal", "log": "Log"}.items():
        m = Model(name, 1, 6)
        m.save(m.op(kind, m.op("Add", m.op("Sigmoid", dense(m)), m.constant(0.5))))
    m = Model("rsqrt_written_out", 1, 6)
    m.save(m.op("Reciprocal", m.op("Sqrt", m.op("Add", m.op("Sigmoid", dense(m)), m.constant(0.5)))))
    m = Model("pow", 1, 6)
    m.save(m.op("Pow", m.op("Sigmoid", dense(m)), m.constant(1.5)))
    m = Model("square", 1, 6)
    m.save(m.op("Pow", dense(m), m.constant(2.0)))
    m = Model("silu_written_out", 1, 6)
    x = dense(m)
    m.save(m.op("Mul", x, m.op("Sigmoid", x)))
    m = Model("gelu_written_out", 1, 6)
    x = dense(m)
    erf = m.op("Erf", m.op("Div", x, m.constant(np.sqrt(2))))
    m.save(m.op("Mul", m.op("Mul", x, m.op("Add", erf, m.constant(1.0))), m.constant(0.5)))
    m = Model("gelu_tanh_written_out", 1, 6)
    x = dense(m)
    cube = m.op("Mul", m.op("Mul", x, m.op("Mul", x, x)), m.constant(0.044715))
    inner = m.op("Mul", m.op("Add", x, cube), m.constant(np.sqrt(2 / np.pi)))
    m.save(m.op("Mul", m.op("Mul", x, m.op("Add", m.op("Tanh", inner), m.constant(1.0))), m.constant(0.5)))


def written_functions():
    """Functions of one number, each written out in another way: one table for each output, and nothing else."""
    m = Model("written_functions", 1, 6, opset=17)
    x, c = "input", m.written
    mul, add = (lambda a, b: m.op("Mul", a, b)), (lambda a, b: m.op("Add", a, b))
    relu, exp, tanh = (lambda of: m.op("Relu", of)), (lambda of: m.op("Exp", of)), (lambda of: m.op("Tanh", of))
    cube = lambda: mul(mul(mul(c(0.044715), x), x), x)
    inner = lambda cube: mul(c(0.7978845608), add(x, cube))
    sigmoid = lambda of: m.op("Sigmoid", of)
    negative = lambda: m.op("Neg", x)
    forms = [
        mul(mul(x, add(c(1.0), tanh(inner(cube())))), c(0.5)),
        mul(c(0.5), mul(x, add(c(1.0), tanh(inner(mul(c(0.044715), m.op("Pow", x, c(3.0)))))))),
        add(mul(c(0.5), x), mul(mul(c(0.5), x), tanh(inner(cube())))),
        mul(x, sigmoid(mul(c(1.702), x))),
        m.op("Div", x, add(c(1.0), exp(negative()))),
        mul(x, tanh(m.op("Log", add(c(1.0), exp(x))))),
        mul(x, m.op("Div", m.op("Clip", add(x, c(0.3)), c(0.0), c(0.6)), c(0.6))),
        m.op("Div", mul(x, m.op("Clip", add(x, c(0.3)), c(0.0), c(0.6))), c(0.6)),
        mul(x, m.op("HardSigmoid", x, alpha=0.9, beta=0.5)),
        mul(x, relu(x)),
        (lambda r: mul(r, r))(relu(mul(c(3.0), x))),
        m.op("Max", x, mul(x, c(0.1))),
        m.op("Min", mul(x, c(2.0)), x),
        m.op("Max", x, negative()),
        m.op("Sub", relu(x), mul(c(0.2), relu(negative()))),
        m.op("Where", m.op("GreaterOrEqual", x, c(0.0)), x, m.op("Sub", exp(x), c(1.0))),
        m.op("Where", m.op("LessOrEqual", x, c(0.0)), mul(x, c(0.01)), mul(x, c(2.0))),
        m.op("Clip", mul(m.op("Sub", x, tanh(x)), c(3.0)), c(-0.5), c(0.5)),
        mul(tanh(m.op("Clip", mul(x, c(2.0)), c(-0.5), c(1.0))), c(3.0)),
        m.op("Sqrt", mul(relu(m.op("Sub", x, c(0.25))), c(4.0))),
    ]
    m.save(*forms)
    m = Model("written_function_of_a_shared_clamp", 1, 6)
    clamped = m.op("Relu", m.op("Gemm", x, m.weights(6, 5)))
    m.save(m.op("Mul", clamped, clamped), m.op("Gemm", clamped, m.weights(5, 2)))


def batches():
    """Models that were exported with a batch over 1."""
    m = Model("batch_conv", 3, 2, 5, 6)
    m.save(m.conv("input", 2, 4, [3, 2], strides=[2, 1], pads=[1, 1, 1, 0]))
    m = Model("batch_conv_strides", 2, 3, 6, 7)
    x = m.op("Relu", m.conv("input", 3, 3, [3, 3], group=3, strides=[1, 2], pads=[1, 1, 1, 1]))
    m.save(m.conv(x, 3, 4, [1, 1]))
    m = Model("batch_conv_dilated", 2, 2, 7, 8)
    m.save(m.conv("input", 2, 3, [2, 3], dilations=[2, 3], pads=[0, 2, 1, 0]))
    m = Model("batch_conv_1d", 4, 3, 9)
    m.save(m.op("Relu", m.conv("input", 3, 4, [3], strides=[2], pads=[1, 0])))
    m = Model("batch_conv_transpose", 2, 3, 3, 4)
    m.save(m.conv_transpose("input", 3, 2, [3, 2], strides=[2, 3], pads=[1, 0, 0, 1]))
    m = Model("batch_network", 3, 1, 8, 8)
    x = m.op("Relu", m.batch_norm(m.conv("input", 1, 4, [3, 3], pads=[1, 1, 1, 1]), 4))
    x = m.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = m.op("Relu", m.conv(x, 4, 6, [3, 3]))
    x = m.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    m.save(m.op("Gemm", m.op("Flatten", x), m.weights(6, 5), m.vector(5)))
    m = Model("batch_pools", 2, 2, 6, 7)
    x = m.op("MaxPool", "input", kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
    m.save(m.op("AveragePool", x, kernel_shape=[2, 3], strides=[1, 2], pads=[0, 1, 1, 1]))
    m = Model("batch_residual_global", 2, 3, 4, 5)
    x = m.op("Relu", m.conv("input", 3, 3, [3, 3], pads=[1, 1, 1, 1]))
    x = m.op("GlobalAveragePool", m.op("Add", x, "input"))
    m.save(m.op("Gemm", m.op("Flatten", x), m.weights(3, 4), m.vector(4)))
    m = Model("batch_global_max", 3, 4, 3, 5)
    m.save(m.op("GlobalMaxPool", m.conv("input", 4, 3, [2, 2])))
    m = Model("batch_concat_pad", 2, 2, 4, 4)
    x = m.op("Concat", "input", m.conv("input", 2, 3, [1, 1]), axis=1)
    x = m.op("Pad", x, m.ints(0, 0, 1, 0, 0, 0, 0, 2))
    m.save(m.conv(x, 5, 2, [3, 3], strides=[1, 2]))
    m = Model("batch_channels_last", 2, 5, 4, 3)
    x = m.op("Transpose", "input", perm=[0, 3, 1, 2])
    m.save(m.op("Transpose", m.op("Relu", m.conv(x, 3, 2, [2, 2])), perm=[0, 2, 3, 1]))
    m = Model("batch_arg_max", 3, 2, 4, 4)
    x = m.op("Flatten", m.op("Relu", m.conv("input", 2, 3, [3, 3])))
    m.save(m.op("ArgMax", m.op("Gemm", x, m.weights(12, 5), m.vector(5)), axis=1, keepdims=0))
    m = Model("batch_attention", 2, 4, 6)
    q, k, v = (m.op("MatMul", "input", m.weights(6, 6)) for _ in range(3))
    split = lambda x: m.op("Transpose", m.op("Reshape", x, m.ints(2, 4, 2, 3)), perm=[0, 2, 1, 3])
    scores = m.op("MatMul", split(q), m.op("Transpose", split(k), perm=[0, 1, 3, 2]))
    x = m.op("MatMul", m.op("Softmax", m.op("Mul", scores, m.constant(0.5)), axis=-1), split(v))
    x = m.op("Reshape", m.op("Transpose", x, perm=[0, 2, 1, 3]), m.ints(2, 4, 6))
    m.save(m.op("Add", m.op("MatMul", x, m.weights(6, 6)), "input"))
    m = Model("batch_layer_norm", 3, 4, 6, opset=17)
    x = m.op("LayerNormalization", "input", m.vector(6, 0.5, 1.5), m.vector(6), axis=-1)
    m.save(m.op("MatMul", x, m.weights(6, 3)))
    m = Model("batch_embedding", 2, 5, indices=(TensorProto.INT64, 0, 7))
    x = m.op("Add", m.op("Gather", m.weights(7, 4), "input"), m.weights(5, 4))
    m.save(m.op("MatMul", x, m.weights(4, 3)))


def standard_functions():
    """Functions of one number, after a product."""
    kinds = [
        ("elu", "Elu", {"alpha": 0.7}), ("celu", "Celu", {"alpha": 0.6}), ("selu", "Selu", {}), ("mish", "Mish", {}),
        ("softplus", "Softplus", {}), ("softsign", "Softsign", {}), ("shrink", "Shrink", {"bias": 0.1, "lambd": 0.4}),
        ("thresholded_relu", "ThresholdedRelu", {"alpha": 0.3}), ("sign", "Sign", {}), ("floor", "Floor", {}),
        ("ceil", "Ceil", {}), ("round", "Round", {}), ("sin", "Sin", {}), ("cos", "Cos", {}), ("tan", "Tan", {}),
        ("atan", "Atan", {}), ("sinh", "Sinh", {}), ("cosh", "Cosh", {}), ("asinh", "Asinh", {}),
    ]
    for name, kind, attributes in kinds:
        m = Model(f"function_{name}", 1, 6, opset=18)
        m.save(m.op(kind, m.op("Gemm", "input", m.weights(6, 6), m.vector(6)), **attributes))
    # Over what they are defined for.
    bounds = [("asin", "Asin", -0.875, 0.875), ("acos", "Acos", -0.875, 0.875), ("atanh", "Atanh", -0.875, 0.875), ("acosh", "Acosh", 1.125, 3)]
    for name, kind, low, high in bounds:
        m = Model(f"function_{name}", 1, 6)
        m.save(m.op(kind, m.op("Clip", "input", m.constant(low), m.constant(high))))
    m = Model("function_chain", 1, 6)
    m.save(m.op("Log", m.op("Add", m.op("Exp", "input"), m.constant(1.0))))
    m = Model("function_of_a_constant_base", 1, 6)
    m.save(m.op("Pow", m.constant(2.5), "input"))


def comparisons():
    """Comparisons, truth values and choices."""
    for name, kind in [("less", "Less"), ("greater_or_equal", "GreaterOrEqual"), ("equal", "Equal")]:
        m = Model(f"compare_{name}", 1, 6)
        x = m.op("Floor", m.op("Mul", "input", m.constant(4.0))) if kind == "Equal" else "input"
        m.save(m.op("Cast", m.op(kind, x, m.constant(1.0 if kind == "Equal" else 0.25)), to=TensorProto.FLOAT))
    m = Model("compare_two", 1, 6)
    x = m.op("Gemm", "input", m.weights(6, 6), m.vector(6))
    m.save(m.op("Cast", m.op("Greater", x, "input"), to=TensorProto.FLOAT))
    m = Model("compare_learned", 1, 6)
    m.save(m.op("Cast", m.op("LessOrEqual", "input", m.vector(6)), to=TensorProto.FLOAT))
    m = Model("truth_of_one", 1, 8)
    low, high = m.op("Greater", "input", m.constant(-0.5)), m.op("Less", "input", m.constant(0.5))
    both = m.op("And", low, high)
    m.save(m.op("Cast", m.op("Xor", m.op("Not", both), m.op("Or", low, high)), to=TensorProto.FLOAT))
    m = Model("truth_of_two", 1, 6)
    x = m.op("Gemm", "input", m.weights(6, 6), m.vector(6))
    a, b = m.op("Less", x, m.constant(0.0)), m.op("Less", "input", m.constant(0.125))
    some = m.op("Or", m.op("And", a, b), m.op("Not", m.op("Xor", a, b)))
    m.save(m.op("Where", some, x, "input"))
    m = Model("where_other", 1, 4)
    m.save(m.op("Where", m.op("Less", "input", m.constant(0.5)), m.op("Neg", "input"), "input"))
    m = Model("where_unrelated", 1, 4)
    x = m.op("Gemm", "input", m.weights(4, 4))
    m.save(m.op("Where", m.op("Less", "input", m.constant(0.0)), x, "input"))
    m = Model("where_constants", 1, 4)
    m.save(m.op("Where", m.op("Less", "input", m.constant(0.0)), m.vector(4), m.constant(0.75)))
    m = Model("where_one_constant", 1, 3, 4)
    x = m.op("MatMul", "input", m.weights(4, 4))
    m.save(m.op("Where", m.op("Less", "input", m.constant(0.25)), m.vector(4), x))
    m = Model("not_a_number_guard", 1, 5)
    x = m.op("Softmax", "input", axis=-1)
    m.save(m.op("Where", m.op("IsNaN", x), m.constant(0.0), x))
    m = Model("max_of_activations", 1, 4)
    m.save(m.op("Max", "input", m.op("Neg", "input")))
    m = Model("min_of_activations", 1, 4)
    m.save(m.op("Min", "input", m.op("Gemm", "input", m.weights(4, 4), m.vector(4))))
    m = Model("clip_computed", 1, 4)
    m.inputs, m.shapes = ["input", "bound"], [[1, 4], []]
    m.save(m.op("Clip", "input", "bound"))
    m = Model("arg_min", 1, 3, 5)
    m.save(m.op("ArgMin", "input", axis=2, keepdims=0))
    for name, kind in [("min", "ReduceMin"), ("l1", "ReduceL1"), ("l2", "ReduceL2"), ("sum_square", "ReduceSumSquare"), ("prod", "ReduceProd")]:
        m = Model(f"reduce_{name}", 1, 3, 5)
        m.save(m.op(kind, "input", axes=[2], keepdims=1))


def further_forms():
    """Forms of layers and movement that exporters write."""
    m = Model("conv_wide_pads", 1, 2, 4, 5)
    x = m.conv("input", 2, 3, [1, 1], pads=[1, 2, 1, 2])
    m.save(m.conv(x, 3, 2, [2, 2], pads=[2, 2, 2, 2], strides=[2, 2]))
    m = Model("matmul_weights_of_each", 2, 3, 4)
    m.save(m.op("MatMul", "input", m.weights(2, 4, 5)))
    m = Model("matmul_weights_of_each_head", 1, 2, 3, 4)
    m.save(m.op("MatMul", m.op("Relu", "input"), m.weights(2, 4, 3)))
    m = Model("conv_depthwise_1100", 1, 1100, 1, 1)
    m.save(m.op("Relu", m.conv("input", 1100, 1100, [1, 1], group=1100)))
    m = Model("conv_computed_bias", 1, 4, 1, 1)
    x = m.op("Relu", m.op("Add", "input", m.constant(np.full((1, 4, 1, 1), 0.25))))
    m.save(m.op("Add", m.conv(x, 4, 4, [3, 3], pads=[1, 1, 1, 1]), x))
    m = Model("log_softmax", 1, 3, 6)
    m.save(m.op("LogSoftmax", m.op("Mul", "input", m.constant(3.0)), axis=-1))
    m = Model("softmax_of_an_image", 1, 5, 1, 1, opset=11)
    m.save(m.op("Softmax", m.op("Mul", "input", m.constant(2.0)), axis=1))
    m = Model("softmax_of_two_axes", 1, 2, 3, opset=11)
    m.save(m.op("Softmax", m.op("Mul", "input", m.constant(2.0)), axis=1))
    m = Model("gather_elements", 1, 2, 4)
    m.save(m.op("GatherElements", "input", m.constant([[[3, 0, 0], [1, 2, 2]]], np.int64), axis=2))
    m = Model("gather_nd", 3, 4)
    m.save(m.op("GatherND", "input", m.constant([[0, 1], [2, 3], [2, 0]], np.int64)))
    m = Model("scatter_nd", 1, 6, opset=16)
    m.save(m.op("ScatterND", "input", m.constant([[0, 1], [0, 4]], np.int64), m.constant([0.5, -0.25])))
    m = Model("scatter_elements", 1, 5, opset=16)
    x = m.op("Neg", m.op("Slice", "input", m.ints(0), m.ints(2), m.ints(1)))
    m.save(m.op("ScatterElements", "input", m.constant([[4, 1]], np.int64), x, axis=1))
    m = Model("group_normalization", 1, 4, 3, 3, opset=21)
    m.save(m.op("GroupNormalization", "input", m.vector(4, 0.5, 1.5), m.vector(4), num_groups=2))
    m = Model("lp_normalization", 1, 2, 5)
    m.save(m.op("LpNormalization", "input", axis=-1, p=2))
    m = Model("mean_variance_normalization", 1, 2, 3, 3)
    m.save(m.op("MeanVarianceNormalization", "input", axes=[2, 3]))
    m = Model("rms_normalization", 1, 3, 6, opset=23)
    m.save(m.op("RMSNormalization", "input", m.vector(6, 0.5, 1.5), axis=-1))
    m = Model("reduce_log_sum", 1, 2, 5)
    m.save(m.op("ReduceLogSum", m.op("Add", "input", m.constant(1.5)), axes=[2]))
    m = Model("reduce_log_sum_exp", 1, 2, 5)
    m.save(m.op("ReduceLogSumExp", "input", axes=[2]))
    m = Model("einsum", 1, 3, 4)
    m.save(m.op("Einsum", "input", m.weights(4, 5), equation="bij,jk->bik"))
    m = Model("trilu", 1, 4, 4, opset=14)
    m.save(m.op("Trilu", "input", upper=0))


def types():
    """Numbers of other types than 32-bit floats."""
    for name, kind in [("half", TensorProto.FLOAT16), ("double", TensorProto.DOUBLE)]:
        m = Model(f"type_{name}", 1, 4, indices=(kind, -3, 4))
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        weights = m.constant(m.random.uniform(-0.5, 0.5, (4, 3)), dtype)
        x = m.op("MatMul", "input", weights)
        m.save(m.op("Cast", m.op("Add", x, m.constant([0.5], dtype)), to=TensorProto.FLOAT))
    m = Model("type_truth", 1, 6, indices=(TensorProto.BOOL, 0, 2))
    m.save(m.op("Where", m.op("Not", "input"), m.constant(0.25), m.constant(-0.5)))
    m = Model("integer_arithmetic", 1, 4, indices=(TensorProto.INT64, 0, 4))
    m.save(m.op("Mul", m.op("Cast", "input", to=TensorProto.FLOAT), m.constant(0.5)))
    m = Model("integer_mask", 1, 5, indices=(TensorProto.INT64, 0, 2))
    x = m.op("Sub", m.constant(1.0), m.op("Cast", "input", to=TensorProto.FLOAT))
    m.save(m.op("Mul", x, m.constant(-3.0)))
    m = Model("truths_compared", 1, 4)
    low, high = m.op("Less", "input", m.constant(-0.3)), m.op("Greater", "input", m.constant(0.25))
    m.save(m.op("Cast", m.op("Equal", m.op("Equal", low, m.constant([True], bool)), high), to=TensorProto.FLOAT))
    m = Model("integer_quotients", 1, 6, indices=(TensorProto.INT32, -20, 20))
    shifted = m.op("Mul", "input", m.constant(2, np.int32))
    x = m.op("Add", m.op("Div", "input", m.constant(3, np.int32)), m.op("Div", shifted, m.constant(8, np.int32)))
    y = m.op("Mod", m.op("Add", "input", m.constant(1, np.int32)), m.constant(7, np.int32))
    m.save(m.op("Cast", x, to=TensorProto.FLOAT), m.op("Cast", y, to=TensorProto.FLOAT))
    m = Model("integer_quotient_of_64_bits", 1, 4, indices=(TensorProto.INT64, -9, 9))
    m.save(m.op("Cast", m.op("Div", "input", m.constant(4, np.int64)), to=TensorProto.FLOAT))
    m = Model("remainder", 1, 6)
    m.save(m.op("Mod", "input", m.constant(0.5), fmod=1))
    m = Model("cast_to_integer", 1, 4)
    x = m.op("Cast", m.op("Mul", "input", m.constant(3.0)), to=TensorProto.INT64)
    m.save(m.op("Cast", x, to=TensorProto.FLOAT))


def recurrent_layers():
    """RNN, GRU and LSTM of fixed length."""
    def weights(m, gates, inputs, hidden, directions=1, bias=True):
        w, r = m.weights(directions, gates * hidden, inputs), m.weights(directions, gates * hidden, hidden)
        return [w, r, m.constant(m.random.uniform(-0.5, 0.5, (directions, 2 * gates * hidden))) if bias else ""]

    m = Model("lstm", 3, 1, 3)
    m.save(*m.op("LSTM", "input", *weights(m, 4, 3, 4), hidden_size=4, outputs=3))
    # As PyTorch exports it: states of zeros, the batch first, and the last state.
    m = Model("lstm_exported", 1, 3, 3)
    x = m.op("Transpose", "input", perm=[1, 0, 2])
    batch = m.op("Gather", m.op("Shape", x), m.constant(1, np.int64), axis=0)
    size = m.op("Concat", m.ints(1), m.op("Unsqueeze", batch, m.ints(0)), m.ints(4), axis=0)
    zeros = m.op("Expand", m.constant(0.0), size)
    states = m.op("LSTM", x, *weights(m, 4, 3, 4), "", zeros, zeros, hidden_size=4, outputs=3)
    m.save(m.op("Gemm", m.op("Squeeze", states[1], m.ints(0)), m.weights(4, 2), m.vector(2)))
    m = Model("lstm_states_given", 2, 2, 3)
    m.inputs, m.shapes = ["input", "state", "cell"], [[2, 2, 3], [2, 2, 2], [2, 2, 2]]
    peepholes = m.weights(2, 6)
    lengths = m.constant([2, 2], np.int32)
    operands = [*weights(m, 4, 3, 2, 2, bias=False), lengths, "state", "cell", peepholes]
    y = m.op("LSTM", "input", *operands, hidden_size=2, direction="bidirectional", outputs=3)
    m.save(y[0], y[2])
    m = Model("lstm_functions", 3, 1, 3, opset=7)
    functions = dict(activations=["HardSigmoid", "Affine", "LeakyRelu"], activation_alpha=[0.3, 0.9, 0.1], activation_beta=[0.4, 0.1])
    m.save(m.op("LSTM", "input", *weights(m, 4, 3, 2), hidden_size=2, clip=0.6, input_forget=1, **functions, outputs=2)[1])
    m = Model("gru", 3, 2, 3)
    m.save(m.op("GRU", "input", *weights(m, 3, 3, 4), hidden_size=4, linear_before_reset=1, direction="reverse"))
    m = Model("gru_reset_first", 3, 1, 3)
    state = m.constant(m.random.uniform(-0.5, 0.5, (2, 1, 2)))
    operands = [*weights(m, 3, 3, 2, 2), "", state]
    m.save(*m.op("GRU", "input", *operands, hidden_size=2, direction="bidirectional", clip=0.7, outputs=2))
    m = Model("rnn_functions", 3, 1, 3)
    functions = dict(activations=["ScaledTanh", "Softsign"], activation_alpha=[0.8], activation_beta=[1.2])
    m.save(m.op("RNN", "input", *weights(m, 1, 3, 4, 2), hidden_size=4, direction="bidirectional", **functions))
    # The batch first, which onnxruntime does not compute.
    forms = {}
    for layout in (0, 1):
        m = Model("rnn_batch_first", 2, 3, 3, opset=14)
        m.inputs, m.shapes = ["input", "state"], [[2, 3, 3], [2, 2, 2]]
        first = lambda x, *perm: x if layout else m.op("Transpose", x, perm=perm)
        operands = [first("input", 1, 0, 2), *weights(m, 1, 3, 2, 2), "", first("state", 1, 0, 2)]
        y = m.op("RNN", *operands, hidden_size=2, direction="bidirectional", layout=layout, outputs=2)
        forms[layout] = m, [first(y[0], 2, 0, 1, 3), first(y[1], 1, 0, 2)]
    m, outputs = forms[1]
    m.save(*outputs, reference=forms[0])


def loops():
    """Choices and loops that are written out."""
    def graph(name, m, nodes, inputs, outputs, constants=()):
        value = lambda n, kind=None: helper.make_tensor_value_info(n, kind or TensorProto.FLOAT, [] if kind else None)
        inputs = [value(*i) if isinstance(i, tuple) else value(i) for i in inputs]
        outputs = [value(*o) if isinstance(o, tuple) else value(o) for o in outputs]
        return helper.make_graph(nodes, name, inputs, outputs, constants)

    constant = lambda name, values: numpy_helper.from_array(np.asarray(values, np.float32), name)
    m = Model("if_nested", 1, 4)
    x = m.op("Gemm", "input", m.weights(4, 4), m.vector(4))
    wide = m.op("Equal", m.op("Gather", m.op("Shape", x), m.constant(1, np.int64), axis=0), m.constant(4, np.int64))
    narrow = m.op("Not", wide)
    taken = graph("taken", m, [helper.make_node("Mul", [x, "w"], ["b"], name="scale")], [], ["b"], [constant("w", [0.5, 2, -1, 1])])
    left = graph("left", m, [helper.make_node("Sigmoid", [x], ["b"], name="curve")], [], ["b"])
    other = graph("other", m, [helper.make_node("RandomNormalLike", [x], ["a"], name="unknown")], [], ["a"])
    outer = [helper.make_node("If", [narrow], ["c"], name="inner", then_branch=left, else_branch=taken),
             helper.make_node("Add", ["c", "input"], ["a"], name="sum")]
    m.save(m.op("If", wide, then_branch=graph("outer", m, outer, [], ["a"]), else_branch=other))
    m = Model("loop_steps", 1, 3)
    whole, truth = TensorProto.INT64, TensorProto.BOOL
    body = [
        helper.make_node("Identity", ["go"], ["goes"], name="condition"),
        helper.make_node("Cast", ["i"], ["number"], name="number", to=TensorProto.FLOAT),
        helper.make_node("Gemm", ["state", "w"], ["product"], name="product"),
        helper.make_node("Add", ["product", "number"], ["next"], name="next"),
        helper.make_node("Relu", ["next"], ["kept"], name="kept"),
    ]
    w = constant("w", m.random.uniform(-0.5, 0.5, (3, 3)))
    body = graph("body", m, body, [("i", whole), ("go", truth), "state"], [("goes", truth), "next", "kept"], [w])
    m.save(*m.op("Loop", m.constant(3, np.int64), m.constant(True, bool), "input", body=body, outputs=2))
    m = Model("scan_steps", 3, 2)
    m.inputs, m.shapes = ["input", "start", "other"], [[3, 2], [2], [2, 3]]
    body = [helper.make_node("Add", ["a", "b"], ["c"], name="sum"), helper.make_node("Mul", ["s", "c"], ["n"], name="product"),
            helper.make_node("Sub", ["n", "a"], ["y"], name="difference")]
    body = graph("body", m, body, ["s", "a", "b"], ["n", "y"])
    axes = dict(scan_input_axes=[0, 1], scan_input_directions=[0, 1], scan_output_axes=[1], scan_output_directions=[1])
    m.save(*m.op("Scan", "start", "input", "other", body=body, num_scan_inputs=2, outputs=2, **axes))


def cumulative_sums():
    m = Model("cum_sum", 2, 5)
    m.save(m.op("CumSum", "input", m.constant(1, np.int64)))
    m = Model("cum_sum_axis_in_a_vector", 1, 3)
    m.save(m.op("CumSum", "input", m.ints(1)))
    m = Model("cum_sum_reverse", 1, 3, 2)
    x = m.op("MatMul", "input", m.weights(2, 3))
    before = m.op("CumSum", x, m.constant(-2, np.int64), exclusive=1)
    m.save(m.op("Add", before, m.op("CumSum", x, m.constant(1, np.int32), reverse=1)))
    m = Model("cum_sum_of_integers", 1, 5, indices=(TensorProto.INT64, 0, 2))
    m.save(m.op("Cast", m.op("CumSum", "input", m.constant(1, np.int64)), to=TensorProto.FLOAT))


def folded_constants():
    """Operators whose result is a constant, whatever they are."""
    m = Model("positions_by_non_zero", 1, 4, 3)
    length = m.op("Gather", m.op("Shape", "input"), m.constant(1, np.int64), axis=0)
    ones = m.op("ConstantOfShape", m.op("Unsqueeze", length, m.ints(0)), value=helper.make_tensor("one", TensorProto.INT64, [1], [1]))
    places = m.op("Squeeze", m.op("Transpose", m.op("NonZero", ones), perm=[1, 0]), m.ints(1))
    counted = m.op("Sub", m.op("CumSum", ones, m.constant(0, np.int64)), ones)
    other = m.op("Range", m.constant(0, np.int64), length, m.constant(1, np.int64))
    x = m.op("Add", "input", m.op("Gather", m.weights(4, 3), m.op("Unsqueeze", places, m.ints(0))))
    x = m.op("Add", x, m.op("Gather", m.weights(4, 3), m.op("Add", counted, m.op("Mod", other, m.ints(1)))))
    m.save(x)
    m = Model("diagonal_by_zeros_of_a_shape", 1, 3, 3)
    ones = m.op("EyeLike", m.op("ConstantOfShape", m.ints(3, 3)))
    m.save(m.op("ReduceSum", m.op("Mul", "input", ones), m.ints(1), keepdims=0))
    m = Model("constants_chosen", 1, 4)
    _, greatest = m.op("TopK", m.constant(m.random.permutation(6)), m.ints(3), axis=0, outputs=2)
    table = m.op("Compress", m.weights(8, 4), m.constant(np.arange(8) % 4 != 3, bool), axis=0)
    m.save(m.op("MatMul", "input", m.op("Transpose", m.op("Gather", table, greatest), perm=[1, 0])))
    m = Model("tile_computed", 1, 3)
    x = m.op("Gemm", "input", m.weights(3, 2), m.vector(2))
    m.save(m.op("Tile", x, m.op("Concat", m.op("Shape", x), axis=0)))
    m = Model("tile_rows", 1, 6)
    m.save(m.op("Gemm", m.op("Tile", "input", m.ints(3, 1)), m.weights(4, 6), m.vector(4), transB=1))
    m = Model("expand_rows", 1, 6)
    m.save(m.op("Gemm", m.op("Expand", "input", m.ints(3, 6)), m.weights(4, 6), m.vector(4), transB=1))
    m = Model("expand_summed", 2, 1)
    m.save(m.op("MatMul", m.op("Expand", m.op("Relu", "input"), m.ints(2, 4)), m.weights(4, 3)))


def old_versions():
    """The forms of operators before opset 9."""
    for opset in (7, 8):
        m = Model(f"opset_{opset}", 1, 2, 6, 6, opset=opset)
        x = m.op("Pad", "input", pads=[0, 0, 1, 0, 0, 0, 0, 1], mode="constant", value=0.25)
        x = m.op("Clip", m.batch_norm(m.conv(x, 2, 3, [2, 2]), 3), min=0.0, max=0.75)
        x = m.op("Slice", m.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), axes=[2, 3], starts=[0, 1], ends=[2, 3])
        a, b = m.op("Split", m.op("Dropout", m.op("Flatten", x), ratio=0.5), axis=1, split=[5, 7], outputs=2)
        a = m.op("Squeeze", m.op("Unsqueeze", m.op("Gemm", a, m.weights(5, 4), m.vector(4)), axes=[0]), axes=[0])
        b = m.op("Softmax", m.op("Gemm", b, m.weights(7, 4), m.vector(4)), axis=1)
        m.save(m.op("Add", m.op("Sum", a, b), m.op("ReduceSum", a, axes=[1], keepdims=1)))


class Quantised(Model):
    """A model of integers. Its JSON has `unit` too: what one step of the output's integers stands for."""

    def integers(self, values, dtype=np.int8):
        return self.constant(values, dtype)

    def random_weights(self, *shape, dtype=np.int8):
        info = np.iinfo(dtype)
        return self.integers(self.random.randint(info.min // 2, info.max // 2, shape), dtype)

    def scales(self, *values):
        return self.constant(values if len(values) > 1 else values[0])

    def zero(self, value, dtype=np.uint8):
        return self.constant(value, dtype)

    def pair(self, x, scale, zero, dtype=np.uint8):
        """QuantizeLinear and DequantizeLinear."""
        operands = [self.scales(scale), self.zero(zero, dtype)]
        return self.op("DequantizeLinear", self.op("QuantizeLinear", x, *operands), *operands)

    def save_integers(self, output, unit):
        global FOLDER
        ops = FOLDER
        FOLDER = ops.parent / "quantised"
        FOLDER.mkdir(exist_ok=True)
        self.save(output)
        path = FOLDER / f"{self.name}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "unit": unit}) + "\n")
        self.save_samples(output)
        FOLDER = ops

    def save_samples(self, output):
        """NAME.samples.json: outputs of onnxruntime for many inputs, some of them beyond the scales."""
        # What the operators say: as an optimisation onnxruntime rounds the operands of weights that are quantised alone.
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        path = str(FOLDER / f"{self.name}.onnx")
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        xs = [self.random.uniform(-1.5, 1.5, self.shapes[0]).astype(np.float32) for _ in range(40)]
        ys = [session.run([output], {"input": x})[0] for x in xs]
        flat = lambda tensors: [[round(float(v), 7) for v in t.reshape(-1)] for t in tensors]
        (FOLDER / f"{self.name}.samples.json").write_text(json.dumps({"inputs": flat(xs), "outputs": flat(ys)}) + "\n")


def quantised():
    """Models that are quantised already: as pairs, as operators on integers, and with scales that are found by running."""
    m = Quantised("qdq_conv", 1, 2, 6, 6)
    x = m.pair("input", 1 / 100, 128)
    w = m.op("DequantizeLinear", m.random_weights(3, 2, 3, 3), m.scales(0.002, 0.003, 0.004), m.integers([0, 0, 0]), axis=0)
    b = m.op("DequantizeLinear", m.integers([40, -50, 60], np.int32), m.scales(1 / 1000), m.integers(0, np.int32))
    x = m.pair(m.op("Relu", m.op("Conv", x, w, b, kernel_shape=[3, 3])), 1 / 90, 0)
    m.save_integers(m.pair(m.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), 1 / 90, 0), 1 / 90)
    m = Quantised("qdq_residual", 1, 3, 8, 8)
    x = m.pair("input", 1 / 100, 128)
    conv = lambda x, c_in, c_out, scale: m.op("Conv", x, m.op("DequantizeLinear", m.random_weights(c_out, c_in, 3, 3), m.scales(scale), m.integers(0)), pads=[1] * 4, kernel_shape=[3, 3])
    x = m.pair(m.op("Relu", conv(x, 3, 6, 0.003)), 1 / 110, 0)
    y = m.pair(conv(x, 6, 6, 0.0016), 1 / 70, 120)
    y = m.pair(m.op("Relu", m.op("Add", x, y)), 1 / 80, 0)
    y = m.pair(m.op("GlobalAveragePool", y), 1 / 160, 0)
    w = m.op("DequantizeLinear", m.random_weights(6, 4), m.scales(0.008), m.integers(0))
    y = m.pair(m.op("Gemm", m.op("Flatten", y), w, m.vector(4)), 1 / 60, 128)
    m.save_integers(m.pair(m.op("Sigmoid", y), 1 / 256, 0), 1 / 256)
    m = Quantised("qdq_gemm", 1, 8)
    x = m.pair("input", 1 / 120, 0, np.int8)
    w = m.op("DequantizeLinear", m.random_weights(8, 5), m.scales(0.006), m.integers(0))
    m.save_integers(m.pair(m.op("Gemm", x, w, m.vector(5)), 1 / 60, 3, np.int8), 1 / 60)
    m = Quantised("qdq_weights_alone", 1, 3, 8)
    w = m.op("DequantizeLinear", m.random_weights(8, 4), m.scales(0.01, 0.008, 0.006, 0.004), m.integers([1, 0, -2, 3]), axis=1)
    m.save_integers(m.op("MatMul", "input", w), 1 / 100)
    m = Quantised("qlinear_conv", 1, 2, 5, 5)
    unit = lambda scale, zero, dtype=np.uint8: [m.scales(scale), m.zero(zero, dtype)]
    x = m.op("QuantizeLinear", "input", *unit(1 / 100, 128))
    w = [m.random_weights(4, 2, 3, 3), m.scales(0.002, 0.003, 0.004, 0.0025), m.integers([0, 0, 0, 0])]
    bias = m.integers([900, -800, 700, 0], np.int32)
    x = m.op("QLinearConv", x, *unit(1 / 100, 128), *w, *unit(1 / 70, 120), bias, kernel_shape=[3, 3])
    x = m.op("Reshape", x, m.ints(1, 36))
    x = m.op("QLinearMatMul", x, *unit(1 / 70, 120), m.random_weights(36, 3, dtype=np.uint8), *unit(0.002, 100), *unit(1 / 40, 130))
    m.save_integers(m.op("DequantizeLinear", x, *unit(1 / 40, 130)), 1 / 40)
    m = Quantised("dynamic_matmul", 1, 3, 8)
    x, scale, zero = m.op("DynamicQuantizeLinear", "input", outputs=3)
    x = m.op("Cast", m.op("MatMulInteger", x, m.random_weights(8, 4), zero, m.integers(0)), to=TensorProto.FLOAT)
    m.save_integers(m.op("Add", m.op("Mul", x, m.op("Mul", scale, m.scales(0.004))), m.vector(4)), 1 / 60)


def interpolations():
    """Resize and Upsample between elements."""
    forms = {
        "resize_linear": dict(scales=[2, 2]),
        "resize_linear_uneven": dict(scales=[1.4, 0.7], coordinate_transformation_mode="asymmetric"),
        "resize_linear_align_corners": dict(sizes=[5, 7], coordinate_transformation_mode="align_corners"),
        "resize_linear_pytorch": dict(sizes=[1, 8], coordinate_transformation_mode="pytorch_half_pixel"),
        "resize_cubic": dict(scales=[2, 2], mode="cubic"),
        "resize_cubic_excluded": dict(scales=[2, 1.3], mode="cubic", exclude_outside=1, cubic_coeff_a=-0.5),
        "resize_cubic_symmetric": dict(scales=[0.7, 1.4], mode="cubic", coordinate_transformation_mode="half_pixel_symmetric"),
        "resize_antialias": dict(scales=[0.5, 0.6], antialias=1),
        "resize_antialias_cubic": dict(sizes=[2, 9], mode="cubic", antialias=1, exclude_outside=1),
    }
    for name, attributes in forms.items():
        m = Model(name, 1, 2, 4, 4, opset=19)
        scales, sizes = attributes.pop("scales", None), attributes.pop("sizes", None)
        operands = [m.constant([1, 1, *scales])] if scales else ["", m.ints(1, 2, *sizes)]
        m.save(m.op("Resize", "input", "", *operands, **{"mode": "linear", **attributes}))
    m = Model("resize_some_axes", 1, 2, 3, 4, opset=18)
    m.save(m.op("Resize", "input", "", "", m.ints(7, 6), axes=[3, 2], mode="linear", keep_aspect_ratio_policy="not_larger"))
    m = Model("resize_to_a_shape", 1, 2, 3, 4)
    sizes = m.op("Concat", m.op("Slice", m.op("Shape", "input"), m.ints(0), m.ints(3)), m.ints(7), axis=0)
    m.save(m.op("Resize", "input", "", m.constant([]), sizes, mode="linear"))
    m = Model("resize_upsample_linear", 1, 1, 2, 3, opset=9)
    m.save(m.op("Upsample", "input", m.constant([1, 1, 2, 3]), mode="linear"))
    m = Model("resize_upsample_nearest", 1, 2, 2, 3, opset=7)
    m.save(m.op("Upsample", "input", mode="nearest", scales=[1.0, 1.0, 3.0, 2.0]))


def negatives():
    m = Model("multiply_negated", 1, 6)
    x = m.op("Neg", m.op("Mul", "input", m.op("Gemm", "input", m.weights(6, 6))))
    m.save(m.op("Mul", x, m.op("Neg", "input")))


def volumes():
    """Windows over three axes of space."""
    m = Model("conv_3d", 2, 2, 3, 4, 4)
    m.save(m.conv("input", 2, 3, [2, 3, 2], pads=[1, 1, 0, 0, 1, 1]))
    m = Model("conv_3d_strides", 1, 4, 5, 3, 4)
    m.save(m.op("Relu", m.conv("input", 4, 4, [2, 2, 2], group=2, strides=[2, 1, 2], dilations=[2, 1, 1])))
    m = Model("max_pool_3d", 1, 2, 4, 4, 4)
    m.save(m.op("MaxPool", "input", kernel_shape=[2, 2, 3], strides=[2, 1, 1], pads=[0, 1, 1, 0, 0, 1]))
    m = Model("average_pool_3d", 1, 2, 3, 4, 4)
    m.save(m.op("AveragePool", "input", kernel_shape=[2, 3, 2], pads=[1, 1, 0, 0, 1, 1]))
    for name, size, alpha, beta, bias in [("lrn", 3, 1e-4, 0.75, 1.0), ("lrn_wide", 7, 2.5, 0.5, 0.75)]:
        m = Model(name, 1, 5, 2, 3)
        m.save(m.op("LRN", "input", size=size, alpha=alpha, beta=beta, bias=bias))


def positions():
    """Elements that are found, counted or chosen by numbers that are computed."""
    m = Model("hardmax", 2, 3, 4)
    m.save(m.op("Hardmax", "input", axis=1))
    m = Model("hardmax_of_two_axes", 1, 2, 3, opset=11)
    m.save(m.op("Hardmax", "input", axis=1))
    m = Model("one_hot_of_an_input", 2, 3, indices=(TensorProto.INT64, -4, 4))
    m.save(m.op("OneHot", "input", m.constant(4, np.int64), m.written(-0.5, 2.0), axis=1))
    m = Model("one_hot_of_a_maximum", 2, 5)
    m.save(m.op("OneHot", m.op("ArgMax", "input", axis=1, keepdims=0), m.constant(5, np.int64), m.written(0.0, 1.0)))
    m = Model("gather_computed", 1, 3, 4)
    m.save(m.op("Gather", "input", m.op("ArgMax", "input", axis=2, keepdims=0), axis=2))
    m = Model("gather_computed_from_table", 1, 5)
    m.save(m.op("Gather", m.weights(5, 3), m.op("ArgMax", "input", axis=1, keepdims=0)))
    m = Model("gather_computed_from_end", 1, 4)
    x = m.op("Cast", m.op("Mul", "input", m.constant(3.0)), to=TensorProto.INT64)
    m.save(m.op("Gather", m.weights(2, 4), x, axis=1))
    m = Model("gather_at_an_input", 1, 4, 3)
    m.inputs, m.shapes, m.kinds = ["input", "at"], [[1, 4, 3], [2]], {"at": (TensorProto.INT64, 0, 4)}
    m.save(m.op("Gather", m.op("MatMul", "input", m.weights(3, 3)), "at", axis=1))
    m = Model("gather_elements_computed", 2, 3, 2)
    m.save(m.op("GatherElements", m.op("Neg", "input"), m.op("ArgMax", "input", axis=1), axis=1))
    m = Model("gather_elements_from_table", 1, 4)
    m.save(m.op("GatherElements", m.weights(1, 4), m.op("ArgMin", "input", axis=1), axis=1))
    m = Model("gather_nd_computed", 3, 4)
    first, second = m.op("ArgMax", "input", axis=0), m.op("ArgMin", "input", axis=0)
    x = m.op("Transpose", m.op("Concat", first, m.op("Slice", second, m.ints(0), m.ints(4)), axis=0), perm=[1, 0])
    m.save(m.op("GatherND", m.weights(3, 3, 2), x))
    m = Model("scatter_elements_computed", 2, 4, opset=16)
    m.save(m.op("ScatterElements", "input", m.op("ArgMax", "input", axis=1), m.constant([[0.75], [-0.5]]), axis=1))
    m = Model("top_k", 1, 6)
    m.save(*m.op("TopK", m.op("Gemm", "input", m.weights(6, 6)), m.ints(3), outputs=2))
    m = Model("top_k_least", 4, 2)
    m.save(*m.op("TopK", "input", m.ints(2), axis=0, largest=0, outputs=2))
    m = Model("top_k_one", 2, 5)
    m.save(*m.op("TopK", "input", m.ints(1), outputs=2))
    m = Model("top_k_router", 3, 4)
    # Two of four experts, and what they are weighted by.
    scores = m.op("MatMul", "input", m.weights(4, 4))
    values, indices = m.op("TopK", scores, m.ints(2), outputs=2)
    shares = m.op("ScatterElements", m.constant(np.zeros((3, 4))), indices, m.op("Softmax", values, axis=-1), axis=1)
    m.save(m.op("MatMul", shares, m.weights(4, 2)))


def attention_operators():
    """Attention and RotaryEmbedding of opset 23."""
    m = Model("attention_causal", 1, 4, 3, 4, opset=23)
    m.inputs, m.shapes = ["query", "key", "value"], [[1, 4, 3, 4], [1, 2, 5, 4], [1, 2, 5, 3]]
    m.save(m.op("Attention", "query", "key", "value", is_causal=1))
    m = Model("attention_softcap", 1, 3, 8, opset=23)
    x = [m.op("MatMul", "input", m.weights(8, n)) for n in (8, 4, 4)]
    mask = m.constant([[0, -0.5, 0.25], [1, 0, -1e9], [0, 0, 0]])
    m.save(m.op("Attention", *x, mask, q_num_heads=4, kv_num_heads=2, scale=0.75, softcap=0.5))
    m = Model("attention_truth_mask", 2, 3, 4, opset=23)
    mask = m.constant([[True, False, True], [True, True, True], [False, True, True]], bool)
    m.save(m.op("Attention", "input", "input", "input", mask, q_num_heads=2, kv_num_heads=2))
    m = Model("attention_mask_at_an_input", 1, 2, 3, 4, opset=23)
    m.inputs, m.shapes, m.kinds = ["input", "mask"], [[1, 2, 3, 4], [3, 3]], {"mask": (TensorProto.BOOL, 0, 2)}
    mask = m.op("Or", "mask", m.constant(np.eye(3), bool))
    m.save(m.op("Attention", "input", "input", "input", mask, is_causal=1))
    m = Model("attention_past", 1, 2, 2, 3, opset=23)
    m.inputs, m.shapes = ["input", "key", "value"], [[1, 2, 2, 3], [1, 2, 2, 3], [1, 2, 2, 3]]
    mask = m.constant([[0, 0.5, 0, -np.inf], [0, 0, 0.25, 0]])
    x = m.op("Neg", "input")
    m.save(*m.op("Attention", "input", x, x, mask, "key", "value", is_causal=1, outputs=3))
    m = Model("rotary_embedding", 1, 2, 3, 4, opset=23)
    m.save(m.op("RotaryEmbedding", "input", m.weights(1, 3, 2), m.weights(1, 3, 2)))
    m = Model("rotary_embedding_interleaved", 1, 3, 12, opset=23)
    m.save(m.op("RotaryEmbedding", "input", m.weights(1, 3, 3), m.weights(1, 3, 3), num_heads=2, interleaved=1))
    m = Model("rotary_embedding_at_positions", 1, 3, 12, opset=23)
    m.inputs, m.shapes, m.kinds = ["input", "positions"], [[1, 3, 12], [1, 3]], {"positions": (TensorProto.INT64, 0, 7)}
    operands = ["input", m.weights(7, 2), m.weights(7, 2), "positions"]
    m.save(m.op("RotaryEmbedding", *operands, num_heads=2, rotary_embedding_dim=4))


# A tree as feature, threshold, what is done at most, what above; or the values of a leaf.
TREES = [
    (0, 0.125, (1, -0.25, [0.5, 0.25, 0.25], [0, 0.75, 0.25]), (2, 0.375, (1, 0.5, [0.125, 0.5, 0.375], [1, 0, 0]), [0, 0, 1])),
    (2, -0.0625, [0.25, 0.625, 0.125], (0, -0.5, [0, 0.5, 0.5], [0.75, 0.125, 0.125])),
]


def listed(trees, values):
    """The attributes of trees: those of nodes, and the leaves' values for the results given."""
    nodes = {key: [] for key in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    leaves = {key: [] for key in ("treeids", "nodeids", "ids", "weights")}

    def walk(tree, number, node):
        place = len(nodes["nodeids"])
        is_leaf = isinstance(node, list)
        feature, threshold = (0, 0.0) if is_leaf else node[:2]
        own = (tree, number, feature, float(threshold), "LEAF" if is_leaf else "BRANCH_LEQ", 0, 0)
        for key, value in zip(nodes, own):
            nodes[key].append(value)
        if is_leaf:
            for result in values:
                for key, value in zip(leaves, (tree, number, result, float(node[result]))):
                    leaves[key].append(value)
            return number + 1
        nodes["truenodeids"][place] = number + 1
        nodes["falsenodeids"][place] = walk(tree, number + 1, node[2])
        return walk(tree, nodes["falsenodeids"][place], node[3])

    for number, tree in enumerate(trees):
        walk(number, 0, tree)
    return {f"nodes_{key}": value for key, value in nodes.items()}, leaves


def learners():
    """Trees and linear models of ai.onnx.ml."""
    m = Model("trees_regressor", 3, 3)
    nodes, leaves = listed(TREES, [0, 2])
    leaves["ids"] = [result // 2 for result in leaves["ids"]]
    leaves = {f"target_{key}": value for key, value in leaves.items()}
    m.save(m.op("TreeEnsembleRegressor", "input", domain=LEARNERS, n_targets=2, aggregate_function="AVERAGE", base_values=[0.5, -0.25], **nodes, **leaves))
    m = Model("trees_classifier", 3, 3)
    nodes, leaves = listed(TREES, [0, 1, 2])
    leaves = {f"class_{key}": value for key, value in leaves.items()}
    m.save(*m.op("TreeEnsembleClassifier", "input", domain=LEARNERS, outputs=2, classlabels_int64s=[3, 5, 8], **nodes, **leaves))
    m = Model("trees_margin", 3, 3)
    nodes, leaves = listed(TREES, [0])
    # As boosted trees are: one margin for two classes, and conditions the other way round.
    leaves["weights"] = [weight - 0.5 for weight in leaves["weights"]]
    nodes["nodes_modes"] = [mode.replace("LEQ", "GTE") for mode in nodes["nodes_modes"]]
    leaves = {f"class_{key}": value for key, value in leaves.items()}
    attributes = dict(classlabels_int64s=[0, 1], post_transform="LOGISTIC", base_values=[0.125])
    m.save(*m.op("TreeEnsembleClassifier", "input", domain=LEARNERS, outputs=2, **attributes, **nodes, **leaves))
    m = Model("linear_classifier", 2, 3)
    x = m.op("Scaler", "input", domain=LEARNERS, offset=[0.25, -0.5, 0.125], scale=[1.5, 0.75, 2.0])
    coefficients = [float(c) for c in m.random.uniform(-1, 1, 9)]
    attributes = dict(coefficients=coefficients, intercepts=[0.25, 0.0, -0.25], classlabels_ints=[0, 1, 2])
    m.save(*m.op("LinearClassifier", x, domain=LEARNERS, outputs=2, post_transform="SOFTMAX", **attributes))
    m = Model("linear_classifier_of_two", 3, 2)
    attributes = dict(coefficients=[0.75, -0.5], intercepts=[0.125], classlabels_ints=[2, 7])
    m.save(*m.op("LinearClassifier", "input", domain=LEARNERS, outputs=2, post_transform="LOGISTIC", **attributes))
    m = Model("linear_regressor", 1, 3)
    x = m.op("Normalizer", m.op("Add", "input", m.constant(2.0)), domain=LEARNERS, norm="L1")
    x = m.op("Normalizer", x, domain=LEARNERS, norm="L2")
    m.save(m.op("LinearRegressor", x, domain=LEARNERS, coefficients=[0.5, -1.25, 2.0], intercepts=[0.375], targets=1))


def tensor_trees():
    """The trees as products and as steps from node to node, which are the ways of compilers that write them as tensors."""
    thresholds = [(feature, threshold) for feature, threshold in [(0, 0.125), (1, -0.25), (2, 0.375), (1, 0.5)]]
    values = [[0.5, 0.25, 0.25], [0, 0.75, 0.25], [0.125, 0.5, 0.375], [1, 0, 0], [0, 0, 1]]
    paths = [[1, 1, 0, 0], [1, -1, 0, 0], [-1, 0, 1, 1], [-1, 0, 1, -1], [-1, 0, -1, 0]]
    m = Model("trees_by_products", 3, 3)
    taken = np.zeros((3, 4))
    for place, (feature, _) in enumerate(thresholds):
        taken[feature, place] = 1
    x = m.op("LessOrEqual", m.op("MatMul", "input", m.constant(taken)), m.constant([t for _, t in thresholds]))
    x = m.op("MatMul", m.op("Cast", x, to=TensorProto.FLOAT), m.constant(np.transpose(paths)))
    wanted = [float(sum(step > 0 for step in path)) for path in paths]
    x = m.op("Cast", m.op("Equal", x, m.constant(wanted)), to=TensorProto.FLOAT)
    m.save(m.op("MatMul", x, m.constant(values)))
    # Nodes 0 to 3 are conditions, the others leaves, which are their own next nodes.
    features, limits = [0, 1, 2, 1, 0, 0, 0, 0, 0], [t for _, t in thresholds] + [0.0] * 5
    left, right = [1, 4, 3, 6, 4, 5, 6, 7, 8], [2, 5, 8, 7, 4, 5, 6, 7, 8]
    m = Model("trees_by_steps", 2, 3)
    constants = [m.constant(values, kind) for values, kind in [(features, np.int64), (limits, np.float32), (left, np.int64), (right, np.int64)]]
    node = m.constant([0, 0], np.int64)
    for _ in range(3):
        feature, limit, below, above = (m.op("Gather", constant, node, axis=0) for constant in constants)
        value = m.op("GatherElements", "input", m.op("Unsqueeze", feature, m.ints(1)), axis=1)
        goes = m.op("LessOrEqual", m.op("Squeeze", value, m.ints(1)), limit)
        node = m.op("Where", goes, below, above)
    m.save(m.op("Gather", m.constant([[0, 0, 0]] * 4 + values), node, axis=0))
    # A perfect tree: each step doubles the number.
    m = Model("trees_by_halves", 2, 3)
    node = m.op("Cast", m.op("Greater", m.op("Gather", "input", m.constant([1], np.int64), axis=1), m.constant([0.125])), to=TensorProto.INT64)
    node = m.op("Reshape", node, m.ints(-1))
    feature = m.op("Gather", m.constant([0, 2], np.int64), node)
    limit = m.op("Gather", m.constant([-0.25, 0.375]), node)
    value = m.op("Reshape", m.op("GatherElements", "input", m.op("Reshape", feature, m.ints(-1, 1)), axis=1), m.ints(-1))
    goes = m.op("Cast", m.op("Greater", value, limit), to=TensorProto.INT64)
    node = m.op("Add", m.op("Mul", m.constant([2], np.int64), node), goes)
    m.save(m.op("Gather", m.weights(4, 2), node))


def numbers_that_span_decades():
    for name, kind, least, most in (("log", "Log", 1e-4, 1e3), ("reciprocal", "Reciprocal", 0.01, 20), ("root", "Sqrt", 1e-5, 9)):
        m = Model(f"wide_{name}", 1, 8)
        m.decades["input"] = least, most
        m.save(m.op(kind, "input"))
    m = Model("wide_quotient", 1, 8)
    m.inputs.append("divisor")
    m.shapes.append([1, 8])
    m.decades["divisor"] = 0.01, 20
    m.save(m.op("Div", "input", "divisor"))
    m = Model("wide_power", 1, 8)
    m.decades["input"] = -5, -0.02
    m.save(m.op("Pow", m.op("Mul", "input", m.written(-0.5)), m.written(-1.5)))
    m = Model("wide_rows", 4, 8, opset=17)
    x = m.op("Mul", "input", m.constant([[1.0], [0.1], [0.3], [1.0]]))
    m.save(m.op("LayerNormalization", x, m.vector(8, 0.8, 1.2), m.vector(8), axis=-1))


def tokens():
    """Masks and positions that are computed of a model's inputs, as exporters of language models write them."""
    m = Model("mask_of_tokens", 1, 3, 4)
    m.inputs, m.shapes, m.kinds = ["input", "mask"], [[1, 3, 4], [1, 3]], {"mask": (TensorProto.INT64, 0, 2)}
    # What each token sees besides itself, as a summand of every layer's scores.
    seen = m.op("Unsqueeze", m.op("Cast", "mask", to=TensorProto.BOOL), m.ints(1))
    seen = m.op("Or", seen, m.constant(np.eye(3), bool))
    mask = m.op("Where", seen, m.constant(0.0), m.constant(-np.inf))
    x = "input"
    for _ in range(2):
        scores = m.op("MatMul", m.op("MatMul", x, m.weights(4, 4)), m.op("Transpose", x, perm=[0, 2, 1]))
        shares = m.op("Softmax", m.op("Add", scores, mask), axis=-1)
        x = m.op("MatMul", m.op("Where", m.op("IsNaN", shares), m.constant(0.0), shares), x)
    m.save(x)
    m = Model("mask_of_tokens_scaled", 1, 3, 4)
    m.inputs, m.shapes, m.kinds = ["input", "mask"], [[1, 3, 4], [1, 2]], {"mask": (TensorProto.INT64, 0, 2)}
    # The first token is always there.
    mask = m.op("Concat", m.constant([[1.0]]), m.op("Cast", "mask", to=TensorProto.FLOAT), axis=1)
    mask = m.op("Unsqueeze", m.op("Sub", m.constant(1.0), mask), m.ints(1))
    mask = m.op("Mul", mask, m.constant(np.finfo(np.float32).min))
    scores = m.op("MatMul", "input", m.op("Transpose", "input", perm=[0, 2, 1]))
    m.save(m.op("MatMul", m.op("Softmax", m.op("Add", scores, mask), axis=-1), "input"))
    m = Model("mask_of_scores", 1, 3, 4)
    m.inputs, m.shapes, m.kinds = ["input", "mask"], [[1, 3, 4], [1, 3]], {"mask": (TensorProto.BOOL, 0, 2)}
    # Scores or the least float, under other axes before the softmax.
    seen = m.op("Or", m.op("Unsqueeze", "mask", m.ints(1)), m.constant(np.eye(3), bool))
    scores = m.op("MatMul", "input", m.op("Transpose", "input", perm=[0, 2, 1]))
    scores = m.op("Where", seen, scores, m.constant(np.finfo(np.float32).min))
    shares = m.op("Softmax", m.op("Reshape", scores, m.ints(1, 1, 3, 3)), axis=-1)
    m.save(m.op("MatMul", m.op("Squeeze", shares, m.ints(1)), "input"))
    m = Model("tokens_counted", 1, 4, indices=(TensorProto.INT64, 0, 3))
    counted = m.op("Cast", m.op("Not", m.op("Equal", "input", m.constant(1, np.int64))), to=TensorProto.INT64)
    places = m.op("Mul", m.op("CumSum", counted, m.constant(1, np.int64)), counted)
    places = m.op("Add", places, m.constant(1, np.int64))
    kinds = m.op("GatherElements", m.constant(np.zeros((1, 6)), np.int64), places, axis=1)
    x = m.op("Add", m.op("Gather", m.weights(3, 4), "input"), m.op("Gather", m.weights(2, 4), kinds))
    m.save(m.op("Add", x, m.op("Gather", m.weights(6, 4), places)))
    m = Model("tokens_compared", 1, 4, indices=(TensorProto.INT32, 0, 5))
    table, number = m.op("Gather", m.weights(5, 3), "input"), m.op("Cast", "input", to=TensorProto.FLOAT)
    x = m.op("Add", table, m.op("Unsqueeze", m.op("Mul", number, m.constant(0.25)), m.ints(2)))
    kept = m.op("Greater", m.constant(3, np.int32), m.op("Unsqueeze", "input", m.ints(2)))
    m.save(m.op("Where", kept, x, m.constant(-0.5)))


def refused():
    (FOLDER / "refused").mkdir(exist_ok=True)
    m = Model("unknown", 1, 4)
    m.refuse(m.op("Frobnicate", "input", domain="test"))
    m = Model("several_unknown", 3, 1, 4)
    x = m.op("Relu", m.op("Frobnicate", "input", domain="test"))
    x = m.op("LSTM", x, m.weights(1, 8, 4), m.weights(1, 8, 2), hidden_size=2)
    m.refuse(m.op("Fold", x, domain="test"))
    m = Model("several_forms", 1, 4)
    x = m.op("Pow", m.op("Relu", "input"), m.constant(2.87))
    y = m.op("Pow", "input", m.constant(1.37))
    m.refuse(m.op("Add", m.op("Pow", x, m.constant(0.23)), y))
    m = Model("conv_transpose_3d", 1, 2, 3, 3, 3)
    m.refuse(m.conv_transpose("input", 2, 3, [2, 2, 2]))
    m = Model("conv_transpose_cut", 1, 2, 3, 3)
    m.refuse(m.conv_transpose("input", 2, 2, [2, 2], strides=[2, 2], pads=[2, 2, 1, 1]))
    m = Model("conv_kernel_computed", 1, 2, 4, 4)
    m.inputs, m.shapes = ["input", "kernel"], [[1, 2, 4, 4], [3, 2, 2, 2]]
    m.refuse(m.op("Conv", "input", "kernel"))
    m = Model("mask_without_softmax", 1, 4)
    m.refuse(m.op("Where", m.constant([True, False, True, True], bool), "input", m.constant([-np.inf])))
    m = Model("clip_not_a_number", 1, 4)
    m.refuse(m.op("Clip", "input", m.constant(np.nan)))
    m = Model("multiply_by_infinity", 1, 4)
    m.refuse(m.op("Mul", "input", m.constant([1, np.inf, 1, 1])))
    m = Model("pad_infinite", 1, 1, 2, 2)
    m.refuse(m.op("Pad", "input", m.ints(0, 0, 1, 1, 0, 0, 1, 1), m.constant(-np.inf)))
    m = Model("pad_edge_with_constant", 1, 1, 2, 2)
    m.refuse(m.op("Pad", "input", m.ints(0, 0, 1, 1, 0, 0, 1, 1), m.constant(0.5), mode="edge"))
    m = Model("resize_crop", 1, 1, 3, 3)
    roi = m.constant([0, 0, 0.25, 0.25, 1, 1, 0.75, 0.75])
    m.refuse(m.op("Resize", "input", roi, m.constant([1, 1, 2, 2]), mode="linear", coordinate_transformation_mode="tf_crop_and_resize"))
    m = Model("scatter_nd_computed", 1, 4, opset=16)
    m.refuse(m.op("ScatterND", "input", m.op("ArgMax", m.op("Reshape", "input", m.ints(2, 2)), axis=0), m.constant([0.5])))
    m = Model("gather_of_many_computed", 1, 200)
    x = m.op("Cast", m.op("Mul", "input", m.constant(100.0)), to=TensorProto.INT64)
    m.refuse(m.op("Gather", m.weights(200, 2), x))
    m = Model("top_k_of_many", 1, 500)
    m.refuse(*m.op("TopK", "input", m.ints(2), outputs=2))
    m = Model("attention_products", 1, 2, 3, 4, opset=23)
    m.refuse(m.op("Attention", "input", "input", "input", outputs=4)[3])
    m = Model("trees_with_names", 1, 3)
    nodes, leaves = listed(TREES, [0, 1, 2])
    leaves = {f"class_{key}": value for key, value in leaves.items()}
    label, scores = m.op("TreeEnsembleClassifier", "input", domain=LEARNERS, outputs=2, classlabels_strings=["a", "b", "c"], **nodes, **leaves)
    m.refuse(scores)
    m = Model("trees_zip_map", 1, 3)
    nodes, leaves = listed(TREES, [0, 1, 2])
    leaves = {f"class_{key}": value for key, value in leaves.items()}
    label, scores = m.op("TreeEnsembleClassifier", "input", domain=LEARNERS, outputs=2, classlabels_int64s=[0, 1, 2], **nodes, **leaves)
    m.refuse(m.op("ZipMap", scores, domain=LEARNERS, classlabels_int64s=[0, 1, 2]))
    m = Model("where_infinite", 1, 4)
    x = m.op("Gemm", "input", m.weights(4, 4))
    m.refuse(m.op("Where", m.op("Less", "input", m.constant(0.0)), x, m.constant([-np.inf])))
    m = Model("quantised_by_two_scales", 1, 4)
    x = m.op("QuantizeLinear", "input", m.constant(1.0), m.constant(0, np.int8))
    m.refuse(m.op("DequantizeLinear", x, m.constant(3.0), m.constant(0, np.int8)))
    zero = lambda m: m.op("Cast", m.constant(3.0), to=TensorProto.INT8)
    m = Model("quantised_by_computed_zero", 1, 4)
    pair = [m.constant(0.1), zero(m)]
    m.refuse(m.op("DequantizeLinear", m.op("QuantizeLinear", "input", *pair), *pair))
    m = Model("quantised_by_another_scale", 1, 2, 4, 4)
    unit = lambda m, scale: [m.constant(scale), m.constant(0, np.int8)]
    x = m.op("QuantizeLinear", "input", *unit(m, 0.1))
    w = m.constant(m.random.randint(-60, 60, (3, 2, 3, 3)), np.int8)
    m.refuse(m.op("DequantizeLinear", m.op("QLinearConv", x, *unit(m, 0.2), w, *unit(m, 0.01), *unit(m, 0.1)), *unit(m, 0.1)))
    m = Model("quantised_bias_computed", 1, 2, 4, 4)
    x = m.op("QuantizeLinear", "input", *unit(m, 0.1))
    w = m.constant(m.random.randint(-60, 60, (3, 2, 3, 3)), np.int8)
    b = m.op("Cast", m.constant([1.0, 2.0, 3.0]), to=TensorProto.INT32)
    m.refuse(m.op("DequantizeLinear", m.op("QLinearConv", x, *unit(m, 0.1), w, *unit(m, 0.01), *unit(m, 0.1), b), *unit(m, 0.1)))
    m = Model("quantised_then_computed", 1, 4)
    x = m.op("Cast", m.op("QuantizeLinear", "input", m.constant(0.1), m.constant(3, np.int8)), to=TensorProto.FLOAT)
    m.refuse(m.op("Mul", m.op("Sub", x, m.constant(3.0)), m.constant(0.1)))
    m = Model("quantised_output", 1, 4)
    x = m.op("QuantizeLinear", "input", m.constant(0.1), m.constant(3, np.int8))
    proto = m.proto(x)
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.INT8
    onnx.save(proto, FOLDER / "refused" / "quantised_output.onnx")
    m = Model("quantised_in_blocks", 1, 4, opset=21)
    w = m.op("DequantizeLinear", m.constant(m.random.randint(-60, 60, (4, 4)), np.int8), m.constant([[0.1] * 4, [0.2] * 4]), m.constant([[0] * 4] * 2, np.int8), axis=0, block_size=2)
    m.refuse(m.op("MatMul", "input", w))
    m = Model("rounded_by_name", 1, 4)
    m.refuse(m.op("RoundToScale", "input", step=1.0, least=5, greatest=0))
    m = Model("arg_max_of_one", 1, 4, 1)
    m.refuse(m.op("ArgMax", "input", axis=2))
    m = Model("learned_exponent", 1, 4)
    m.refuse(m.op("Pow", m.op("Relu", "input"), m.constant(2.87)))
    m = Model("lstm_lengths", 3, 2, 4)
    weights = [m.weights(1, 8, 4), m.weights(1, 8, 2)]
    m.refuse(m.op("LSTM", "input", *weights, "", m.constant([3, 2], np.int32), hidden_size=2))
    m = Model("rnn_of_many_steps", 2000, 1, 1)
    m.refuse(m.op("RNN", "input", m.weights(1, 1, 1), m.weights(1, 1, 1), hidden_size=1))
    m = Model("condition_computed", 1, 4)
    holds = m.op("Greater", m.op("ReduceMax", "input", keepdims=0), m.constant(0.5))
    result = helper.make_tensor_value_info("b", TensorProto.FLOAT, None)
    branch = lambda kind: helper.make_graph([helper.make_node(kind, ["input"], ["b"])], kind, [], [result])
    m.refuse(m.op("If", holds, then_branch=branch("Relu"), else_branch=branch("Neg")))
    m = Model("steps_computed", 1, 4)
    count = m.op("Cast", m.op("ReduceMax", "input", keepdims=0), to=TensorProto.INT64)
    value = lambda name, kind: helper.make_tensor_value_info(name, kind, None)
    body = [helper.make_node("Identity", ["go"], ["goes"]), helper.make_node("Relu", ["a"], ["b"])]
    ends = [[value("i", TensorProto.INT64), value("go", TensorProto.BOOL), value("a", TensorProto.FLOAT)], [value("goes", TensorProto.BOOL), result]]
    m.refuse(m.op("Loop", count, "", "input", body=helper.make_graph(body, "body", *ends)))
    m = Model("several_reasons", 3, 1, 4)
    weights = [m.weights(1, 2, 4), m.weights(1, 2, 2)]
    x = m.op("RNN", "input", *weights, hidden_size=2, activations=["Wave"])
    m.refuse(m.op("Frobnicate", m.op("RNN", "input", *weights, hidden_size=2, direction="sideways"), domain="test"), x)
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
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT16
    onnx.save(proto, FOLDER / "refused" / "integer_input.onnx")
    m = Model("large_index_as_number", 1, 4, indices=(TensorProto.INT64, 0, 100))
    number = m.op("Unsqueeze", m.op("Cast", "input", to=TensorProto.FLOAT), m.ints(2))
    m.refuse(m.op("Add", m.op("Gather", m.weights(100, 3), "input"), number))
    m = Model("tables_of_two_heights", 1, 4, indices=(TensorProto.INT64, 0, 4))
    m.refuse(m.op("Add", m.op("Gather", m.weights(4, 3), "input"), m.op("Gather", m.weights(5, 3), "input")))


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    accepted = (convolutions, grouped_convolutions, transposed_convolutions, activations, functions, pools, large_pools)
    for make in (*accepted, products, attention, smooth_functions, written_functions, sums, constants, movements, shared_pieces, embeddings, learned_numbers, resizes, channels_last, maxima, outputs, shapes, batches, standard_functions, comparisons, further_forms, types, recurrent_layers, loops, cumulative_sums, folded_constants, old_versions, negatives, interpolations, volumes, positions, attention_operators, learners, tensor_trees, tokens, numbers_that_span_decades, quantised, refused):
        make()
