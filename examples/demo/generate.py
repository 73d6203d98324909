#!/usr/bin/env python3
"""The demo's data: 32 x 32 RGB pictures of ten kinds of shapes.

Each picture is one shape of random place, size, turn and colour, softened, on a
shaded background with a second, fainter blob across it and noise over everything,
so that a small network is right most but not all of the time. Numpy only, and
deterministic: picture i of split s is the same on every machine with one numpy.

usage: generate.py OUT_DIR
Writes OUT_DIR/images/NNN_label.png (the demo's test pictures), OUT_DIR/calibration.npy
(unlabelled float32 NCHW pictures, normalised as the network wants them) and labels.txt.
"""
import os
import struct
import sys
import zlib

import numpy as np

SIZE = 32
LABELS = ["disc", "ring", "square", "frame", "triangle", "star", "plus", "crescent", "heart", "arrow"]
SPLITS = {"train": 1, "test": 2, "calibration": 3}
TEST_IMAGES = 300
CALIBRATION_IMAGES = 64


def distance(label, x, y):
    """Signed distance-like field of a shape of radius about 1: negative inside."""
    r = np.hypot(x, y)
    if label == "disc":
        return r - 0.9
    if label == "ring":
        return np.abs(r - 0.75) - 0.22
    if label == "square":
        return np.maximum(np.abs(x), np.abs(y)) - 0.75
    if label == "frame":
        return np.abs(np.maximum(np.abs(x), np.abs(y)) - 0.65) - 0.2
    if label == "triangle":
        return np.maximum(np.abs(x) * 0.866 + y * 0.5, -y) - 0.5
    if label == "star":
        angle = np.arctan2(x, y)
        return r - (0.62 + 0.33 * np.cos(5 * angle))
    if label == "plus":
        a, b = np.abs(x), np.abs(y)
        return np.minimum(np.maximum(a - 0.9, b - 0.28), np.maximum(b - 0.9, a - 0.28))
    if label == "crescent":
        return np.maximum(r - 0.9, 0.75 - np.hypot(x - 0.45, y))
    if label == "heart":
        z = y * 1.1 + 0.15 - 0.55 * np.sqrt(np.abs(x) + 1e-3)
        return np.hypot(x * 1.05, z) - 0.78
    if label == "arrow":
        shaft = np.maximum(np.abs(x) - 0.2, np.abs(y + 0.35) - 0.55)
        head = np.maximum(np.abs(x) * 0.8 + (y - 0.15) * 0.75 - 0.52, 0.05 - y)
        return np.minimum(shaft, head)
    raise ValueError(label)


def picture(split, index):
    """(uint8 [32, 32, 3], class) of picture `index`."""
    rng = np.random.RandomState((SPLITS[split] * 1000003 + index * 7919) % (2**31))
    kind = index % len(LABELS)
    grid = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    x, y = np.meshgrid(grid, grid)

    def blob(label, low, high):
        scale = rng.uniform(low, high)
        turn = rng.uniform(0, 2 * np.pi)
        dx, dy = rng.uniform(-1, 1, 2) * (1 - scale) * 0.8
        u, v = (x - dx) / scale, (y - dy) / scale
        c, s = np.cos(turn), np.sin(turn)
        soft = 0.08 / scale
        return 1 / (1 + np.exp(np.clip(distance(label, c * u - s * v, s * u + c * v) / (soft / 2), -30, 30)))

    back, front, other = rng.uniform(0, 1, (3, 3))
    while np.abs(back - front).sum() < 0.7:
        front = rng.uniform(0, 1, 3)
    slope = rng.uniform(-0.25, 0.25, (2, 3))
    image = back + x[..., None] * slope[0] + y[..., None] * slope[1]
    image += rng.uniform(0.05, 0.2) * np.sin(rng.uniform(2, 9) * x + rng.uniform(2, 9) * y + rng.uniform(0, 6))[..., None]
    mask = blob(LABELS[kind], 0.42, 0.85)[..., None]
    image = image * (1 - mask) + front * mask
    smear = blob("disc" if rng.rand() < 0.5 else "square", 0.1, 0.3)[..., None] * 0.7
    image = image * (1 - smear) + other * smear
    image += rng.normal(0, rng.uniform(0.03, 0.16), image.shape)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8), kind


def batch(split, begin, end):
    """(float32 [n, 3, 32, 32] in -1..1, int64 [n]): what the network is fed."""
    pictures = [picture(split, i) for i in range(begin, end)]
    images = np.stack([p[0] for p in pictures]).astype(np.float32)
    return (images / 255 - 0.5).transpose(0, 3, 1, 2).copy() / 0.5, np.array([p[1] for p in pictures])


def write_png(path, image):
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    h, w, _ = image.shape
    rows = b"".join(b"\0" + image[i].tobytes() for i in range(h))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = sys.argv[1]
    os.makedirs(os.path.join(out, "images"), exist_ok=True)
    truth = ["file,class"]
    for i in range(TEST_IMAGES):
        image, kind = picture("test", i)
        truth.append("%03d_%s.png,%s" % (i, LABELS[kind], LABELS[kind]))
        write_png(os.path.join(out, "images", truth[-1].split(",")[0]), image)
    with open(os.path.join(out, "truth.csv"), "w") as f:
        f.write("\n".join(truth) + "\n")
    np.save(os.path.join(out, "calibration.npy"), batch("calibration", 0, CALIBRATION_IMAGES)[0])
    with open(os.path.join(out, "labels.txt"), "w") as f:
        f.write("\n".join(LABELS) + "\n")


if __name__ == "__main__":
    main()
