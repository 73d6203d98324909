#!/usr/bin/env python3
"""Trains the demo's network on the pictures of generate.py and writes model.onnx.

A residual network of about 215 000 weights for 32 x 32 pictures. Needs Debian's
python3-torch and python3-onnx (toolchains/bootstrap.sh train); a few minutes on two
cores. The trained file is in the repository, so the demo itself needs none of this.

usage: train.py MODEL.onnx [--epochs N]
"""
import argparse
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import generate


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.short = None
        if stride != 1 or cin != cout:
            self.short = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.short is None else self.short(x)))


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(24)
        self.blocks = nn.Sequential(Block(24, 24, 1), Block(24, 24, 1), Block(24, 48, 2), Block(48, 48, 1),
                                    Block(48, 96, 2))
        self.fc = nn.Linear(96, classes)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn(self.stem(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--images", type=int, default=40000)
    args = parser.parse_args()
    torch.manual_seed(1)
    train_x, train_y = (torch.from_numpy(a) for a in generate.batch("train", 0, args.images))
    test_x, test_y = (torch.from_numpy(a) for a in generate.batch("test", 0, 2000))
    net = Net(len(generate.LABELS))
    print("%d weights" % sum(p.numel() for p in net.parameters()))
    steps = args.epochs * (args.images // 128)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, steps)
    for epoch in range(args.epochs):
        start, total = time.time(), 0.0
        net.train()
        for i in torch.randperm(args.images)[:args.images // 128 * 128].split(128):
            x = train_x[i]
            if np.random.rand() < 0.5:
                x = x.flip(3)
            loss = F.cross_entropy(net(x), train_y[i], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        net.eval()
        with torch.no_grad():
            right = (net(test_x).argmax(1) == test_y).float().mean().item()
        print("epoch %d: loss %.3f, test accuracy %.2f %%, %.0f s" %
              (epoch + 1, total / (args.images // 128), 100 * right, time.time() - start), flush=True)
    torch.onnx.export(net, torch.zeros(1, 3, 32, 32), args.output, opset_version=13, input_names=["image"],
                      output_names=["scores"], dynamic_axes={"image": {0: "N"}, "scores": {0: "N"}})


if __name__ == "__main__":
    main()
