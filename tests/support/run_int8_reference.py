#!/usr/bin/env python3
"""Scores of a quantized ONNX model in exact integers: the QLinear and QDQ models of data/MANIFEST.md.

Products are summed as integers. A sum, its int32 bias included, becomes a byte as ONNX Runtime has
it (C9): float32(sum) * ((x_scale * w_scale) / y_scale) rounded to nearest even, then the zero point.
A convolution between DequantizeLinear and QuantizeLinear is the same operator, spelled out. Frameworks
do not agree on the order of the float32 operations between bytes that are added or averaged and the
byte that comes out; here it is that of schema/README.md, Numerics. Shares no code with the converter.
Needs numpy, onnx, torch.

usage: run_int8_reference.py MODEL.onnx INPUT.npy OUTPUT.npy
"""
import sys

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F

f32 = np.float32


def rounded(steps, zero):
    limits = np.iinfo(zero.dtype)
    return np.clip(np.rint(steps) + float(zero), limits.min, limits.max).astype(zero.dtype)


class Quantized:
    """Integers q on a grid: scale * (q - zero)."""

    def __init__(self, q, scale, zero):
        self.q, self.scale, self.zero = q, scale, zero

    def levels(self, axis=0):
        zero = self.zero.astype(np.int64)
        if zero.size > 1:
            zero = zero.reshape([-1 if k == axis else 1 for k in range(self.q.ndim)])
        return self.q.astype(np.int64) - zero

    def values(self):
        return self.levels().astype(f32) * self.scale

    @property
    def shape(self):
        return self.q.shape

    def reshape(self, shape):
        return Quantized(self.q.reshape(shape), self.scale, self.zero)


class Sum:
    """Integer sums of products of two grids, for a quantizer behind them."""

    def __init__(self, sums, x_scale, w_scale, axis):
        self.sums, self.x_scale, self.axis = sums, x_scale, axis
        self.w_scale = np.atleast_1d(w_scale).astype(f32)

    def quantized(self, scale, zero):
        factor = self.x_scale * self.w_scale / scale
        if factor.size > 1:
            factor = factor.reshape([-1 if k == self.axis else 1 for k in range(self.sums.ndim)])
        return rounded(self.sums.astype(f32) * factor, zero)


class Terms:
    """The sum of levels times factors, for a quantizer behind it."""

    def __init__(self, *terms):
        self.terms = terms

    def quantized(self, scale, zero):
        parts = [levels.astype(f32) * (factor * (f32(1) / scale)) for levels, factor in self.terms]
        return rounded(sum(parts[1:], parts[0]), zero)


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def convolution(node, x, w, bias):
    a = attributes(node)
    top, left, bottom, right = a.get("pads", [0] * 4)
    image = F.pad(torch.from_numpy(x.levels().astype(np.float64)), (left, right, top, bottom))
    sums = F.conv2d(image, torch.from_numpy(w.levels().astype(np.float64)), None, a.get("strides", 1), 0,
                    a.get("dilations", 1), a.get("group", 1)).numpy()
    return Sum(sums + (0 if bias is None else bias.astype(np.float64).reshape(1, -1, 1, 1)), x.scale, w.scale, 1)


class Interpreter:
    def __init__(self, model):
        self.graph = model.graph
        self.values = {i.name: numpy_helper.to_array(i) for i in self.graph.initializer}

    def run(self, x):
        self.values[self.graph.input[0].name] = x
        for node in self.graph.node:
            inputs = [self.values[name] if name else None for name in node.input]
            self.values[node.output[0]] = getattr(self, node.op_type)(node, inputs)
        scores = self.values[self.graph.output[0].name]
        return scores.values() if isinstance(scores, Quantized) else scores

    # ---- grids -----------------------------------------------------------------------------------

    def QuantizeLinear(self, node, i):
        x, scale, zero = i
        if isinstance(x, (Sum, Terms)):
            return x.quantized(scale, zero)
        x = x.values() if isinstance(x, Quantized) else x
        return rounded(x / scale, zero)

    def DequantizeLinear(self, node, i):
        return Quantized(i[0], i[1], i[2] if len(i) > 2 else np.int32(0))

    # ---- operators between grids -----------------------------------------------------------------

    def Conv(self, node, i):
        return convolution(node, i[0], i[1], i[2].q if len(i) > 2 else None)

    def Gemm(self, node, i):
        w = i[1].levels().astype(np.float64)
        sums = i[0].levels().astype(np.float64) @ (w.T if attributes(node).get("transB") else w)
        return Sum(sums + i[2].q, i[0].scale, i[1].scale, 1)

    def Add(self, node, i):
        return Terms((i[0].levels(), i[0].scale), (i[1].levels(), i[1].scale))

    def GlobalAveragePool(self, node, i):
        pixels = f32(i[0].q.shape[2] * i[0].q.shape[3])
        return Terms((i[0].levels().sum((2, 3), keepdims=True), i[0].scale / pixels))

    # ---- operators that name their grids ---------------------------------------------------------

    def QLinearConv(self, node, i):
        bias = i[8] if len(i) > 8 else None
        return convolution(node, Quantized(*i[:3]), Quantized(*i[3:6]), bias).quantized(*i[6:8])

    def QLinearMatMul(self, node, i):
        a, b = Quantized(*i[:3]), Quantized(*i[3:6])
        return Sum(a.levels().astype(np.float64) @ b.levels(1).astype(np.float64), i[1], i[4], 1).quantized(*i[6:8])

    def QLinearAdd(self, node, i):
        return self.Add(node, [Quantized(*i[:3]), Quantized(*i[3:6])]).quantized(*i[6:8])

    def QLinearGlobalAveragePool(self, node, i):
        return self.GlobalAveragePool(node, [Quantized(*i[:3])]).quantized(*i[3:5])

    # ---- floats and shapes -----------------------------------------------------------------------

    def ReduceMean(self, node, i):
        a = attributes(node)
        x = i[0].values() if isinstance(i[0], Quantized) else i[0]
        return x.mean(tuple(a["axes"]), keepdims=bool(a.get("keepdims", 1)))

    def Constant(self, node, i):
        return numpy_helper.to_array(node.attribute[0].t)

    def Shape(self, node, i):
        return np.array(i[0].shape)

    def Gather(self, node, i):
        return np.take(i[0], i[1], attributes(node).get("axis", 0))

    def Unsqueeze(self, node, i):
        return np.expand_dims(i[0], tuple(attributes(node)["axes"]))

    def Concat(self, node, i):
        return np.concatenate([np.atleast_1d(v) for v in i], attributes(node)["axis"])

    def Reshape(self, node, i):
        return i[0].reshape([int(k) for k in i[1]])

    def Flatten(self, node, i):
        return i[0].reshape((i[0].shape[0], -1))


def main():
    model, source, target = sys.argv[1:]
    torch.set_num_threads(1)
    x, loaded = np.load(source), onnx.load(model)
    with torch.no_grad():
        scores = [Interpreter(loaded).run(part) for part in np.array_split(x, max(1, len(x) // 16))]
    np.save(target, np.concatenate(scores).astype(f32))


if __name__ == "__main__":
    main()
