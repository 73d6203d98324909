#!/usr/bin/env python3
"""Builds the ResNet-20 for CIFAR-10 as ONNX from its published checkpoint.

The checkpoint is resnet20-12fca82f.th of akamaster/pytorch_resnet_cifar10 (8.27 % test error). The
graph is that of the ResNet paper, section 4.2: a 3x3 stem, three stages of three blocks with 16, 32
and 64 channels, global average pool, one fully connected layer. Where a stage halves the image, the
shortcut has no weights ("option A"): every second pixel, with a quarter of the new channels as
zeros on either side.

Input "image" f32 [N,3,32,32], normalised with ImageNet's mean and deviation (images.py); output
"logits" f32 [N,10]. Parameters keep their names in the checkpoint; batch norms stay nodes.

Needs numpy and onnx (toolchains/bootstrap.sh models). usage: build.py CHECKPOINT.th MODEL.onnx
"""
import argparse

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

import checkpoint

OPSET = 13


class Builder:
    def __init__(self, state, shortcut):
        self.state, self.shortcut_form = state, shortcut
        self.nodes, self.initializers, self.used = [], [], set()

    def parameter(self, name):
        if name not in self.used:
            self.used.add(name)
            self.initializers.append(numpy_helper.from_array(self.state[name], name))
        return name

    def constant(self, name, values):
        self.initializers.append(numpy_helper.from_array(np.asarray(values, np.int64), name))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name + ".out"], name, **attributes))
        return name + ".out"

    def conv_bn(self, x, conv, bn, stride):
        x = self.node("Conv", [x, self.parameter(conv + ".weight")], conv, kernel_shape=[3, 3],
                      pads=[1, 1, 1, 1], strides=[stride, stride])
        names = [f"{bn}.{p}" for p in ("weight", "bias", "running_mean", "running_var")]
        return self.node("BatchNormalization", [x] + [self.parameter(n) for n in names], bn, epsilon=1e-5)

    def shortcut(self, x, name, channels):
        """Option A: x[:, :, ::2, ::2] with channels / 4 planes of zeros before and behind."""
        if self.shortcut_form == "slice":
            lists = [self.constant(f"{name}.{key}", v) for key, v in
                     (("starts", [0, 0]), ("ends", [2**31 - 1] * 2), ("axes", [2, 3]), ("steps", [2, 2]))]
            x = self.node("Slice", [x] + lists, name + ".every_second")
        else:
            x = self.node("MaxPool", [x], name + ".every_second", kernel_shape=[1, 1], strides=[2, 2])
        quarter = channels // 4
        pads = self.constant(name + ".pads", [0, quarter, 0, 0, 0, quarter, 0, 0])
        return self.node("Pad", [x, pads], name + ".zeros", mode="constant")

    def block(self, x, name, channels, stride):
        y = self.conv_bn(x, name + ".conv1", name + ".bn1", stride)
        y = self.node("Relu", [y], name + ".relu1")
        y = self.conv_bn(y, name + ".conv2", name + ".bn2", 1)
        if stride == 2:
            x = self.shortcut(x, name + ".shortcut", channels)
        y = self.node("Add", [y, x], name + ".add")
        return self.node("Relu", [y], name + ".relu2")

    def model(self):
        x = self.node("Relu", [self.conv_bn("image", "conv1", "bn1", 1)], "relu")
        for stage, channels in enumerate((16, 32, 64), 1):
            for b in range(3):
                x = self.block(x, f"layer{stage}.{b}", channels, 2 if stage > 1 and b == 0 else 1)
        x = self.node("Flatten", [self.node("GlobalAveragePool", [x], "pool")], "flatten")
        fc = [self.parameter("linear.weight"), self.parameter("linear.bias")]
        self.nodes.append(helper.make_node("Gemm", [x] + fc, ["logits"], "linear", transB=1))
        graph = helper.make_graph(
            self.nodes, "resnet20",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 32, 32])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])], self.initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=7)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("output")
    parser.add_argument("--shortcut", choices=("slice", "pool"), default="slice",
                        help="every second pixel as a Slice with steps, as PyTorch exports it, or as a "
                             "1x1 MaxPool of stride 2, which means the same (default: slice)")
    args = parser.parse_args()
    state = checkpoint.read(args.checkpoint)
    builder = Builder(state, args.shortcut)
    model = builder.model()
    left = [n for n in state if n not in builder.used and not n.endswith("num_batches_tracked")]
    if left:
        raise SystemExit(f"{args.checkpoint} holds parameters that ResNet-20 has no place for: {left}")
    checker.check_model(model, full_check=True)
    save(model, args.output)


if __name__ == "__main__":
    main()
