#!/usr/bin/env python3
"""Block Gibbs beside numpy and torch: full sweeps v -> h -> v, both layers sampled.

    venv/bin/python bench_gibbs.py --rbmbench ../../bin/rbmbench --threads 1

Every round times each program once, one after the other, on the same cores, so
that what else happens on the machine falls on all of them alike. Prints the
best and median time of one sweep and the ratio of the best times to ours.
With one thread the peers are charged their CPU time, so that a busy machine
does not count against them; ours is always charged the time on the wall.
The peers are written as one would for speed: in place, float32 (or bfloat16)
random numbers and products.
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
parser.add_argument("--case", default="784x500x1000,64x64x4096,256x256x256,784x500x100,4096x4096x256")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--seconds", type=float, default=0.4, help="time for each peer in a round")
parser.add_argument("--json", help="write all times to this file")
args = parser.parse_args()
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(args.threads)
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-args.threads :])

import numpy as np  # noqa: E402  (after the number of threads is set)
import torch  # noqa: E402

torch.set_num_threads(args.threads)


def model(v, h, c):
    r = np.random.default_rng(1)
    w = (r.normal(size=(v, h)) / np.sqrt(v)).astype(np.float32)
    b, a = (r.normal(size=n).astype(np.float32) * np.float32(0.1) for n in (v, h))
    return w, b, a, (r.random((c, v)) < 0.5).astype(np.float32)


def numpy_sweep(v, h, c):
    """numpy float32: u < sigma(x) as u*(1+exp(-x)) < 1, all in place."""
    w, b, a, x = model(v, h, c)
    wt = np.ascontiguousarray(w.T)
    rng = np.random.Generator(np.random.SFC64(3))
    hid = np.empty((c, h), np.float32)
    fh, uh, fv, uv = np.empty((c, h), np.float32), np.empty((c, h), np.float32), np.empty((c, v), np.float32), np.empty((c, v), np.float32)

    def half(s, weights, bias, field, u, out):
        np.matmul(s, weights, out=field)
        field += bias
        np.negative(field, out=field)
        np.exp(field, out=field)
        field += 1
        rng.random(out=u, dtype=np.float32)
        u *= field
        np.less(u, 1, out=out, casting="unsafe")

    def sweep():
        half(x, w, a, fh, uh, hid)
        half(hid, wt, b, fv, uv, x)

    return sweep


def numpy_sgemm(v, h, c):
    """The two matrix products of a sweep alone, without sampling."""
    w, _, _, x = model(v, h, c)
    wt = np.ascontiguousarray(w.T)
    fh, fv = np.empty((c, h), np.float32), np.empty((c, v), np.float32)

    def sweep():
        np.matmul(x, w, out=fh)
        np.matmul(fh, wt, out=fv)

    return sweep


def torch_sweep(v, h, c):
    """torch float32, in place."""
    w, b, a, x = (torch.from_numpy(t) for t in model(v, h, c))
    wt = w.t().contiguous()
    fh, uh, fv, uv = torch.empty(c, h), torch.empty(c, h), torch.empty(c, v), torch.empty(c, v)

    def sweep():
        torch.addmm(a, x, w, out=fh).sigmoid_()
        torch.lt(uh.uniform_(), fh, out=fh)
        torch.addmm(b, fh, wt, out=fv).sigmoid_()
        torch.lt(uv.uniform_(), fv, out=x)

    return sweep


def torch_bf16_sweep(v, h, c):
    """torch with products in bfloat16 (8 bits of mantissa), sampling in float32."""
    w, b, a, x = (torch.from_numpy(t) for t in model(v, h, c))
    w16, wt16 = w.bfloat16(), w.t().contiguous().bfloat16()
    state = {"v": x.bfloat16()}

    def sweep():
        fh = (state["v"] @ w16).float() + a
        hid = (torch.rand(c, h) < torch.sigmoid(fh)).bfloat16()
        fv = (hid @ wt16).float() + b
        state["v"] = (torch.rand(c, v) < torch.sigmoid(fv)).bfloat16()

    return sweep


PEERS = {"numpy": numpy_sweep, "numpy sgemm alone": numpy_sgemm, "torch": torch_sweep, "torch bf16": torch_bf16_sweep}


def ours(case):
    command = [args.rbmbench, "gibbs", "--case", case, "--backend", "cpu", "--isa", args.isa, "--threads", str(args.threads), "--format", "json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    record = report["records"][-1]  # the best path is the last
    return record["isa"], record["samples_s"]


clock = time.process_time if args.threads == 1 else time.perf_counter


def time_for(sweep, seconds):
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = clock()
        sweep()
        times.append(clock() - start)
    return times


results = []
with torch.inference_mode():
    for case in args.case.split(","):
        v, h, c = (int(n) for n in case.split("x"))
        sweeps = {name: make(v, h, c) for name, make in PEERS.items()}
        for sweep in sweeps.values():
            sweep()
        times = {name: [] for name in ["ours", *PEERS]}
        for _ in range(args.rounds):
            isa, seconds = ours(case)
            times["ours"] += seconds
            for name, sweep in sweeps.items():
                times[name] += time_for(sweep, args.seconds)
        best = min(times["ours"])
        for name, t in times.items():
            row = {"case": case, "threads": args.threads, "program": name, "min_s": min(t), "median_s": statistics.median(t), "repeats": len(t), "ratio": min(t) / best}
            if name == "ours":
                row["isa"] = isa
            results.append(row)
            print("%-14s %d thread%s  %-18s best %9.3f ms  median %9.3f ms  %5.2fx" % (
                case, args.threads, "s" if args.threads > 1 else " ", name + (" " + isa if name == "ours" else ""),
                1e3 * row["min_s"], 1e3 * row["median_s"], row["ratio"]), flush=True)
print("numpy %s, torch %s" % (np.__version__, torch.__version__))
if args.json:
    with open(args.json, "w") as f:
        json.dump(results, f, indent=1)
