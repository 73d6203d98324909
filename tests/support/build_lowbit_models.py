#!/usr/bin/env python3
"""ONNX graphs of published low-bit networks whose authors gave weights but no graph.

For each model FOLDER gets NAME.onnx, NAME.in.npy (its test samples as it takes them, f32) and
NAME.labels.npy (their classes, int64); one line per model is printed: NAME, samples, classes. What
the numbers in the checkpoints mean stands in data/MANIFEST.md under the names given here:

  lfc_w1a1             BNN-PYNQ's MLP, binary (C4): integer thresholds as MultiThreshold
  cnv_w1a1             BNN-PYNQ's VGG, binary (C4): Sign, weights as plain floats of +-1
  adabin_resnet20      ResNet-20, binary with a scale and an offset on both sides (C7)
  apot_resnet20_2bit   ResNet-20, weights -1, 0, 1, activations 0, 1, 2, 4 (C8)
  apot_resnet20_4bit   ResNet-20, sums of two powers of two (C8): MultiThreshold with steps of
                       several units, weights as plain floats
  uniform_resnet10_2bit, uniform_resnet10_4bit   ResNet-10 for MNIST, uniform grids (C8): Quant

and samples alone, for models that are ONNX already: mnist_unit, mnist_raw, cifar_unit,
cifar_imagenet, cifar_imagenet_992 (whole batches of 16), imagenet_200, kws_w3a3.

Checkpoints of torch.save are programs: this script trusts its folder and is a process of its own.
--check evaluates every network in torch, from the arrays and not from the graph, and compares
with the golden outputs beside the checkpoints. --exact evaluates the networks with sums of floats
(adabin_*, apot_*, uniform_*) that way in double precision: NAME.exact.npy, their scores. The
parameters are the checkpoint's floats and what the publication rounds in f32 - which level a weight
is, the 8 bits of the first and last layer - stays; levels, sums, batch norms and which level an
activation takes are of doubles. Needs numpy, onnx, torch.

usage: build_lowbit_models.py DATA_FOLDER FOLDER [NAME ...] [--check] [--exact]
"""
import argparse
import gzip
import os

import numpy as np
import torch
from onnx import TensorProto, checker, helper, numpy_helper, save
from torch.nn import functional as F

QONNX = "qonnx.custom_op.general"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
APOT_CIFAR = ((0.491, 0.482, 0.447), (0.247, 0.243, 0.262))

# C8: magnitudes in units of the smallest step; the last one stands for the clip value.
APOT_LEVELS = {1: [0, 1], 2: [0, 1, 2, 4], 3: [0, 1, 2, 3, 4, 6, 8, 10],
               4: [0, 1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32, 33, 36, 48]}


# ---- samples ------------------------------------------------------------------------------------


def mnist(data, count):
    def idx(name, skip):
        with gzip.open(os.path.join(data, "mnist", name)) as file:
            return np.frombuffer(file.read(), np.uint8)[skip:]
    pixels = idx("t10k_first5000-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    labels = idx("t10k_first5000-labels-idx1-ubyte.gz", 8)
    return pixels[:count].astype(np.float32), labels[:count].astype(np.int64)


def cifar(data, count=1000):
    records = np.fromfile(os.path.join(data, "cifar10/cifar10_dev1000.bin"), np.uint8).reshape(-1, 3073)[:count]
    return records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32), records[:, 0].astype(np.int64)


def normalised(samples, mean, deviation):
    pixels, labels = samples
    shape = (-1, 1, 1)
    return (pixels / np.float32(255) - np.float32(mean).reshape(shape)) / np.float32(deviation).reshape(shape), labels


def unit(samples):
    return samples[0] / np.float32(255), samples[1]


def imagenet(data, count):
    from PIL import Image
    folder = os.path.join(data, "imagenet")
    rows = [row.split(",") for row in open(os.path.join(folder, "val227_labels.csv")).read().split("\n")[1:count + 1]]
    pixels = [np.asarray(Image.open(os.path.join(folder, row[0])).convert("RGB"))[1:225, 1:225] for row in rows]
    return np.stack(pixels).transpose(0, 3, 1, 2).astype(np.float32), np.array([int(row[1]) for row in rows], np.int64)


def keywords(data):
    features = np.load(os.path.join(data, "kws/kws_w3a3_mfcc_int8_500x10x49.npy"))
    rows = open(os.path.join(data, "kws/kws_labels.csv")).read().split("\n")[1:]
    labels = np.array([int(row.split(",")[1]) for row in rows if row], np.int64)
    return features[:, None].astype(np.float32) * np.float32(0.33674246), labels


SAMPLES = {
    "mnist_unit": lambda d: unit(mnist(d, 5000)),
    "mnist_raw": lambda d: mnist(d, 5000),
    "cifar_unit": lambda d: unit(cifar(d)),
    "cifar_imagenet": lambda d: normalised(cifar(d), *IMAGENET),
    "cifar_imagenet_992": lambda d: normalised(cifar(d, 992), *IMAGENET),
    "imagenet_200": lambda d: normalised(imagenet(d, 200), *IMAGENET),
    "kws_w3a3": keywords,
}


# ---- graphs -------------------------------------------------------------------------------------


class Graph:
    def __init__(self, name, shape):
        self.name, self.shape = name, shape
        self.nodes, self.initializers, self.known = [], [], {}

    def constant(self, values, name, dtype=np.float32):
        """An initializer; equal names are the same one."""
        if name not in self.known:
            self.known[name] = True
            self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, op, inputs, name, domain="", **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name, domain=domain, **attributes))
        return name

    def quant(self, x, scale, bits, signed, narrow, name):
        inputs = [x] + [self.constant(v, f"{name}.{p}") for v, p in ((scale, "scale"), (0, "zero"), (bits, "bits"))]
        return self.node("Quant", inputs, name, QONNX, signed=int(signed), narrow=int(narrow), rounding_mode="ROUND")

    def steps(self, x, thresholds, scale, bias, name):
        """bias + scale * (how many of a channel's thresholds x reaches)"""
        t = self.constant(thresholds, name + ".thresholds")
        return self.node("MultiThreshold", [x, t], name, QONNX, out_scale=float(scale), out_bias=float(bias))

    def conv(self, x, weight, name, stride=1, pad=0, weight_name=None):
        w = weight_name or self.constant(weight, name + ".weight")
        return self.node("Conv", [x, w], name, kernel_shape=list(weight.shape[2:]), strides=[stride] * 2, pads=[pad] * 4)

    def batch_norm(self, x, state, name):
        parameters = ("weight", "bias", "running_mean", "running_var")
        return self.node("BatchNormalization", [x] + [self.constant(state[f"{name}.{p}"], f"{name}.{p}") for p in parameters],
                         name, epsilon=1e-5)

    def head(self, x, weight, bias):
        self.nodes.append(helper.make_node("Gemm", [x, self.constant(weight, "fc.weight"), self.constant(bias, "fc.bias")],
                                           ["scores"], "fc", transB=1))

    def save(self, path):
        graph = helper.make_graph(
            self.nodes, self.name, [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", *self.shape])],
            [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 10])], self.initializers)
        model = helper.make_model(graph, producer_name="build_lowbit_models.py",
                                  opset_imports=[helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1)])
        model.ir_version = 7
        checker.check_model(model)
        save(model, path)


def in_type(state, dtype):
    return {name: t.to(dtype) if t.is_floating_point() else t for name, t in state.items()}


def norm(x, state, name):
    return F.batch_norm(x, *(state[f"{name}.{p}"] for p in ("running_mean", "running_var", "weight", "bias")))


# ---- BNN-PYNQ -----------------------------------------------------------------------------------


def lfc(arrays):
    """The 48 inputs that pad 784 to 832 are -1 always: their share of a sum moves its threshold."""
    g = Graph("lfc_w1a1", (1, 28, 28))
    x = g.node("Flatten", ["image"], "flat")
    x = g.node("Sub", [x, g.constant(0.5, "half")], "centred")
    x = g.steps(x, [[0.0]], 2, -1, "input")
    for layer in range(4):
        weight, threshold = arrays[f"W{layer}"], arrays[f"T{layer}"].astype(np.int64)
        if layer == 0:
            threshold = threshold + weight[:, 784:].astype(np.int64).sum(1, keepdims=True)
            weight = weight[:, :784]
        x = g.node("MatMul", [x, g.constant(weight.T, f"W{layer}")], f"sum{layer}")
        x = g.steps(x, threshold + 1, 2, -1, "scores" if layer == 3 else f"sign{layer}")
    return g


def cnv(arrays):
    g = Graph("cnv_w1a1", (3, 32, 32))
    x = g.node("Mul", ["image", g.constant(2, "two")], "doubled")
    x = g.node("Sub", [x, g.constant(1, "one")], "centred")
    x = g.quant(x, 1 / 128, 8, True, False, "pixels")
    for layer in range(9):
        weight = arrays[f"W{layer}"].astype(np.float32)
        last = layer == 8
        if layer == 6:
            x = g.node("Flatten", [x], "flat")
        if layer < 6:
            x = g.conv(x, weight, f"conv{layer}")
        else:
            x = g.node("MatMul", [x, g.constant(weight.T, f"W{layer}")], "scores" if last else f"fc{layer}")
        if last:
            break
        # sum > T, and never equal: half way to the next integer (sums of layer 0 are of 1/128)
        shape = (-1, 1, 1) if layer < 6 else (-1,)
        threshold = (arrays[f"T{layer}"].astype(np.float32) + 0.5).reshape(shape) / (128 if layer == 0 else 1)
        x = g.node("Sub", [x, g.constant(threshold, f"T{layer}")], f"over{layer}")
        x = g.node("Sign", [x], f"sign{layer}")
        if layer in (1, 3):
            x = g.node("MaxPool", [x], f"pool{layer}", kernel_shape=[2, 2], strides=[2, 2])
    return g


def cnv_scores(arrays, x):
    x = torch.clamp(torch.floor((x * 2 - 1) * 128 + 0.5), -128, 127)
    for layer in range(9):
        w = torch.from_numpy(arrays[f"W{layer}"].astype(np.float32))
        x = F.conv2d(x, w) if layer < 6 else F.linear(x.flatten(1), w)
        if layer == 8:
            return x
        t = torch.from_numpy(arrays[f"T{layer}"].astype(np.float32)).reshape((-1, 1, 1) if layer < 6 else (-1,))
        x = torch.where(x > t, 1.0, -1.0)
        if layer in (1, 3):
            x = F.max_pool2d(x, 2)


def lfc_scores(arrays, x):
    x = torch.where(x.flatten(1) >= 128 / 255, 1.0, -1.0)
    x = torch.cat([x, -torch.ones(len(x), 48)], 1)
    for layer in range(4):
        w, t = (torch.from_numpy(arrays[f"{k}{layer}"].astype(np.float32)) for k in "WT")
        x = torch.where(F.linear(x, w) > t[:, 0], 1.0, -1.0)
    return x


# ---- AdaBin -------------------------------------------------------------------------------------


def two_values(w):
    """C7: alpha * sign(w - beta) + beta of every output channel."""
    beta = w.mean((1, 2, 3), keepdim=True)
    alpha = ((w - beta) ** 2).mean((1, 2, 3), keepdim=True).sqrt()
    return alpha * torch.sign(w - beta) + beta


def adabin(state):
    g = Graph("adabin_resnet20", (3, 32, 32))

    def maxout(x, name):
        def factor(key):
            return g.constant(state[f"{name}.{key}"].reshape(1, -1, 1, 1), f"{name}.{key}")
        up = g.node("Mul", [g.node("Relu", [x], name + ".up"), factor("pos_scale")], name + ".up_scaled")
        down = g.node("Relu", [g.node("Neg", [x], name + ".neg")], name + ".down")
        return g.node("Sub", [up, g.node("Mul", [down, factor("neg_scale")], name + ".down_scaled")], name)

    def binary_conv(x, name, stride):
        alpha, beta = (state[f"{name}.binary_a.{k}"] for k in ("alpha_a", "beta_a"))
        x = g.node("Sub", [x, g.constant(beta, name + ".beta")], name + ".centred")
        x = g.node("BipolarQuant", [x, g.constant(abs(alpha), name + ".alpha")], name + ".sign", QONNX)
        x = g.node("Add", [x, g.constant(alpha * beta, name + ".offset")], name + ".input")
        return g.conv(x, two_values(state[name + ".weight"]), name, stride, 1)

    def shortcut(x, name, channels):
        lists = [g.constant(v, f"{name}.{k}", np.int64) for k, v in
                 (("starts", [0, 0]), ("ends", [2**31 - 1] * 2), ("axes", [2, 3]), ("steps", [2, 2]))]
        x = g.node("Slice", [x] + lists, name + ".every_second")
        pads = g.constant([0, channels // 4, 0, 0] * 2, name + ".pads", np.int64)
        return g.node("Pad", [x, pads], name + ".zeros", mode="constant")

    x = g.conv("image", state["conv1.weight"], "conv1", 1, 1)
    x = maxout(g.batch_norm(x, state, "bn1"), "nonlinear1")
    for name, channels, stride in resnet20_blocks():
        y = g.batch_norm(binary_conv(x, name + ".conv1", stride), state, name + ".bn1")
        x = shortcut(x, name + ".shortcut", channels) if stride == 2 else x
        y = maxout(g.node("Add", [y, x], name + ".add1"), name + ".nonlinear1")
        z = g.batch_norm(binary_conv(y, name + ".conv2", 1), state, name + ".bn2")
        x = maxout(g.node("Add", [z, y], name + ".add2"), name + ".nonlinear2")
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x], "pool")], "flat")
    g.head(g.batch_norm(x, state, "bn2"), state["linear.weight"], state["linear.bias"])
    return g


def adabin_scores(state, x):
    binary = {name: two_values(w).to(x.dtype) for name, w in state.items() if w.dim() == 4 and name != "conv1.weight"}
    state = in_type(state, x.dtype)

    def maxout(x, name):
        up, down = (state[f"{name}.{k}"].reshape(1, -1, 1, 1) for k in ("pos_scale", "neg_scale"))
        return up * F.relu(x) - down * F.relu(-x)

    def conv(x, name, stride):
        alpha, beta = (state[f"{name}.binary_a.{k}"] for k in ("alpha_a", "beta_a"))
        return F.conv2d(alpha * (torch.sign((x - beta) / alpha) + beta), binary[name + ".weight"], None, stride, 1)

    x = maxout(norm(F.conv2d(x, state["conv1.weight"], None, 1, 1), state, "bn1"), "nonlinear1")
    for name, channels, stride in resnet20_blocks():
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, channels // 4, channels // 4)) if stride == 2 else x
        y = maxout(norm(conv(x, name + ".conv1", stride), state, name + ".bn1") + short, name + ".nonlinear1")
        x = maxout(norm(conv(y, name + ".conv2", 1), state, name + ".bn2") + y, name + ".nonlinear2")
    return F.linear(norm(x.mean((2, 3)), state, "bn2"), state["linear.weight"], state["linear.bias"])


# ---- APoT and its uniform grids -----------------------------------------------------------------


def resnet20_blocks():
    for stage in range(3):
        for block in range(3):
            yield f"layer{stage + 1}.{block}", 16 << stage, 2 if stage and not block else 1


def resnet10_blocks():
    for stage in range(4):
        yield f"layer{stage + 1}.0", 16 << stage, 2 if stage else 1


def middles(levels):
    return (levels[1:] + levels[:-1]) / 2


def nearest(x, levels):
    """Indices of the nearest of `levels`, the lower one in the middle, which is rounded to x's type."""
    return torch.bucketize(x, middles(levels))


def first_above(middle, alpha):
    """The least float x with x / alpha > middle, the quotient being rounded to f32 as well."""
    def is_above(x):
        return np.float32(x) / alpha > middle
    x = np.float32(middle * alpha)
    while not is_above(x):
        x = np.nextafter(x, np.float32(np.inf))
    while is_above(np.nextafter(x, np.float32(0))):
        x = np.nextafter(x, np.float32(0))
    return x


class Powers:
    """Levels of APoT, for weights of b bits (a sign and b - 1) and activations of b."""

    def __init__(self, bits):
        self.weights = torch.tensor(APOT_LEVELS[bits - 1], dtype=torch.float32)
        self.inputs = torch.tensor(APOT_LEVELS[bits], dtype=torch.float32)

    def weight(self, unit_weight, dtype=torch.float32):
        """The nearest levels of 1, in dtype; which those are is decided in f32."""
        found, weights = nearest(unit_weight.abs(), self.weights / self.weights[-1]), self.weights.to(dtype)
        return weights[found] / weights[-1] * unit_weight.sign()

    def weight_node(self, g, weight, alpha, name):
        return g.constant(weight * alpha, name)

    def input(self, unit_input):
        inputs = self.inputs.to(unit_input.dtype)
        return inputs[nearest(unit_input, inputs / inputs[-1])] / inputs[-1]

    def input_node(self, g, x, alpha, name):
        """A step of n units is n thresholds in one place: just above the middle between levels."""
        alpha, units = np.float32(alpha), np.diff(self.inputs.numpy()).astype(int)
        above = [first_above(m, alpha) for m in middles(self.inputs / self.inputs[-1]).numpy()]
        return g.steps(x, np.repeat(above, units)[None], float(alpha) / float(self.inputs[-1]), 0, name)


class Uniform:
    def __init__(self, bits):
        self.bits, self.most, self.input_most = bits, 2 ** (bits - 1) - 1, 2**bits - 1

    def weight(self, unit_weight, dtype=torch.float32):
        return torch.round(unit_weight * self.most).to(dtype) / self.most

    def weight_node(self, g, weight, alpha, name):
        scale = abs(float(alpha)) / self.most
        whole = torch.round(weight * self.most) * (1 if alpha > 0 else -1)
        return g.quant(g.constant(whole * scale, name + ".floats"), scale, self.bits, True, True, name)

    def input(self, unit_input):
        return torch.round(unit_input * self.input_most) / self.input_most

    def input_node(self, g, x, alpha, name):
        return g.quant(x, float(alpha) / self.input_most, self.bits, False, False, name)


def eight_bits(w):
    """First and last layer: 127 steps up to the largest weight (not magnitude)."""
    return torch.round(w / w.max() * 127) / 127 * w.max()


def clip_of(state, conv):
    return state[conv + (".weight_quant.wgt_alpha" if conv + ".weight_quant.wgt_alpha" in state else ".weight_alpha")]


def unit_weight(state, conv):
    w = state[conv + ".weight"]
    return torch.clamp((w - w.mean()) / w.std() / clip_of(state, conv), -1, 1)


def apot(name, state, grid, shape, mnist_stem, blocks):
    g = Graph(name, shape)

    def conv_bn(x, conv, bn, stride, pad):
        alpha = state[conv + ".act_alpha"]
        x = grid.input_node(g, x, alpha, conv + ".input")
        weight = grid.weight(unit_weight(state, conv))
        node = grid.weight_node(g, weight, clip_of(state, conv), conv + ".weight")
        return g.batch_norm(g.conv(x, weight, conv, stride, pad, node), state, bn)

    stem = eight_bits(state["conv1.weight"])
    x = g.conv("image", stem, "conv1", *((2, 3) if mnist_stem else (1, 1)))
    x = g.node("Relu", [g.batch_norm(x, state, "bn1")], "relu")
    if mnist_stem:
        x = g.node("MaxPool", [x], "maxpool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for name, _, stride in blocks:
        y = g.node("Relu", [conv_bn(x, name + ".conv1", name + ".bn1", stride, 1)], name + ".relu1")
        y = conv_bn(y, name + ".conv2", name + ".bn2", 1, 1)
        if name + ".downsample.0.weight" in state:
            x = conv_bn(x, name + ".downsample.0", name + ".downsample.1", stride, 0)
        x = g.node("Relu", [g.node("Add", [y, x], name + ".add")], name + ".relu2")
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x], "pool")], "flat")
    g.head(x, eight_bits(state["fc.weight"]), state["fc.bias"])
    return g


def apot_scores(floats, grid, mnist_stem, blocks, x):
    state = in_type(floats, x.dtype)

    def conv(x, name, stride, pad):
        alpha = state[name + ".act_alpha"]
        quantized = grid.input(torch.clamp(x / alpha, 0, 1)) * alpha
        weight = grid.weight(unit_weight(floats, name), x.dtype) * clip_of(state, name)
        return F.conv2d(quantized, weight, None, stride, pad)

    stem = eight_bits(floats["conv1.weight"]).to(x.dtype)
    x = F.relu(norm(F.conv2d(x, stem, None, *((2, 3) if mnist_stem else (1, 1))), state, "bn1"))
    x = F.max_pool2d(x, 3, 2, 1) if mnist_stem else x
    for name, _, stride in blocks:
        y = F.relu(norm(conv(x, name + ".conv1", stride, 1), state, name + ".bn1"))
        y = norm(conv(y, name + ".conv2", 1, 1), state, name + ".bn2")
        if name + ".downsample.0.weight" in state:
            x = norm(conv(x, name + ".downsample.0", stride, 0), state, name + ".downsample.1")
        x = F.relu(y + x)
    return F.linear(x.mean((2, 3)), eight_bits(floats["fc.weight"]).to(x.dtype), state["fc.bias"])


# ---- the list -----------------------------------------------------------------------------------


class Model:
    def __init__(self, file, golden, samples, graph, scores):
        self.file, self.golden, self.samples, self.graph, self.scores = file, golden, samples, graph, scores

    def load(self, data):
        path = os.path.join(data, self.file)
        if path.endswith(".npz"):
            return dict(np.load(path))
        state = torch.load(path, map_location="cpu")["state_dict"]
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def apot_model(name, file, grid, is_mnist):
    blocks = list(resnet10_blocks() if is_mnist else resnet20_blocks())
    samples = (lambda d: normalised(mnist(d, 2000), 0.131, 0.308)) if is_mnist else (lambda d: normalised(cifar(d), *APOT_CIFAR))
    return Model(f"lowbit/{file}.pth.tar", f"lowbit/{file}.golden_logits_first100.npy", samples,
                 lambda s: apot(name, s, grid, (1, 28, 28) if is_mnist else (3, 32, 32), is_mnist, blocks),
                 lambda s, x: apot_scores(s, grid, is_mnist, blocks, x))


MODELS = {
    "lfc_w1a1": Model("binary/lfcW1A1_mnist.npz", "binary/lfcW1A1_mnist.golden_out_first100.npy", SAMPLES["mnist_unit"], lfc, lfc_scores),
    "cnv_w1a1": Model("binary/cnvW1A1_cifar10.npz", "binary/cnvW1A1_cifar10.golden_scores_first100.npy", SAMPLES["cifar_unit"],
                      cnv, cnv_scores),
    "adabin_resnet20": Model("lowbit/adabin_cifar_resnet20_1w1a.th", "lowbit/adabin_cifar_resnet20_1w1a.golden_logits_first100.npy",
                             SAMPLES["cifar_imagenet"], adabin, adabin_scores),
    "apot_resnet20_2bit": apot_model("apot_resnet20_2bit", "apot_cifar_resnet20_2bit", Powers(2), False),
    "apot_resnet20_4bit": apot_model("apot_resnet20_4bit", "apot_cifar_resnet20_4bit", Powers(4), False),
    "uniform_resnet10_2bit": apot_model("uniform_resnet10_2bit", "apot_mnist_resnet10_2bit_uniform", Uniform(2), True),
    "uniform_resnet10_4bit": apot_model("uniform_resnet10_4bit", "apot_mnist_resnet10_4bit_uniform", Uniform(4), True),
}


def scores_of(model, state, pixels, dtype):
    with torch.no_grad():
        return np.concatenate([model.scores(state, torch.from_numpy(part).to(dtype)).numpy() for part in np.array_split(pixels, 10)])


def check(name, model, state, samples, data):
    pixels, labels = samples
    scores = scores_of(model, state, pixels, torch.float32)
    golden = np.load(os.path.join(data, model.golden))
    off = np.abs(scores[:len(golden)] - golden).max(1)
    print(f"{name}: largest difference from golden {off.max():.2e}, rows off by more than 1e-3: {(off > 1e-3).sum()}, "
          f"correct {(scores.argmax(1) == labels).sum()} of {len(labels)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*", default=[*MODELS, *SAMPLES])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--exact", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.names:
        samples = (MODELS[name].samples if name in MODELS else SAMPLES[name])(args.data)
        path = os.path.join(args.folder, name)
        np.save(path + ".in.npy", samples[0])
        np.save(path + ".labels.npy", samples[1])
        if name in MODELS:
            state = MODELS[name].load(args.data)
            MODELS[name].graph(state).save(path + ".onnx")
            if args.check:
                check(name, MODELS[name], state, samples, args.data)
            if args.exact and not name.endswith("w1a1"):
                exact = scores_of(MODELS[name], state, samples[0], torch.float64)
                np.save(path + ".exact.npy", exact.astype(np.float32))
        print(name, len(samples[1]), samples[1].max() + 1, flush=True)


if __name__ == "__main__":
    main()
