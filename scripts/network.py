"""ONNX graphs built node by node, and the files that go with a model.

A model NAME has NAME.onnx; NAME.samples.npz with its inputs, `x` the first and others by their names, and onnxruntime's outputs, `y`,
a row for each sample; and where a command line is to read them, NAME.input.json with the first sample and NAME.calibration.json with
several, both in the format of `zkml-gpu prove`: one flat list for each input.
"""
import json

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


class Network:
    """An ONNX graph under construction; every method returns the name of its result.

    `shape` is that of the input named `input`, of floats, or of integers where `element` says so.
    """

    def __init__(self, shape, opset=13, element=TensorProto.FLOAT):
        self.nodes, self.constants, self.inputs, self.opset = [], [], [], opset
        self.input("input", shape, element)

    def input(self, name, shape, element):
        self.inputs.append(helper.make_tensor_value_info(name, element, shape))
        return name

    def constant(self, values, element=np.float32):
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, element), name))
        return name

    def integers(self, *values):
        return self.constant(values, np.int64)

    def op(self, kind, *inputs, **attributes):
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def dense(self, x, weights, bias):
        return self.op("Gemm", x, self.constant(weights), self.constant(bias), transB=1)

    def conv(self, x, weights, bias=None, pad=0):
        k = weights.shape[2]
        inputs = [x, self.constant(weights)] + ([] if bias is None else [self.constant(bias)])
        return self.op("Conv", *inputs, kernel_shape=[k, k], pads=[pad] * 4)

    def relu(self, x):
        return self.op("Relu", x)

    def max_pool(self, x):
        return self.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])

    def proto(self, shape):
        """The model; its output, of `shape`, is the last node's."""
        self.nodes[-1].output[0] = "output"
        output = helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "network", self.inputs, [output], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def outputs(model, *inputs):
    """onnxruntime's outputs, flat, one row for each sample; an array of samples for each input."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    rows = [session.run(None, {name: x[None] for name, x in zip(names, sample)})[0].reshape(-1) for sample in zip(*inputs)]
    return np.stack(rows)


def save(folder, name, model, *inputs):
    """Writes a model and its samples; gives the inputs as they are stored, and the outputs."""
    onnx.save(model, folder / f"{name}.onnx")
    values = model.graph.input
    inputs = [np.asarray(x, helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type)) for x, v in zip(inputs, values, strict=True)]
    y = outputs(model, *inputs)
    others = {value.name: x for value, x in zip(values[1:], inputs[1:])}
    np.savez_compressed(folder / f"{name}.samples.npz", x=inputs[0], y=y, **others)
    return inputs, y


def write_json(path, *inputs):
    """Samples in the format of `zkml-gpu prove`, an array of them for each input: those of one input one after another."""
    shortest = lambda value: float(str(value)) if isinstance(value, np.floating) else int(value)
    lists = [[shortest(value) for value in np.asarray(x).reshape(-1)] for x in inputs]
    path.write_text(json.dumps({"input_data": lists}) + "\n")
