#!/usr/bin/env python3
"""Labelled float networks as qrt-convert takes them: model, calibration samples, test samples, classes.

For each NAME that FOLDER is asked for, it gets NAME.onnx and

  NAME.calibration   .npy, or a folder of pictures: the first fifth of the samples (of the ImageNet
                     pictures, sorted by name, the first 150), at most as many as NAME.args says
  NAME.test          the others
  NAME.truth         their classes: a line each, or .csv with the names of pictures
  NAME.args          what qrt-convert is to be told, a word per line, --calibrate and --test included

  mnist        mnist-8 of the ONNX model zoo
  keywords     the DS-CNN of MLPerf Tiny's open division, pruned
  resnet20     CIFAR-10, from its checkpoint (examples/resnet20)
  resnet8      CIFAR-10, MLPerf Tiny; from TensorFlow Lite
  squeezenet   ImageNet, Deep Compression's weights
  mobilenet    MobileNet-V1, a quarter of the width; ImageNet; from TensorFlow Lite
  resnet18     ImageNet; "And the Bit Goes Down"'s codebooks, decoded to plain floats

TensorFlow Lite files are read by the few lines below, which know the operators of these two networks
and no others; their softmax is left out. The ONNX graph takes images N,C,H,W. Needs numpy, onnx.

usage: build_float_models.py DATA_FOLDER FOLDER NAME...
"""
import argparse
import gzip
import os
import struct
import subprocess
import sys

import numpy as np
from onnx import TensorProto, checker, helper, load, numpy_helper, save

HERE = os.path.dirname(os.path.abspath(__file__))
RESNET20 = os.path.join(HERE, "../../examples/resnet20")
VAL = "imagenet/val227"


# ---- TensorFlow Lite ----------------------------------------------------------------------------


class Table:
    """A FlatBuffers table: fields by their number in the schema."""

    def __init__(self, data, at):
        self.data, self.at = data, at
        self.vtable = at - struct.unpack_from("<i", data, at)[0]

    def place(self, field):
        size = struct.unpack_from("<H", self.data, self.vtable)[0]
        offset = struct.unpack_from("<H", self.data, self.vtable + 4 + 2 * field)[0] if 4 + 2 * field < size else 0
        return self.at + offset if offset else None

    def number(self, field, kind="i", default=0):
        at = self.place(field)
        return default if at is None else struct.unpack_from("<" + kind, self.data, at)[0]

    def follow(self, at):
        return at + struct.unpack_from("<I", self.data, at)[0]

    def table(self, field):
        at = self.place(field)
        return None if at is None else Table(self.data, self.follow(at))

    def tables(self, field):
        at = self.place(field)
        if at is None:
            return []
        at = self.follow(at)
        return [Table(self.data, self.follow(at + 4 + 4 * i)) for i in range(struct.unpack_from("<I", self.data, at)[0])]

    def vector(self, field, dtype):
        at = self.place(field)
        if at is None:
            return np.zeros(0, dtype)
        at = self.follow(at)
        return np.frombuffer(self.data, dtype, struct.unpack_from("<I", self.data, at)[0], at + 4)


ADD, AVERAGE_POOL, CONV, DEPTHWISE, FULLY_CONNECTED, RESHAPE, SOFTMAX, SQUEEZE = 0, 1, 3, 4, 9, 22, 25, 43
PADDING = ["SAME_UPPER", "VALID"]
FLOAT32 = 0


class FromTflite:
    """A float network of few operators; images turn from NHWC to NCHW, and so do the weights."""

    def __init__(self, path):
        model = Table(open(path, "rb").read(), 0)
        model = Table(model.data, model.follow(0))
        self.codes = [c.number(0, "b") or c.number(3) for c in model.tables(1)]
        self.graph = model.tables(2)[0]
        self.tensors, self.buffers = self.graph.tables(0), model.tables(4)
        self.nodes, self.initializers = [], []

    def shape(self, t):
        return [int(d) for d in self.tensors[t].vector(0, "<i4")]

    def data(self, t):
        if self.tensors[t].number(1, "b") != FLOAT32:
            raise SystemExit(f"tensor {t} is not of f32")
        return self.buffers[self.tensors[t].number(2, "I")].vector(0, "u1").view("<f4").reshape(self.shape(t))

    def constant(self, values, name):
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name, **attributes))
        return name

    def activated(self, x, kind, name):
        if kind == 0:
            return x
        if kind == 1:
            return self.node("Relu", [x], name)
        if kind == 3:
            limits = [self.constant(np.float32(v), f"{name}.{v}") for v in (0, 6)]
            return self.node("Clip", [x] + limits, name)
        raise SystemExit(f"{name}: activation {kind} is not known here")

    def layer(self, code, op, name, x):
        inputs, options = op.vector(1, "<i4"), op.table(4)
        if code in (CONV, DEPTHWISE):
            w, b = self.data(inputs[1]), self.data(inputs[2])
            w = w.transpose(3, 0, 1, 2) if code == DEPTHWISE else w.transpose(0, 3, 1, 2)
            w = w.reshape(-1, 1, *w.shape[2:]) if code == DEPTHWISE else w
            y = self.node("Conv", [x[0], self.constant(w, name + ".weight"), self.constant(b, name + ".bias")], name,
                          kernel_shape=list(w.shape[2:]), strides=[options.number(2), options.number(1)],
                          auto_pad=PADDING[options.number(0, "b")], group=w.shape[0] if code == DEPTHWISE else 1)
            return self.activated(y, options.number(4 if code == DEPTHWISE else 3, "b"), name + ".clamp")
        if code == ADD:
            return self.activated(self.node("Add", x, name), options.number(0, "b"), name + ".clamp")
        if code == AVERAGE_POOL:
            return self.node("AveragePool", x, name, kernel_shape=[options.number(4), options.number(3)],
                             strides=[options.number(2), options.number(1)], auto_pad=PADDING[options.number(0, "b")])
        if code in (RESHAPE, SQUEEZE):  # of maps of one pixel in these networks
            return self.node("Flatten", x[:1], name)
        if code == FULLY_CONNECTED:
            w, b = self.data(inputs[1]), self.data(inputs[2])
            names = [self.constant(w, name + ".weight"), self.constant(b, name + ".bias")]
            return self.activated(self.node("Gemm", x[:1] + names, name, transB=1), options.number(0, "b"), name + ".clamp")
        raise SystemExit(f"{name}: operator {code} is not known here")

    def convert(self, name):
        first = int(self.graph.vector(1, "<i4")[0])
        _, height, width, channels = self.shape(first)
        made = {first: "image"}
        for i, op in enumerate(self.graph.tables(3)):
            code = self.codes[op.number(0, "I")]
            x = [made[t] for t in op.vector(1, "<i4") if t in made]
            if code == SOFTMAX:
                break
            last = int(op.vector(2, "<i4")[0])
            scores = made[last] = self.layer(code, op, f"layer{i}", x)
        graph = helper.make_graph(
            self.nodes, name, [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", channels, height, width])],
            [helper.make_tensor_value_info(scores, TensorProto.FLOAT, ["N", self.shape(last)[-1]])], self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
        checker.check_model(model)
        return model


# ---- codebooks ----------------------------------------------------------------------------------


def decoded(path):
    """Cast, Gather and Reshape of constants, computed."""
    model = load(path)
    graph = model.graph
    known = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    kept, made = [], []
    for node in graph.node:
        if node.op_type not in ("Cast", "Gather", "Reshape") or any(n not in known for n in node.input):
            kept.append(node)
            continue
        x = [known[n] for n in node.input]
        if node.op_type == "Cast":
            to = next(a.i for a in node.attribute if a.name == "to")
            y = x[0].astype(helper.mapping.TENSOR_TYPE_TO_NP_TYPE[to])
        elif node.op_type == "Gather":
            y = np.take(x[0], x[1], axis=next((a.i for a in node.attribute if a.name == "axis"), 0))
        else:
            y = x[0].reshape(x[1])
        known[node.output[0]] = y
        made.append(node.output[0])
    used = {n for node in kept for n in node.input}
    tensors = [numpy_helper.from_array(np.ascontiguousarray(known[n]), n) for n in sorted(used & set(known))]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensors)
    checker.check_model(model)
    return model


# ---- samples ------------------------------------------------------------------------------------


def mnist(data):
    def idx(name, skip):
        with gzip.open(os.path.join(data, "mnist", name)) as file:
            return np.frombuffer(file.read(), np.uint8)[skip:]
    pixels = idx("t10k_first5000-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)
    return pixels.astype(np.float32), idx("t10k_first5000-labels-idx1-ubyte.gz", 8)


def keywords(data):
    x = np.load(os.path.join(data, "kws/kws01_ref_mfcc_int8_500x49x10.npy")).astype(np.float32)
    head, *rows = [line.strip().split(",") for line in open(os.path.join(data, "kws/kws_labels.csv"))]
    labels = np.array([int(row[head.index("class_index")]) for row in rows])
    return ((x - 83) * np.float32(0.5847029089927673))[..., None], labels


def cifar(data, mean=0.0, deviation=1.0):
    records = np.fromfile(os.path.join(data, "cifar10/cifar10_dev1000.bin"), np.uint8).reshape(-1, 3073)
    pixels = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32)
    if np.ndim(mean):
        pixels = (pixels / 255 - np.float32(mean)[:, None, None]) / np.float32(deviation)[:, None, None]
    return pixels, records[:, 0]


def write_rows(stem, samples, calibrate):
    x, labels = samples
    fifth = len(x) // 5
    np.save(stem + ".calibration.npy", x[:fifth])
    np.save(stem + ".test.npy", x[fifth:])
    np.savetxt(stem + ".truth", labels[fifth:], fmt="%d")
    return ["--calibrate", stem + ".calibration.npy", "--calibrate-rows", str(calibrate),
            "--test", stem + ".test.npy", "--truth", stem + ".truth"]


def write_pictures(stem, data, preprocess, background=0):
    """`background`: classes in front of the first of ImageNet's."""
    folder = os.path.abspath(os.path.join(data, VAL))
    names = sorted(os.listdir(folder))
    for part, some in ((".calibration", names[:150]), (".test", names[150:])):
        os.makedirs(stem + part, exist_ok=True)
        for name in some:
            if not os.path.lexists(os.path.join(stem + part, name)):
                os.symlink(os.path.join(folder, name), os.path.join(stem + part, name))
    with open(os.path.join(data, "imagenet/val227_labels.csv")) as given, open(stem + ".truth.csv", "w") as out:
        head, *rows = [line.strip().split(",") for line in given]
        out.write("file,class_index\n")
        for row in rows:
            out.write(f"{row[head.index('file')]},{int(row[head.index('class_index')]) + background}\n")
    return ["--preprocess", preprocess, "--calibrate", stem + ".calibration", "--calibrate-rows", "150",
            "--test", stem + ".test", "--truth", stem + ".truth.csv"]


# ---- the list -----------------------------------------------------------------------------------


def resnet20(data):
    out = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"resnet20-{os.getpid()}.onnx")
    subprocess.run([sys.executable, "-B", os.path.join(RESNET20, "build.py"),
                    os.path.join(data, "lowbit/cifar_resnet20_f32.th"), out], check=True)
    model = load(out)
    os.remove(out)
    return model


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
MODELS = {
    "mnist": lambda d: load(os.path.join(d, "onnx/mnist-8.onnx")),
    "keywords": lambda d: load(os.path.join(d, "onnx/mlperf_open_kws_f32.onnx")),
    "resnet20": resnet20,
    "resnet8": lambda d: FromTflite(os.path.join(d, "tflite/ic_resnet8_f32.tflite")).convert("resnet8"),
    "squeezenet": lambda d: load(os.path.join(d, "deepcompression/squeezenet_dc_decoded_f32.onnx")),
    "mobilenet": lambda d: FromTflite(os.path.join(d, "tflite/mobilenet_v1_0.25_224_f32.tflite")).convert("mobilenet"),
    "resnet18": lambda d: decoded(os.path.join(d, "killthebits/resnet18_small_blocks.codebook.onnx")),
}
BGR = '{"channels": "bgr", "scale": 1, "mean": [104, 117, 123], "std": [1, 1, 1]}'
UNIT = '{"crop": 224, "scale": 1, "mean": [127.5, 127.5, 127.5], "std": [127.5, 127.5, 127.5]}'
SAMPLES = {
    "mnist": lambda d, stem: write_rows(stem, mnist(d), 200),
    "keywords": lambda d, stem: write_rows(stem, keywords(d), 200),
    "resnet20": lambda d, stem: write_rows(stem, cifar(d, *IMAGENET), 200),
    "resnet8": lambda d, stem: write_rows(stem, cifar(d), 200),
    "squeezenet": lambda d, stem: write_pictures(stem, d, BGR),
    "mobilenet": lambda d, stem: write_pictures(stem, d, UNIT, 1),
    "resnet18": lambda d, stem: write_pictures(stem, d, "imagenet-crop"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("folder")
    parser.add_argument("names", nargs="+", choices=sorted(MODELS))
    args = parser.parse_args()
    for name in args.names:
        stem = os.path.join(os.path.abspath(args.folder), name)
        save(MODELS[name](args.data), stem + ".onnx")
        words = SAMPLES[name](args.data, stem)
        with open(stem + ".args", "w") as out:
            out.writelines(word + "\n" for word in words)


if __name__ == "__main__":
    main()
