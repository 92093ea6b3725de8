#!/usr/bin/env python3
"""Bulk roots of f(W) = g(W, K) beside a Newton iteration in numpy, M = 8, N = 4.

    venv/bin/python bench_roots.py --rbmbench ../../bin/rbmbench

A million K from 1e-3 to 10, uniform in ln K. Every round times each program
once, one after the other, on the same core, so that what else happens on the
machine falls on all of them alike. Prints the best and median time of the
million and the ratio of the best times. numpy solves with tanh at |V| and H as
one would write it for speed: all K of a chunk at once, a Newton step where it
stays inside the bracket, chunks that fit the cache. Its largest relative error
is taken against ours.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--rbmbench", required=True, help="the built command")
parser.add_argument("--kadanoff", help="the other command, to compare the roots themselves")
parser.add_argument("--isa", default="auto", help="instruction set of ours")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--json", help="write all times to this file")
args = parser.parse_args()
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])

import numpy as np  # noqa: E402  (after the number of threads is set)

M, N, COUNT, CHUNK = 8, 4, 1_000_000, 8192
# Counts of ring configurations by |V| and pairs of walls.
RING = {0: (8, 36, 24, 2), 2: (16, 64, 32), 4: (16, 40), 6: (16,)}


def ring(k):
    """P(|V|) for |V| = 2, 4, 6, 8."""
    z = np.exp(-4 * k)
    q = {}
    for v, counts in RING.items():
        s = np.zeros_like(z)
        for n in reversed(counts):
            s = (s + n) * z
        q[v] = s
    total = 2 + q[0] + q[2] + q[4] + q[6]
    return q[2] / total, q[4] / total, q[6] / total, 2 / total


def newton(k):
    p2, p4, p6, p8 = ring(k)
    lo, hi = np.full(k.shape, 1e-4), np.full(k.shape, 6.0)
    w = np.where(k < 1.2, 0.267 * np.sqrt(k) + 0.04 * k**3, 0.5 * k - 0.255)
    for _ in range(40):
        t2, t4, t6, t8 = np.tanh(2 * w), np.tanh(4 * w), np.tanh(6 * w), np.tanh(8 * w)
        e = np.exp(-4 * w)
        e2 = e * e
        c = 1 / (1 + e2)
        r2 = (1 + e) * c
        r2 *= r2
        r2 *= r2
        r2 = r2 * r2 * e2 * e2
        r0 = 2 * c * e
        r0 *= r0
        r0 *= r0
        r0 *= r0
        z = 2 + 8 * r2 + 6 * r0
        q4, q2 = 2 / z, 8 * r2 / z
        m = 4 * t4 * q4 + 2 * t2 * q2
        f = 2 * m
        df = 2 * (16 * (1 - t4 * t4) * q4 + 4 * (1 - t2 * t2) * q2 + M * (16 * t4 * t4 * q4 + 4 * t2 * t2 * q2 - m * m))
        y = f - (2 * p2 * t2 + 4 * p4 * t4 + 6 * p6 * t6 + 8 * p8 * t8)
        dy = df - (4 * p2 * (1 - t2 * t2) + 16 * p4 * (1 - t4 * t4) + 36 * p6 * (1 - t6 * t6) + 64 * p8 * (1 - t8 * t8))
        below = y < 0
        lo, hi = np.where(below, w, lo), np.where(below, hi, w)
        with np.errstate(all="ignore"):
            new = w - y / dy
        new = np.where((new >= lo) & (new <= hi), new, 0.5 * (lo + hi))
        step = np.abs(new - w)
        w = new
        if np.all((step <= 1e-9 * w) | (np.abs(y) <= 1e-14)):  # f and g have no more digits
            break
    return w


def ours(case):
    command = [args.rbmbench, "roots", "--quick", "--case", case, "--backend", "cpu", "--isa", args.isa, "--threads", "1", "--format", "json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    record = report["records"][-1]  # the best path is the last
    problems = record["value"] * record["min_s"]
    return record["isa"], [t * COUNT / problems for t in record["samples_s"]]


K = np.exp(np.log(1e-3) + np.random.default_rng(1).random(COUNT) * np.log(1e4))
CASES = {"8x4": "W(K), random order", "8x4-sorted": "W(K), ascending", "8x4-distributions": "own distributions"}
newton(K[:CHUNK])
times = {name: [] for name in ["numpy", *CASES]}
chunks = []  # for each round, the time of each chunk
for _ in range(args.rounds):
    chunks.append([])
    for i in range(0, COUNT, CHUNK):
        start = time.perf_counter()
        newton(K[i : i + CHUNK])
        chunks[-1].append(time.perf_counter() - start)
    times["numpy"].append(sum(chunks[-1]))
    for case in CASES:
        isa, seconds = ours(case)
        times[case] += seconds
# A chunk of numpy takes about as long as one of our samples, so that its best
# is as likely to be undisturbed.
best = {name: min(t) for name, t in times.items()}
best["numpy"] = sum(min(c) for c in zip(*chunks))
results = []
for name, t in times.items():
    label = "numpy %s" % np.__version__ if name == "numpy" else "ours %s, %s" % (isa, CASES[name])
    row = {"program": label, "min_s": best[name], "median_s": statistics.median(t), "repeats": len(t), "ratio": best["numpy"] / best[name]}
    results.append(row)
    print("%-36s best %9.3f ms  median %9.3f ms  %7.1f M/s  %6.1fx" % (
        label, 1e3 * row["min_s"], 1e3 * row["median_s"], COUNT / row["min_s"] / 1e6, row["ratio"]), flush=True)
if args.kadanoff:
    k = np.array([0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0])
    text = subprocess.run([args.kadanoff, "solve", "--visible", str(M), "--hidden", str(N), "--k", ",".join(map(str, k)), "--format", "json"],
                          check=True, capture_output=True, text=True).stdout
    w = np.array([row["w"] for row in json.loads(text)])
    for x, e in zip(k, np.abs(newton(k) / w - 1)):
        print("K = %-6g numpy is off by %.1e" % (x, e))
if args.json:
    with open(args.json, "w") as f:
        json.dump(results, f, indent=1)
