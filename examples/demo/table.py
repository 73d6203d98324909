#!/usr/bin/env python3
"""Runs qrt-convert, qrt run and qrt bench at several settings and prints a table.

usage: table.py BIN_DIR
Accuracy is over the 300 pictures of images/, whose names end in their class. Time is the median
of interleaved rounds on one thread beside the same network with dense f32 weights in the same
process; only the ratio is worth quoting.
"""
import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile

PREPROCESS = '{"scale": 0.00392156862745098, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}'
PQ = ["--method", "pq", "--calibrate", "calibration.npy"]


def bits(method, *options):
    words = ["--method", method, "--calibrate", "calibration.npy"]
    return words + ["--" + method] + list(options) if options else words


SETTINGS = [
    ("dense", []),
    ("pq, 3 weights to a code of 256", PQ + ["--pq", "block_3x3=3", "centroids_fc=64"]),
    ("pq, 4 weights to a code of 256", PQ + ["--pq", "block_3x3=4", "centroids_fc=64"]),
    ("pq, 6 weights to a code of 256", PQ + ["--pq", "block_3x3=6", "centroids_fc=64"]),
    ("pq, 9 weights to a code of 256", PQ + ["--pq", "block_3x3=9", "centroids_fc=64"]),
    ("pq, 9 weights to a code of 64", PQ + ["--pq", "block_3x3=9", "centroids_conv=64", "centroids_fc=64"]),
    ("uniform, 8 bits", bits("uniform")),
    ("uniform, 4 bits", bits("uniform", "bits=4")),
    ("uniform, 3 bits", bits("uniform", "bits=3")),
    ("ESB, 6 bits", bits("esb", "bits=6")),
    ("ESB, 5 bits", bits("esb", "bits=5")),
    ("ESB, 4 bits", bits("esb", "bits=4")),
    ("ALQ, 2 signs to a group on average", bits("alq")),
    ("ternary (TWN)", bits("twn")),
    ("binary (BWN)", bits("bwn")),
]


def call(bin_dir, *words):
    run = subprocess.run([os.path.join(bin_dir, words[0])] + list(words[1:]), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, universal_newlines=True)
    if run.returncode != 0:
        sys.exit("%s exited with %d:\n%s" % (" ".join(words), run.returncode, run.stderr))
    return run.stdout


def accuracy(bin_dir, model):
    rows = list(csv.DictReader(io.StringIO(
        call(bin_dir, "qrt", "run", model, "--image", "images", "--top", "1", "--batch", "50", "--csv"))))
    right = sum(re.search(r"_([a-z]+)\.png$", row["file"]).group(1) == row["label1"] for row in rows)
    if len(rows) != len(os.listdir("images")):
        sys.exit("qrt run printed %d lines for %d pictures" % (len(rows), len(os.listdir("images"))))
    return 100 * right / len(rows)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    bin_dir = sys.argv[1]
    floats = os.path.getsize("model.onnx")
    print("model.onnx: %d bytes of f32 ONNX\n" % floats)
    print("| setting | file bytes | ratio | bits / weight | accuracy | ms | x dense f32 |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as out:
        for i, (name, options) in enumerate(SETTINGS):
            model = os.path.join(out, "%d.qrt" % i)
            call(bin_dir, "qrt-convert", "model.onnx", "--preprocess", PREPROCESS, "--labels", "labels.txt", "-q",
                 *options, "-o", model)
            facts = json.loads(call(bin_dir, "qrt", "inspect", model, "--json"))
            bench = json.loads(call(bin_dir, "qrt", "bench", model, "--json", "--repeats", "60"))
            ours = next(row for row in bench["rows"] if row["engine"] == "libqrt")
            dense = next(row for row in bench["rows"] if "XNNPACK" in row["engine"])
            sizes = facts["sizes"]
            bits = 8 * (sizes["codes"] + sizes["centroids"] + sizes["scales"] + sizes["dense"]) / facts["weights"]
            print("| %s | %d | %.1f | %.2f | %.1f %% | %.3f | %.2f |" %
                  (name, facts["file_bytes"], floats / facts["file_bytes"], bits,
                   accuracy(bin_dir, model), ours["median_ms"], dense["ratio_to_libqrt"]), flush=True)


if __name__ == "__main__":
    main()
