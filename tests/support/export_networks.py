#!/usr/bin/env python3
"""Small networks as PyTorch's exporter writes them, for tests of the converter.

Every network is a handful of layers with random weights whose point is the graph around them:
shape arithmetic, attention, resizing, normalization, odd padding. Writes into FOLDER, for every
network and opset, NAME_OPSET.onnx (batch free where qrt-convert can leave it so), and for every network
NAME.in.npy and PyTorch's outputs NAME.out0.npy, ... Prints one line per model: the file, then the
names of its outputs. Needs torch and onnx (toolchains/bootstrap.sh train).

usage: export_networks.py FOLDER [--opsets 11,17]
"""
import argparse
import math
import os
import warnings

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F


class Inverted(nn.Module):
    """MobileNetV3's block: depthwise 5x5, squeeze and excite, hard activations."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        self.expand = nn.Sequential(nn.Conv2d(16, 32, 1, bias=False), nn.BatchNorm2d(32), nn.Hardswish(),
                                    nn.Conv2d(32, 32, 5, 1, 2, groups=32, bias=False), nn.BatchNorm2d(32), nn.ReLU6())
        self.squeeze, self.excite = nn.Conv2d(32, 8, 1), nn.Conv2d(8, 32, 1)
        self.project = nn.Sequential(nn.Conv2d(32, 16, 1, bias=False), nn.BatchNorm2d(16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        y = self.expand(x)
        y = y * F.hardsigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        return self.fc((x + self.project(y)).mean([2, 3]))


class Shuffle(nn.Module):
    """ShuffleNet's channel shuffle, sizes read from the tensor."""

    def __init__(self):
        super().__init__()
        self.mix, self.depthwise = nn.Conv2d(8, 16, 1), nn.Conv2d(8, 8, 3, padding=1, groups=8)

    def forward(self, x):
        a, b = self.mix(x).chunk(2, 1)
        x = torch.cat((self.depthwise(a), b), 1)
        n, c, h, w = x.size()
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


class UNet(nn.Module):
    """Odd sizes: the decoder is padded to the encoder's size and resized to the input's."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.merge, self.out = nn.Conv2d(16, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        a = F.leaky_relu(self.down1(x), 0.1)
        u = self.up(F.elu(self.down2(F.max_pool2d(a, 2))))
        u = F.pad(u, [0, a.size(3) - u.size(3), 0, a.size(2) - u.size(2)])
        y = self.out(F.relu(self.merge(torch.cat([u, a], 1))))
        return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)


class Pyramid(nn.Module):
    """Three ways to resize to the size of another tensor."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)

    def forward(self, x):
        a = F.silu(self.a(x))
        b = F.softplus(self.b(a))
        nearest = F.interpolate(b, scale_factor=2, mode="nearest")
        corners = F.interpolate(b, size=(a.shape[2], a.shape[3]), mode="bilinear", align_corners=True)
        cubic = F.interpolate(b, scale_factor=2.0, mode="bicubic", align_corners=False)
        return torch.cat([a + nearest, corners, cubic], 1)


class Attention(nn.Module):
    """A transformer block written out: two activations multiplied, LayerNorm, GELU."""

    def __init__(self, width=16, heads=4, tokens=6):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, 32), nn.Linear(32, width)
        self.position = nn.Parameter(torch.randn(1, tokens, width) * 0.1)

    def forward(self, x):
        x = x + self.position
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        a = (q @ k.transpose(-2, -1) / math.sqrt(d // self.heads)).softmax(-1) @ v
        x = x + self.proj(a.transpose(1, 2).reshape(n, t, d))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vision(nn.Module):
    """Patches, a class token expanded to the batch, one attention block."""

    def __init__(self):
        super().__init__()
        self.patch, self.block, self.head = nn.Conv2d(3, 16, 8, 8), Attention(tokens=17), nn.Linear(16, 5)
        self.token = nn.Parameter(torch.randn(1, 1, 16))

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.head(self.block(x)[:, 0])


class Norms(nn.Module):
    """Group and instance norm, reflected and replicated padding, a slope per channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")
        self.rest = nn.Sequential(nn.GroupNorm(4, 8), nn.InstanceNorm2d(8, affine=True), nn.PReLU(8),
                                  nn.ConvTranspose2d(8, 4, 4, 2, 1),
                                  nn.Conv2d(4, 4, 3, padding=1, padding_mode="replicate"))

    def forward(self, x):
        return self.rest(self.conv(x))


class Tail(nn.Module):
    """What stands behind detectors and embeddings: slices with steps, norms, reductions, top-k."""

    def forward(self, x):
        y = torch.where(x > 0, x.pow(2), torch.abs(x).sqrt()).clamp(-1, 2)
        z = F.pixel_shuffle(y, 2)[:, :, 1:-1, ::2]
        unit = F.normalize(y, dim=1)
        return (z.sum(1), F.pixel_unshuffle(y, 2).max(3)[0], unit.min(1)[0], torch.norm(y, dim=(2, 3)),
                torch.log_softmax(y, 1), y.argmax(1), y.flatten(1).topk(3)[0])


class Signal(nn.Module):
    """One dimension throughout."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 8, 3, padding=2, dilation=2), nn.BatchNorm1d(8)
        self.up, self.fc = nn.ConvTranspose1d(8, 4, 3, 2, 1, 1), nn.Linear(4, 3)

    def forward(self, x):
        y = F.max_pool1d(F.relu(self.norm(self.conv(x))), 2)
        y = F.avg_pool1d(torch.tanh(self.up(y)), 3, 1, 1)
        return self.fc(y.transpose(1, 2)), F.adaptive_max_pool1d(x, 1)


class Volume(nn.Module):
    """Three dimensions."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4)

    def forward(self, x):
        return F.adaptive_avg_pool3d(F.max_pool3d(F.relu(self.norm(self.conv(x))), 2), 1).flatten(1)


class Activations(nn.Module):
    """Activations that ONNX has no operator for, or one of several spellings."""

    def forward(self, x):
        return (F.mish(x) + F.hardtanh(x) + F.logsigmoid(x) + F.tanhshrink(x) + F.relu6(x) + torch.erf(x)
                + F.gelu(x, approximate="tanh") + torch.exp(-x.abs()) + F.selu(x))


NETWORKS = {
    "inverted": (Inverted, (3, 32, 32)), "shuffle": (Shuffle, (8, 6, 6)), "unet": (UNet, (3, 17, 23)),
    "pyramid": (Pyramid, (3, 16, 16)), "attention": (Attention, (6, 16)), "vision": (Vision, (3, 32, 32)),
    "norms": (Norms, (3, 12, 12)), "tail": (Tail, (4, 6, 8)), "signal": (Signal, (4, 20)),
    "volume": (Volume, (2, 6, 8, 8)), "activations": (Activations, (50,)),
}

# Attention moves the batch to another dimension and back, and the class token is repeated for it:
# both take a fixed batch.
FIXED_BATCH = ("attention", "vision")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--opsets", default="11,17")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.manual_seed(1)
    torch.set_num_threads(1)
    for name, (network, shape) in NETWORKS.items():
        net = network().eval()
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        x = torch.randn(2, *shape)
        path = os.path.join(args.folder, name)
        with torch.no_grad():
            outputs = net(x)
        np.save(path + ".in.npy", x.numpy())
        for i, y in enumerate(outputs if isinstance(outputs, tuple) else (outputs,)):
            np.save(f"{path}.out{i}.npy", y.numpy())
        for opset in args.opsets.split(","):
            file = f"{path}_{opset}.onnx"
            torch.onnx.export(net, x, file, opset_version=int(opset), input_names=["x"],
                              dynamic_axes=None if name in FIXED_BATCH else {"x": {0: "N"}})
            print(file, *(o.name for o in onnx.load(file).graph.output), flush=True)


if __name__ == "__main__":
    main()
