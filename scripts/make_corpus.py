#!/usr/bin/env python3
"""Makes the corpus of files that must be refused: models, inputs and reference strings.

Needs numpy and onnx from PyPI. Writes into the folder given, by default tests/corpus, and prints a line of its README's
table for each file. Everything is reproduced exactly. Hostile keys and proofs are not here: the test derives them from
a key and a proof that it has just made, so that they stay hostile in the way meant when the formats change.
"""
import gzip
import json
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parent.parent
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "tests" / "corpus")
FLOAT = TensorProto.FLOAT
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489")
LINES = []


def put(path, content, what):
    file = OUT / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    LINES.append((path, what))


# Models ---------------------------------------------------------------------------------------------------------------


def floats(name, *shape, value=0.5):
    return numpy_helper.from_array(np.full(shape, value, np.float32), name)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs, [output], name=output, **attributes)


def value(name, *shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, list(shape))


def model(nodes, constants=(), inputs=None, output="y"):
    inputs = [value("x", 1, 6)] if inputs is None else inputs
    graph = helper.make_graph(nodes, "hostile", inputs, [helper.make_tensor_value_info(output, FLOAT, None)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="zkml-gpu")


def dense(weights, bias=None):
    constants = [weights] + ([bias] if bias is not None else [])
    return model([node("Gemm", ["x", *[c.name for c in constants]], "y")], constants)


def raw(name, dims, data, kind=FLOAT):
    """A tensor whose dimensions and data need not agree."""
    tensor = TensorProto(name=name, data_type=kind, raw_data=data)
    tensor.dims.extend(dims)
    return tensor


def external(**entries):
    tensor = TensorProto(name="w", data_type=FLOAT, data_location=TensorProto.EXTERNAL, dims=[6, 4])
    for key, text in entries.items():
        tensor.external_data.add(key=key, value=text)
    return tensor


def save(name, proto, what):
    content = proto if isinstance(proto, bytes) else proto.SerializeToString(deterministic=True)
    put(f"model/{name}.onnx", content, what)


def foreign_models():
    whole = dense(floats("w", 6, 4), floats("b", 4)).SerializeToString(deterministic=True)
    save("empty", b"", "no bytes")
    save("png", PNG, "the start of a picture")
    save("gzip", gzip.compress(whole, mtime=0), "a good model, compressed")
    save("json", b'{"input_data": [[0, 0, 0, 0, 0, 0]]}', "an input file")
    save("zeros", bytes(4096), "zeros only")
    save("ones", b"\xff" * 4096, "bits set only: no end of a number")
    for part in range(1, 16):
        cut = whole[: len(whole) * part // 16]
        save(f"truncated_{part:02}", cut, f"the first {part}/16 of a good model")
    save("twice", whole + whole, "a good model twice over, which protobuf merges into one")
    save("length_beyond_end", b"\x3a\xff\xff\xff\xff\x0f", "a graph of 2^32 bytes that the file does not have")
    save("no_graph", onnx.ModelProto(ir_version=8), "a model without a graph")
    save("no_output", strip_outputs(whole), "a graph without outputs")


def strip_outputs(whole):
    proto = onnx.ModelProto.FromString(whole)
    del proto.graph.output[:]
    return proto.SerializeToString(deterministic=True)


def lying_tensors():
    ones = lambda n: np.ones(n, np.float32).tobytes()
    save("dims_huge", dense(raw("w", [1 << 40], b"")), "weights of 2^40 elements without data")
    save("dims_product_overflows", dense(raw("w", [1 << 32, 1 << 32], b"")), "weights of 2^64 elements without data")
    save("dims_negative", dense(raw("w", [-6, -4], ones(24))), "negative dimensions")
    save("dims_zero", dense(raw("w", [6, 0], b"")), "weights without elements")
    save("data_short", dense(raw("w", [6, 4], ones(23))), "a weight less than the dimensions say")
    save("data_long", dense(raw("w", [6, 4], ones(25))), "a weight more than the dimensions say")
    save("data_odd", dense(raw("w", [6, 4], ones(24)[:-1])), "a part of a weight")
    save("strings", dense(helper.make_tensor("w", TensorProto.STRING, [6, 4], [b"0.5"] * 24)), "strings as weights")
    save("complex", dense(raw("w", [6, 4], ones(48), TensorProto.COMPLEX64)), "complex weights")
    save("unknown_type", dense(raw("w", [6, 4], ones(24), 99)), "an element type that does not exist")
    for name, number in [("nan", np.nan), ("infinite", np.inf), ("minus_infinite", -np.inf)]:
        save(f"{name}_weight", dense(floats("w", 6, 4, value=number)), f"weights of {number}")
        save(f"{name}_bias", dense(floats("w", 6, 4), floats("b", 4, value=number)), f"biases of {number}")
        save(f"{name}_factor", model([node("Mul", ["x", "c"], "y")], [floats("c", 6, value=number)]), f"a factor of {number}")
        save(f"{name}_shift", model([node("Add", ["x", "c"], "y")], [floats("c", 6, value=number)]), f"a shift of {number}")
    image = [value("x", 1, 2, 4, 4)]
    kernel = floats("w", 3, 2, 2, 2, value=np.nan)
    save("nan_kernel", model([node("Conv", ["x", "w"], "y")], [kernel], image), "a kernel that is not a number")
    bounds = [floats("low", value=np.nan), floats("high", value=6)]
    save("nan_clip", model([node("Clip", ["x", "low", "high"], "y")], bounds), "a bound that is not a number")
    norm = [floats(n, 2, value=v) for n, v in [("s", 1), ("b", 0), ("m", 0), ("v", -1)]]
    normalised = model([node("BatchNormalization", ["x", "s", "b", "m", "v"], "y")], norm, image)
    save("negative_variance", normalised, "a variance whose root is not a number")
    save("overflowing_product", model([node("Gemm", ["x", "w"], "a"), node("Mul", ["a", "c"], "y")],
         [floats("w", 6, 4, value=3e38), floats("c", 4, value=3e38)]), "finite numbers whose product is not")


def external_weights():
    forms = {
        "absolute": (dict(location="/etc/passwd"), "a path from the root"),
        "parent": (dict(location="../../../../../../etc/passwd"), "a path out of the model's folder"),
        "missing": (dict(location="absent.bin"), "a file that does not exist"),
        "folder": (dict(location="."), "the model's own folder"),
        "empty": (dict(location=""), "an empty path"),
        "itself": (dict(location="external_itself.onnx"), "the model itself, which has another length"),
        "offset": (dict(location="external_offset.onnx", offset=str(1 << 63)), "an offset of 2^63"),
        "offset_negative": (dict(location="external_offset_negative.onnx", offset="-1"), "an offset of -1"),
        "length": (dict(location="external_length.onnx", length=str(1 << 40)), "2^40 bytes of a small file"),
        "nowhere": (dict(length="96"), "no path at all"),
    }
    for name, (entries, what) in forms.items():
        save(f"external_{name}", dense(external(**entries)), f"weights in another file: {what}")


def wrong_graphs():
    one = lambda name, operator, inputs, what, constants=(), graph_inputs=None, **attributes: save(
        name, model([node(operator, inputs, "y", **attributes)], constants, graph_inputs), what)
    image = [value("x", 1, 2, 4, 4)]
    kernel = floats("w", 3, 2, 2, 2)
    save("cycle", model([node("Add", ["x", "y"], "a"), node("Relu", ["a"], "y")]), "two nodes that read each other")
    save("cycle_of_one", model([node("Add", ["x", "y"], "y")]), "a node that reads itself")
    save("computed_twice", model([node("Relu", ["x"], "y"), node("Neg", ["x"], "y")]), "a value with two producers")
    save("input_computed", model([node("Relu", ["x"], "x"), node("Neg", ["x"], "y")]), "an input that is computed")
    save("input_twice", model([node("Relu", ["x"], "y")], (), [value("x", 1, 6)] * 2), "an input declared twice")
    save("constant_twice", model([node("Gemm", ["x", "w"], "y")], [floats("w", 6, 4)] * 2), "weights declared twice")
    save("nameless_nodes", model([helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Relu", ["y"], [""])], output=""),
         "an output without a name")
    one("nothing_read", "Relu", [], "a Relu without operand")
    one("one_operand", "Add", ["x"], "an Add of one operand")
    one("missing_kernel", "Conv", ["x"], "a Conv without kernel", graph_inputs=image)
    one("empty_operand", "Gemm", ["", "w"], "an operand without a name", [floats("w", 6, 4)])
    one("too_many_operands", "Relu", ["x"] * 9, "a Relu of nine operands")
    one("unknown_value", "Relu", ["z"], "a value that nothing computes")
    one("rank_of_input", "Conv", ["x", "w"], "a Conv over a vector", [kernel])
    one("rank_of_kernel", "Conv", ["x", "w"], "a Conv with a matrix for its kernel", [floats("w", 3, 2)], image)
    one("rank_of_weights", "Gemm", ["x", "w"], "a Gemm with four axes", [floats("w", 6, 4, 1, 1)])
    one("channels_differ", "Conv", ["x", "w"], "a kernel for other channels", [floats("w", 3, 5, 2, 2)], image)
    one("features_differ", "Gemm", ["x", "w"], "weights for other features", [floats("w", 7, 4)])
    one("kernel_too_large", "Conv", ["x", "w"], "a kernel larger than the image", [floats("w", 3, 2, 9, 9)], image)
    one("kernel_of_zero", "MaxPool", ["x"], "a window without extent", graph_inputs=image, kernel_shape=[0, 0])
    one("kernel_of_one_axis", "MaxPool", ["x"], "a window of one axis over two", graph_inputs=image, kernel_shape=[2])
    one("kernel_negative", "MaxPool", ["x"], "a window of negative extent", graph_inputs=image, kernel_shape=[-2, -2])
    one("kernel_huge", "AveragePool", ["x"], "a window of 2^62", graph_inputs=image, kernel_shape=[1 << 62, 1 << 62])
    one("stride_of_zero", "MaxPool", ["x"], "a window that does not move", graph_inputs=image, kernel_shape=[2, 2], strides=[0, 0])
    one("stride_negative", "Conv", ["x", "w"], "a window that moves back", [kernel], image, strides=[-1, -1])
    one("dilation_of_zero", "Conv", ["x", "w"], "taps on one another", [kernel], image, dilations=[0, 0])
    one("dilation_huge", "Conv", ["x", "w"], "taps 2^62 apart", [kernel], image, dilations=[1 << 62, 1 << 62])
    one("pads_negative", "Conv", ["x", "w"], "negative padding", [kernel], image, pads=[-3, -3, -3, -3])
    one("pads_huge", "Conv", ["x", "w"], "padding of 2^62", [kernel], image, pads=[1 << 62] * 4)
    one("pads_of_one", "Conv", ["x", "w"], "one padding for four sides", [kernel], image, pads=[1])
    one("group_of_zero", "Conv", ["x", "w"], "no groups", [kernel], image, group=0)
    one("group_negative", "Conv", ["x", "w"], "minus one group", [kernel], image, group=-1)
    one("group_uneven", "Conv", ["x", "w"], "groups that do not divide the channels", [kernel], image, group=3)
    one("axis_beyond_rank", "Flatten", ["x"], "an axis that is not there", axis=99)
    one("permutation_short", "Transpose", ["x"], "a permutation of one axis of two", perm=[0])
    one("reshape_other_size", "Reshape", ["x", "s"], "a shape of other size", [ints("s", 7, 7)])
    one("reshape_two_unknown", "Reshape", ["x", "s"], "two axes to be inferred", [ints("s", -1, -1)])
    one("reshape_negative", "Reshape", ["x", "s"], "an axis of -6", [ints("s", -6)])
    one("reshape_huge", "Reshape", ["x", "s"], "axes of 2^62", [ints("s", 1 << 62, 1 << 62)])
    one("squeeze_wide", "Squeeze", ["x", "s"], "an axis of 6 removed", [ints("s", 1)])
    one("attribute_of_other_type", "Flatten", ["x"], "text for a number", axis="one")
    one("input_without_extent", "Relu", ["x"], "an input axis of 0", graph_inputs=[value("x", 1, 0)])
    one("input_negative", "Relu", ["x"], "an input axis of -6", graph_inputs=[value("x", 1, -6)])
    one("input_huge", "Relu", ["x"], "an input of 2^62 elements", graph_inputs=[value("x", 1, 1 << 62)])
    one("input_large", "Relu", ["x"], "an input of 2^28 elements", graph_inputs=[value("x", 1, 1 << 28)])
    one("input_overflows", "Relu", ["x"], "an input of 2^80 elements", graph_inputs=[value("x", 1 << 40, 1 << 40)])
    one("no_dimensions", "Relu", ["x"], "an input of unknown rank", graph_inputs=[helper.make_tensor_value_info("x", FLOAT, None)])
    one("no_type", "Relu", ["x"], "an input of unknown type", graph_inputs=[onnx.ValueInfoProto(name="x")])


def inflation():
    """Small files that ask for large tensors."""
    empty = helper.make_tensor("zero", FLOAT, [1], [0.0])
    filled = lambda *shape: ([node("ConstantOfShape", ["s"], "c", value=empty), node("Add", ["x", "c"], "y")], [ints("s", *shape)])
    save("filled_2_40", model(*filled(1 << 40)), "ConstantOfShape of 2^40 elements")
    save("filled_2_28", model(*filled(1 << 14, 1 << 14)), "ConstantOfShape of 2^28 elements")
    save("filled_negative", model(*filled(-4)), "ConstantOfShape of -4 elements")
    save("filled_overflow", model(*filled(1 << 33, 1 << 33)), "ConstantOfShape of 2^66 elements")
    several = [n for i in range(64) for n in [node("ConstantOfShape", ["s"], f"c{i}", value=empty)]]
    several += [node("Add", ["x" if i == 0 else f"a{i - 1}", f"c{i}"], f"a{i}" if i < 63 else "y") for i in range(64)]
    save("filled_2_32", model(*filled((1 << 32) + 6)), "ConstantOfShape of 2^32 + 6 elements, which is 6 in 32 bits")
    save("filled_often", model(several, [ints("s", 1 << 20)]), "64 times ConstantOfShape of 2^20 elements")
    pair = lambda operator, constants, **attributes: model(
        [node(operator, [c.name for c in constants], "c", **attributes), node("Add", ["x", "c"], "y")], constants)
    save("expanded", pair("Expand", [floats("one", 1), ints("s", 1 << 15, 1 << 15)]), "one number expanded to 2^30")
    save("tiled", pair("Tile", [floats("one", 1), ints("s", 1 << 30)]), "one number tiled 2^30 times")
    ranged = [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in [("a", 0), ("b", 1 << 40), ("d", 1)]]
    save("ranged", pair("Range", ranged), "the numbers below 2^40")
    ranged = [numpy_helper.from_array(np.array(v, np.float32), n) for n, v in [("a", 0), ("b", 1e12), ("d", 1)]]
    save("ranged_floats", pair("Range", ranged), "the numbers below 10^12, as floats")
    save("window_of_numbers", pair("HannWindow", [ints("s", 1 << 36)]), "a window of 2^36 numbers")
    save("padded", pair("Pad", [floats("one", 1), ints("p", 1 << 30, 1 << 30)]), "one number padded to 2^31")
    hot = [ints("i", *range(8)), ints("depth", 1 << 30), floats("v", 2)]
    save("one_hot", pair("OneHot", hot), "OneHot of depth 2^30")
    sizes = [floats("one", 1, 1, 1, 1), floats("roi", 0), floats("scales", 0), ints("s", 1, 1, 1 << 15, 1 << 15)]
    save("resized", pair("Resize", sizes), "one number resized to 2^30")
    save("outer_product", pair("MatMul", [floats("a", 4096, 1), floats("b", 1, 4096)]), "an outer product of 2^24 elements")
    save("outer_sum", pair("Add", [floats("a", 4096, 1), floats("b", 1, 4096)]), "a broadcast sum of 2^24 elements")
    doubling = [node("Concat", [f"c{i}"] * 2, f"c{i + 1}", axis=0) for i in range(40)]
    save("doubled", model(doubling + [node("Add", ["x", "c40"], "y")], [floats("c0", 1)]), "one number doubled 40 times")
    gathered = [floats("one", 1, 1024), numpy_helper.from_array(np.zeros(3000, np.int64), "i")]
    save("gathered_often", model(
        [node("Gather", ["one", "i"], "a", axis=0), node("Gather", ["a", "i"], "b", axis=1), node("Add", ["x", "b"], "y")],
        gathered), "one row gathered 3000 times, and its columns again")
    window = dict(pads=[8190] * 4, dilations=[8190, 8190])
    save("dilated", model([node("Conv", ["x", "w"], "y", **window)], [floats("w", 1, 1, 2, 2)], [value("x", 1, 1, 1, 1)]),
         "a dilated kernel of four weights and 2^26 taps")


def trees(nodes, leaves, targets=1):
    """A tree of nodes (mode, feature, true, false), and leaves (node, target), over the six features of x."""
    modes, features, met, unmet = zip(*nodes)
    of_nodes = dict(treeids=[0] * len(nodes), nodeids=list(range(len(nodes))), featureids=features, modes=modes,
                    values=[0.5] * len(nodes), truenodeids=met, falsenodeids=unmet)
    of_leaves = dict(treeids=[0] * len(leaves), nodeids=[n for n, _ in leaves], ids=[t for _, t in leaves], weights=[0.25] * len(leaves))
    attributes = {f"nodes_{key}": list(value) for key, value in of_nodes.items()}
    attributes.update({f"target_{key}": value for key, value in of_leaves.items()})
    proto = model([node("TreeEnsembleRegressor", ["x"], "y", domain="ai.onnx.ml", n_targets=targets, **attributes)])
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return proto


def choices():
    """Operators that are written out by others: trees, places and sizes."""
    leaf = ("LEAF", 0, 0, 0)
    save("tree_cycle", trees([("BRANCH_LEQ", 0, 0, 1), leaf], [(1, 0)]), "a tree that is below itself")
    save("tree_shared", trees([("BRANCH_LEQ", 0, 1, 1), leaf], [(1, 0)]), "a leaf on both sides")
    save("tree_missing", trees([("BRANCH_LEQ", 0, 1, 7), leaf], [(1, 0)]), "a tree without one of its nodes")
    save("tree_feature", trees([("BRANCH_LEQ", 1 << 40, 1, 2), leaf, leaf], [(1, 0), (2, 0)]), "feature 2^40 of six")
    save("tree_target", trees([("BRANCH_LEQ", 0, 1, 2), leaf, leaf], [(1, 0), (2, 3)]), "a value of a target that there is not")
    save("tree_targets", trees([("BRANCH_LEQ", 0, 1, 2), leaf, leaf], [(1, 0), (2, 0)], targets=1 << 40), "2^40 targets")
    count = 20000
    chain = [("BRANCH_LEQ", 0, count + i, i + 1) for i in range(count - 1)] + [("BRANCH_LEQ", 0, 2 * count - 1, 2 * count)]
    save("tree_chain", trees(chain + [leaf] * (count + 1), [(count, 0)]), "a tree of 20,000 conditions one below another")
    save("tree_condition", trees([("BRANCH_MEMBER", 0, 1, 2), leaf, leaf], [(1, 0), (2, 0)]), "a condition that is not known")
    top = lambda k: model([helper.make_node("TopK", ["x", "k"], ["y", "i"], name="y")], [ints("k", k)])
    for name, k in [("none", 0), ("more", 7), ("negative", -1), ("2_40", 1 << 40)]:
        save(f"top_k_{name}", top(k), f"the {k} greatest of six")
    for name, scale in [("negative", -1.0), ("zero", 0.0), ("nan", np.nan), ("infinite", np.inf), ("2_40", 2.0**40)]:
        scales = numpy_helper.from_array(np.array([1, scale], np.float32), "s")
        save(f"resize_{name}", model([node("Resize", ["x", "", "s"], "y", mode="linear")], [scales]), f"an axis resized by {scale}")
    save("lrn_of_none", model([node("LRN", ["x"], "y", size=0)], (), [value("x", 1, 6, 2, 2)]), "a mean over no channels")
    heads = dict(q_num_heads=4, kv_num_heads=4)
    proto = model([node("Attention", ["x", "x", "x"], "y", **heads)], (), [value("x", 1, 2, 6)])
    proto.opset_import[0].version = 23
    save("attention_heads", proto, "four heads of six elements")


def structure():
    """Files that would exhaust the stack, or the time."""
    save("many_messages", nested(b"\x0a\x00" * 70000), "70,000 empty nodes")
    save("many_nodes", nested(b"\x0a\x00" * 9000), "9,000 empty nodes")
    values = b"".join(b"\x2a" + bytes([len(t)]) + t for t in [b"\x42\x01w"] * 5000)
    save("many_constants", nested(values), "5,000 constants of one name, without type or dimensions")
    save("many_axes", dense(raw("w", [1] * 5000, np.ones(1, np.float32).tobytes())), "weights of 5,000 axes")
    save("many_attributes", nested(field(1, field(4, b"Relu") + b"\x2a\x00" * 5000)), "a node of 5,000 empty attributes")
    body = b"\x0a\x00"
    for _ in range(300):
        body = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, body)))
    save("nested_graphs", nested(body), "300 conditions one inside another")
    param = lambda text: [helper.make_tensor_value_info("x", FLOAT, [1, text])]
    for name, text in {"open": "(" * 5000, "nested": "(" * 2000 + "n" + ")" * 2000, "minus": "-" * 5000 + "n", "min": "min(" * 64 + "n" + ")" * 64,
                       "escape": "\x1b[2Jn"}.items():
        save(f"dimension_{name}", model([node("Relu", ["x"], "y")], (), param(text)), f"a dimension called {text[:8]!r}...")
    save("escape_in_name", model([node("Relu", ["\x1b[2J\x1b]0;title\x07"], "y")]), "a name that would clear the terminal")
    window = dict(kernel_shape=[1 << 14, 1 << 14], pads=[(1 << 14) - 1] * 4)
    save("window", model([node("AveragePool", ["x"], "y", **window)], (), [value("x", 1, 1, 1, 1)]), "a window of 2^28 over one element")
    loops()


def loops():
    """Choices and loops, which are written out."""
    truth = TensorProto.BOOL
    branch = lambda *nodes: helper.make_graph(list(nodes), "body", [], [value("z", 1, 6)])
    relu = branch(node("Relu", ["x"], "z"))
    choice = lambda condition: helper.make_node("If", [condition], ["y"], name="y", then_branch=relu, else_branch=relu)
    save("condition", model([node("Cast", ["x"], "c", to=truth), choice("c")]), "a condition that is computed")
    save("condition_of_itself", model([choice("y")]), "a condition that reads its own result")
    nothing = helper.make_node("If", ["c"], ["y"], name="y", then_branch=branch(), else_branch=relu)
    yes = numpy_helper.from_array(np.array(True), "c")
    save("condition_without_result", model([nothing], [yes]), "a branch that computes nothing")
    chain = [helper.make_node("If", [f"c{i}"], [f"c{i + 1}"], then_branch=branch(node("Not", [f"c{i}"], "z")), else_branch=branch(node("Not", [f"c{i}"], "z"))) for i in range(200)]
    first = numpy_helper.from_array(np.array(True), "c0")
    save("conditions_in_a_row", model([*chain, node("Relu", ["x"], "y")], [first]), "200 conditions, each of which decides the next")

    def loop(count, nodes, output="y", name="loop", constants=()):
        ends = [[value("i", kind=TensorProto.INT64), value("go", kind=truth), value("a")], [value("goes", kind=truth), value("b")]]
        body = helper.make_graph([helper.make_node("Identity", ["go"], ["goes"]), *nodes], "body", *ends, constants)
        return helper.make_node("Loop", [count, "", "x" if output == "y" else "a"], [output], name=name, body=body)

    step = node("Relu", ["a"], "b")
    count = lambda n: [ints("n", n)]
    for name, steps in {"forever": 1 << 62, "often": 5000, "never": 0, "negative": -1}.items():
        save(f"loop_{name}", model([loop("n", [step])], count(steps)), f"a loop of {steps} steps")
    inner = step
    for _ in range(6):
        inner = loop("n", [inner], "b")
    save("loop_nested", model([loop("n", [inner])], count(1000)), "seven loops of 1,000 steps one inside another")
    long = "a" * (1 << 15)
    save("loop_of_long_names", model([loop("n", [node("Relu", ["a"], long), node("Relu", [long], "b")], name=long)], count(2000)), "2,000 steps with names of 2^15 letters")
    filled = helper.make_node("Constant", [], ["c"], value=floats("c", 1 << 14))
    save("loop_of_constants", model([loop("n", [filled, step])], count(2000)), "2,000 copies of a constant of 2^14 numbers")
    weights = [floats("w", 1, 4, 1), floats("r", 1, 4, 1)]
    sequence = [value("x", 1 << 20, 1, 1)]
    save("recurrent_long", model([helper.make_node("LSTM", ["x", "w", "r"], ["y"], name="y", hidden_size=1)], weights, sequence), "an LSTM of 2^20 steps")
    save("recurrent_of_other_weights", model([helper.make_node("GRU", ["x", "w", "r"], ["y"], name="y", hidden_size=1)], weights, [value("x", 3, 1, 1)]), "a GRU with the weights of an LSTM")
    save("cumulative", model([node("CumSum", ["x", "n"], "y")], [numpy_helper.from_array(np.array(1), "n")], [value("x", 1, 1 << 14)]), "sums of up to 2^14 elements")
    ones = node("ConstantOfShape", ["n"], "ones")
    save("selected", model([ones, node("NonZero", ["ones"], "z"), node("Add", ["x", "z"], "y")], count(1 << 24)), "the places of 2^24 numbers")
    save("tiled_by_computed", model([node("Mul", ["n", "n"], "m"), node("Concat", ["m", "m"], "r", axis=0), node("Tile", ["x", "r"], "y")], count(1 << 15)), "an input repeated 2^60 times")


def field(number, content):
    length, tag = len(content), bytes([number << 3 | 2])
    size = b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return tag + size + bytes([length]) + content


def nested(graph):
    """A model with this graph and an output."""
    return b"\x08\x08" + field(7, graph + field(12, field(1, b"y"))) + field(8, b"\x10\x0d")


# Inputs ---------------------------------------------------------------------------------------------------------------


def inputs():
    good = '{"input_data": [[1, 2, 3, 4, 5, 6]]}'
    first = lambda text: '{"input_data": [[%s, 0, 0, 0, 0, 0]]}' % text
    save = lambda name, content, what: put(f"input/{name}.json", content, what)
    save("empty", "", "no bytes")
    save("blank", " \n\t\n", "white space only")
    save("png", PNG, "the start of a picture")
    save("gzip", gzip.compress(good.encode(), mtime=0), "a good input, compressed")
    save("zeros", bytes(4096), "zeros only")
    save("utf16", good.encode("utf-16"), "UTF-16")
    save("not_utf8", good.replace("input", "in\xffput").encode("latin-1"), "a key that is not UTF-8")
    for part in range(1, 16):
        save(f"truncated_{part:02}", good[: len(good) * part // 16], f"the first {part}/16 of a good input")
    save("trailing", good + " x", "text after the object")
    save("twice", good + good, "two objects")
    save("key_twice", '{"input_data": [[1, 2, 3, 4, 5, 6]], "input_data": [[1, 2, 3, 4, 5, 6]]}', "the key twice")
    save("other_key", '{"inputs": [[1, 2, 3, 4, 5, 6]]}', "another key")
    save("null", '{"input_data": null}', "no lists")
    save("number", '{"input_data": 1}', "a number for the lists")
    save("flat", '{"input_data": [1, 2, 3, 4, 5, 6]}', "numbers in no list")
    save("nested", '{"input_data": [[[1, 2, 3, 4, 5, 6]]]}', "a list too deep")
    save("no_lists", '{"input_data": []}', "no list")
    save("empty_list", '{"input_data": [[]]}', "an empty list")
    save("two_lists", '{"input_data": [[1, 2, 3, 4, 5, 6], [1]]}', "a list more than the model has inputs")
    save("short", '{"input_data": [[1, 2, 3, 4, 5]]}', "a number too few")
    save("long", '{"input_data": [[1, 2, 3, 4, 5, 6, 7]]}', "a number too many")
    texts = {"nan": "NaN", "infinity": "Infinity", "minus_infinity": "-Infinity", "text": '"1"', "none": "null", "true": "true",
             "beyond_double": "1e999", "beyond_float": "1e39", "minus_beyond_float": "-4e38", "hexadecimal": "0x10",
             "leading_zero": "01", "plus": "+1", "point": ".5", "comma": "1,,2", "exponent": "1e", "object": "{}",
             "exponent_long": "1e" + "9" * 4000}
    for name, text in texts.items():
        save(f"value_{name}", first(text), f"a value of {text[:12]}" if len(text) < 13 else "an exponent of 4,000 digits")
    save("digits", first("9" * 20000), "a number of 20,000 digits")
    save("nested_deep", '{"input_data": ' + "[" * 20000 + "]" * 20000 + "}", "20,000 lists one inside another")
    save("nested_open", "[" * 20000, "20,000 lists that do not end")
    save("nested_objects", '{"input_data":' * 2000, "2,000 objects that do not end")


# Reference strings ----------------------------------------------------------------------------------------------------


def sections(ptau):
    """(id, start of the header, length of the data) of each section."""
    at, found = 12, []
    while at < len(ptau):
        number, length = struct.unpack_from("<IQ", ptau, at)
        found.append((number, at, length))
        at += 12 + length
    return found


def reference_strings():
    good = (ROOT / "tests" / "data" / "srs" / "contributed_k4.ptau").read_bytes()
    save = lambda name, content, what: put(f"srs/{name}", content, what)

    def changed(at, content):
        return good[:at] + content + good[at + len(content):]

    save("empty", b"", "no bytes")
    save("png", PNG, "the start of a picture")
    save("json", '{"input_data": [[0]]}', "an input file")
    save("gzip", gzip.compress(good[:256], mtime=0), "a compressed file")
    save("zeros", bytes(4096), "zeros only")
    save("magic_only.ptau", good[:4], "the magic and no more")
    save("small.ptau", good, "a good file of 2^4 powers, too small for any network")
    for number, at, length in sections(good):
        save(f"cut_in_{number}.ptau", good[: at + 12 + length // 2], f"cut in the middle of section {number}")
        save(f"cut_before_{number}.ptau", good[:at], f"cut before section {number}")
    number, header, _ = sections(good)[0]
    save("version.ptau", changed(4, b"\x02"), "version 2")
    save("sections_2_32.ptau", changed(8, b"\xff" * 4), "2^32 sections")
    save("section_2_64.ptau", changed(header + 4, b"\xff" * 8), "a section of 2^64 bytes")
    save("section_beyond_end.ptau", changed(sections(good)[1][1] + 4, struct.pack("<Q", len(good))), "a section longer than the file")
    save("other_curve.ptau", changed(header + 16, b"\x01"), "another prime")
    save("coordinate_48.ptau", changed(header + 12, b"\x30"), "coordinates of 48 bytes, as BLS12-381 has")
    for power in [0, 29, 63, 255, 2**32 - 1]:
        save(f"power_{power}.ptau", changed(header + 48, struct.pack("<I", power)), f"a header that says 2^{power} powers")
    save("power_20.ptau", changed(header + 48, struct.pack("<I", 20)), "a header that says 2^20 powers")
    save("trailing.ptau", good + b"\x00", "a byte after the last section")
    duplicate = good[:8] + struct.pack("<I", struct.unpack_from("<I", good, 8)[0] + 1) + good[12:]
    save("section_twice.ptau", duplicate + good[header: header + 12 + 44], "two headers")
    for k in [1, 13, 20, 28, 29, 64, 2**32 - 1]:
        save(f"params_{k}", struct.pack("<I", k) + bytes(64), f"Halo2 parameters that say k = {k}, without points")
    save("params_zero_points", struct.pack("<I", 4) + bytes(2 * (64 * 16 + 128)), "Halo2 parameters of points (0, 0)")
    save("params_ones", struct.pack("<I", 4) + b"\xff" * (2 * (64 * 16 + 128)), "Halo2 parameters beyond the modulus")


def readme():
    lines = [
        "# Files that must be refused",
        "",
        "Each file here is refused by `zkml-gpu` with a message that names it and a hint, within bounds of memory and time,",
        "and leaves nothing behind: `bindings/cli/tests/hostile.rs` runs the program on every one. The exit code is 2, or 3",
        "where the test's table says so.",
        "",
        "`scripts/make_corpus.py` (numpy and onnx from PyPI) makes the files and this page. Keys and proofs are not stored: the test",
        "derives hostile ones from a key and a proof that it has just made, so that they follow the formats.",
        "",
        "| file | what |",
        "|---|---|",
    ]
    lines += [f"| `{path}` | {what} |" for path, what in sorted(LINES)]
    (OUT / "README.md").write_text("\n".join(lines) + "\n")


for make in [foreign_models, lying_tensors, external_weights, wrong_graphs, inflation, choices, structure, inputs, reference_strings]:
    make()
readme()
