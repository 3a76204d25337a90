"""Blocks of transformers as ONNX nodes, for every script that makes one.

A block has attention and a hidden layer with GELU, each with a norm and a residual sum: GPT's norms stand before its parts, BERT's after
the sums. With opset 17 a norm is one LayerNormalization; with an earlier one it is written out, as exporters do.
"""
import math
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from network import Network

# What an exporter adds to a score that must not count.
MASKED = -1e9


@dataclass
class Block:
    """Weights of one block, [inputs, outputs], each with its bias or None; gains and shifts (or None) of its norms."""

    query: tuple
    key: tuple
    value: tuple
    mix: tuple
    widen: tuple
    narrow: tuple
    attention_norm: tuple
    hidden_norm: tuple


def causal_mask(rows):
    """[1, 1, rows, rows], so that a position sees itself and those before it."""
    return np.where(np.tril(np.ones((rows, rows))) > 0, 0, MASKED)[None, None]


def plain_norm(width):
    return np.ones(width), np.zeros(width)


class Transformer(Network):
    """`rows` tokens of `width` in `heads`, as floats [1, rows, width], or with `ids` as integers [1, rows] that `embed` looks up."""

    def __init__(self, rows, width, heads, opset=13, epsilon=1e-5, ids=False):
        shape, element = ([1, rows], TensorProto.INT64) if ids else ([1, rows, width], TensorProto.FLOAT)
        super().__init__(shape, opset, element)
        self.rows, self.width, self.heads, self.epsilon = rows, width, heads, epsilon

    def embed(self, ids, words, places):
        """Rows of the table `words`, [vocabulary, width], and those of the positions, `places`, [rows, width]."""
        return self.op("Add", self.op("Gather", self.constant(words), ids), self.constant(places[None]))

    def linear(self, x, weights, bias=None):
        x = self.op("MatMul", x, self.constant(weights))
        return x if bias is None else self.op("Add", x, self.constant(bias))

    def layer_norm(self, x, gain, shift=None):
        if self.opset >= 17:
            parameters = [self.constant(values) for values in (gain, shift) if values is not None]
            return self.op("LayerNormalization", x, *parameters, axis=-1, epsilon=self.epsilon)
        less = self.op("Sub", x, self.op("ReduceMean", x, axes=[-1], keepdims=1))
        variance = self.op("ReduceMean", self.op("Pow", less, self.constant(2)), axes=[-1], keepdims=1)
        x = self.op("Div", less, self.op("Sqrt", self.op("Add", variance, self.constant(self.epsilon))))
        x = self.op("Mul", x, self.constant(gain))
        return x if shift is None else self.op("Add", x, self.constant(shift))

    def gelu(self, x, form):
        """`erf`, or the approximation by `tanh`."""
        if form == "erf":
            erf = self.op("Erf", self.op("Div", x, self.constant(math.sqrt(2))))
            return self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.constant(1))), self.constant(0.5))
        cube = self.op("Mul", self.op("Mul", self.op("Mul", x, x), x), self.constant(0.044715))
        tanh = self.op("Tanh", self.op("Mul", self.op("Add", x, cube), self.constant(math.sqrt(2 / math.pi))))
        return self.op("Mul", self.op("Mul", x, self.op("Add", tanh, self.constant(1))), self.constant(0.5))

    def attention(self, x, block, mask=None):
        """`mask`, added to the scores, is an array or the name of a value."""
        shape = [1, self.rows, self.heads, self.width // self.heads]
        split = lambda x, order: self.op("Transpose", self.op("Reshape", x, self.integers(*shape)), perm=order)
        parts = ((block.query, [0, 2, 1, 3]), (block.key, [0, 2, 3, 1]), (block.value, [0, 2, 1, 3]))
        query, key, value = [split(self.linear(x, *weights), order) for weights, order in parts]
        scores = self.op("Mul", self.op("MatMul", query, key), self.constant(1 / math.sqrt(shape[3])))
        if mask is not None:
            scores = self.op("Add", scores, mask if isinstance(mask, str) else self.constant(mask))
        mixed = self.op("MatMul", self.op("Softmax", scores, axis=-1), value)
        mixed = self.op("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.linear(self.op("Reshape", mixed, self.integers(1, self.rows, self.width)), *block.mix)

    def hidden(self, x, block, gelu):
        return self.linear(self.gelu(self.linear(x, *block.widen), gelu), *block.narrow)

    def block(self, x, block, gelu="erf", mask=None, norms="before"):
        """`norms` stand `before` attention and hidden layer, or `after` the residual sums."""
        if norms == "before":
            x = self.op("Add", x, self.attention(self.layer_norm(x, *block.attention_norm), block, mask))
            return self.op("Add", x, self.hidden(self.layer_norm(x, *block.hidden_norm), block, gelu))
        x = self.layer_norm(self.op("Add", x, self.attention(x, block, mask)), *block.attention_norm)
        return self.layer_norm(self.op("Add", x, self.hidden(x, block, gelu)), *block.hidden_norm)

    def pool(self, x):
        """The mean of all rows, [1, width]."""
        return self.op("ReduceMean", x, axes=[1], keepdims=0)

    def to_unit_length(self, x):
        """Written as a root-mean-square norm, which is the length but for a factor."""
        square = self.op("ReduceMean", self.op("Pow", x, self.constant(2)), axes=[-1], keepdims=1)
        x = self.op("Div", x, self.op("Sqrt", self.op("Add", square, self.constant(1e-12))))
        return self.op("Mul", x, self.constant(1 / math.sqrt(self.width)))
