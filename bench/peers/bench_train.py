#!/usr/bin/env python3
"""Training and annealing beside numpy and torch: a step of PCD-1 with as many chains
as a batch has rows, and a temperature of annealed importance sampling.

    venv/bin/python bench_train.py --rbmbench ../../bin/rbmbench --threads 1

Every round times each program once, one after the other, on the same cores.
Prints the best and median time of one step (or temperature) and the ratio of the best times to
ours. A case is VISIBLExHIDDENxBATCH, or ais-VISIBLExHIDDENxCHAINS. The peers take a shuffled batch from memory, as training does; ours reads
packed rows, which costs it less than the last digit printed.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--rbmbench", required=True, help="the built command")
parser.add_argument("--isa", default="auto", help="instruction set of ours")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--case", default="784x500x100,ais-784x500x100")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=float, default=1, help="time for each peer in a round")
parser.add_argument("--json", help="write all times to this file")
args = parser.parse_args()
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(args.threads)
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-args.threads :])

import numpy as np  # noqa: E402  (after the number of threads is set)
import torch  # noqa: E402

torch.set_num_threads(args.threads)
ROWS, RATE = 6000, 0.0001


def start(v, h, n):
    r = np.random.default_rng(1)
    data = (r.random((ROWS, v)) < 0.2).astype(np.float32)
    w = r.normal(size=(v, h)).astype(np.float32) * np.float32(0.05)
    return data, w, np.zeros(v, np.float32), np.zeros(h, np.float32), (r.random((n, h)) < 0.5).astype(np.float32), r


def numpy_step(v, h, n):
    data, w, b, c, chain, r = start(v, h, n)
    rng = np.random.Generator(np.random.SFC64(1))
    state = {"h": chain}
    sigma = lambda x: 1 / (1 + np.exp(-x))
    draw = lambda p: (rng.random(p.shape, dtype=np.float32) < p).astype(np.float32)

    def step():
        x = data[r.integers(0, ROWS, n)]
        ph = sigma(x @ w + c)
        y = draw(sigma(state["h"] @ w.T + b))
        nh = sigma(y @ w + c)
        w[...] += np.float32(RATE / n) * (x.T @ ph - y.T @ nh)
        b[...] += np.float32(RATE) * (x - y).mean(0)
        c[...] += np.float32(RATE) * (ph - nh).mean(0)
        state["h"] = draw(nh)

    return step


def torch_step(v, h, n):
    data, w, b, c, chain, r = start(v, h, n)
    data, w, b, c = (torch.from_numpy(t) for t in (data, w, b, c))
    state = {"h": torch.from_numpy(chain)}

    def step():
        x = data[torch.from_numpy(r.integers(0, ROWS, n))]
        ph = torch.sigmoid(torch.addmm(c, x, w))
        y = torch.sigmoid(torch.addmm(b, state["h"], w.t()))
        y = (torch.rand_like(y) < y).float()
        nh = torch.sigmoid(torch.addmm(c, y, w))
        w.addmm_(x.t(), ph, alpha=RATE / n)
        w.addmm_(y.t(), nh, alpha=-RATE / n)
        b.add_((x - y).mean(0), alpha=RATE)
        c.add_((ph - nh).mean(0), alpha=RATE)
        state["h"] = (torch.rand_like(nh) < nh).float()

    return step


def numpy_ais(v, h, n):
    _, w, b, c, chain, r = start(v, h, n)
    rng = np.random.Generator(np.random.SFC64(1))
    wt = np.ascontiguousarray(w.T)
    state = {"v": (r.random((n, v)) < 0.5).astype(np.float32), "k": 0}
    weights, one = np.zeros(n), np.float32(1)
    sigma = lambda x: one / (one + np.exp(-x))

    def step():
        low, high = np.float32(state["k"] % 1000 / 1000), np.float32((state["k"] % 1000 + 1) / 1000)
        x = state["v"] @ w + c
        weights[...] += np.log((1 + np.exp(high * x)) / (1 + np.exp(low * x))).sum(1)
        y = (rng.random((n, h), dtype=np.float32) < sigma(high * x)).astype(np.float32)
        state["v"] = (rng.random((n, v), dtype=np.float32) < sigma(b + high * (y @ wt))).astype(np.float32)
        state["k"] += 1

    return step


def torch_ais(v, h, n):
    _, w, b, c, chain, r = start(v, h, n)
    w, b, c = (torch.from_numpy(t) for t in (w, b, c))
    wt = w.t().contiguous()
    state = {"v": torch.from_numpy((r.random((n, v)) < 0.5).astype(np.float32)), "k": 0}
    weights, softplus = torch.zeros(n, dtype=torch.float64), torch.nn.functional.softplus

    def step():
        low, high = state["k"] % 1000 / 1000, (state["k"] % 1000 + 1) / 1000
        x = torch.addmm(c, state["v"], w)
        weights.add_((softplus(high * x) - softplus(low * x)).sum(1))
        y = (torch.rand(n, h) < torch.sigmoid(high * x)).float()
        state["v"] = (torch.rand(n, v) < torch.sigmoid(b + high * (y @ wt))).float()
        state["k"] += 1

    return step


PEERS = {"": {"numpy": numpy_step, "torch": torch_step}, "ais-": {"numpy": numpy_ais, "torch": torch_ais}}


def ours(case):
    command = [args.rbmbench, "train", "--quick", "--case", case, "--backend", "cpu", "--isa", args.isa, "--threads", str(args.threads), "--format", "json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    record = report["records"][-1]  # the best path is the last
    steps = 10 if case.startswith("ais-") else 1  # temperatures of one time of ours
    return record["isa"], [x / steps for x in record["samples_s"]]


def time_for(step, seconds):
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return times


results = []
with torch.inference_mode():
    for case in args.case.split(","):
        kind = "ais-" if case.startswith("ais-") else ""
        v, h, n = (int(x) for x in case.removeprefix(kind).split("x"))
        steps = {name: make(v, h, n) for name, make in PEERS[kind].items()}
        for step in steps.values():
            step()
        times = {name: [] for name in ["ours", *steps]}
        for _ in range(args.rounds):
            isa, seconds = ours(case)
            times["ours"] += seconds
            for name, step in steps.items():
                times[name] += time_for(step, args.seconds)
        best = min(times["ours"])
        for name, t in times.items():
            row = {"case": case, "threads": args.threads, "program": name, "min_s": min(t), "median_s": statistics.median(t), "repeats": len(t), "ratio": min(t) / best}
            if name == "ours":
                row["isa"] = isa
            results.append(row)
            print("%-18s %d thread%s  %-12s best %9.3f ms  median %9.3f ms  %5.2fx" % (
                case, args.threads, "s" if args.threads > 1 else " ", name + (" " + isa if name == "ours" else ""),
                1e3 * row["min_s"], 1e3 * row["median_s"], row["ratio"]), flush=True)
print("numpy %s, torch %s" % (np.__version__, torch.__version__))
if args.json:
    with open(args.json, "w") as f:
        json.dump(results, f, indent=1)
