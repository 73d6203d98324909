#!/usr/bin/env python3
"""CIFAR-10 pictures as the network of build.py takes them.

Reads records of CIFAR-10's binary version (a label byte, then 3072 bytes: the red, green and blue
planes of 32x32) and writes OUT.npy, f32 [count,3,32,32], normalised, and OUT.labels.txt, one class
number per line.

usage: images.py RECORDS.bin OUT.npy [--first 0] [--count ALL]
"""
import argparse

import numpy as np

MEAN = np.float32([0.485, 0.456, 0.406])[:, None, None]
STD = np.float32([0.229, 0.224, 0.225])[:, None, None]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("records")
    parser.add_argument("output")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int)
    args = parser.parse_args()
    data = np.fromfile(args.records, np.uint8)
    if data.size == 0 or data.size % 3073:
        raise SystemExit(f"{args.records} has {data.size} bytes; expected records of 3073")
    data = data.reshape(-1, 3073)
    if not 0 <= args.first < len(data):
        raise SystemExit(f"--first is {args.first}; {args.records} has records 0 to {len(data) - 1}")
    data = data[args.first:][:args.count]
    pixels = data[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255
    np.save(args.output, (pixels - MEAN) / STD)
    with open(args.output.removesuffix(".npy") + ".labels.txt", "w") as labels:
        labels.writelines(f"{label}\n" for label in data[:, 0])


if __name__ == "__main__":
    main()
