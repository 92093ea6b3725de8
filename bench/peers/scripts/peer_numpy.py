"""numpy, in float32 and in place, as one would write it for speed."""
import math

import numpy as np

from moments import Gibbs

VERSION = "numpy " + np.__version__
ONE = np.float32(1)


def sigmoid(x):
    return ONE / (ONE + np.exp(-x))


class Sweeps(Gibbs):
    def __init__(self, p):
        self.w, self.b, self.c = p.array("w"), p.array("b"), p.array("c")
        self.wt = np.ascontiguousarray(self.w.T)
        self.rng = np.random.Generator(np.random.SFC64(p.seed))
        self.shape = (p.chains, p.visible)
        self.h, self.xh, self.uh = (np.empty((p.chains, p.hidden), np.float32) for _ in range(3))
        self.xv, self.uv = (np.empty((p.chains, p.visible), np.float32) for _ in range(2))
        self.start()

    def start(self):
        self.v = (self.rng.random(self.shape) < 0.5).astype(np.float32)

    def visible(self):
        return self.v

    def half(self, s, w, bias, x, u, out):
        # u < 1/(1+e^-x) as u*(1+e^-x) < 1
        np.matmul(s, w, out=x)
        x += bias
        np.negative(x, out=x)
        np.exp(x, out=x)
        x += 1
        self.rng.random(out=u, dtype=np.float32)
        u *= x
        np.less(u, 1, out=out, casting="unsafe")

    def sweep(self):
        self.half(self.v, self.w, self.c, self.xh, self.uh, self.h)
        self.half(self.h, self.wt, self.b, self.xv, self.uv, self.v)


class Epoch:
    """Persistent contrastive divergence, one sweep, as many chains as a batch has rows."""

    def __init__(self, p):
        self.p, self.data = p, p.array("data").astype(np.float32)
        self.rng = np.random.Generator(np.random.SFC64(p.seed))
        self.start()

    def start(self, model=""):
        self.w, self.b, self.c = (self.p.array(model + n) for n in ("w", "b", "c"))
        self.h = (self.rng.random((self.p.batch, self.p.hidden)) < 0.5).astype(np.float32)

    def draw(self, p):
        return (self.rng.random(p.shape, dtype=np.float32) < p).astype(np.float32)

    def run(self, n):
        size, rate = self.p.batch, np.float32(self.p.rate)
        for _ in range(n):
            order = self.rng.permutation(len(self.data))
            for i in range(0, len(order), size):
                x = self.data[order[i : i + size]]
                ph = sigmoid(x @ self.w + self.c)
                y = self.draw(sigmoid(self.h @ self.w.T + self.b))
                nh = sigmoid(y @ self.w + self.c)
                self.w += rate / np.float32(size) * (x.T @ ph - y.T @ nh)
                self.b += rate * (x - y).mean(0)
                self.c += rate * (ph - nh).mean(0)
                self.h = self.draw(nh)

    def result(self):
        """What an epoch of a few rows makes of a model that has learnt nothing."""
        self.data = self.data[: self.p.compared]
        self.start("fresh_")
        self.run(1)
        return {"w": self.w, "b": self.b, "c": self.c}


def signs(n):
    """All states of n spins, [2^n, n]."""
    return (2 * ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1) - 1).astype(np.float32)


def halves(p):
    """Energies within the lower and the upper spins, the field of the lower states on the
    upper spins, and the upper states transposed."""
    j, h, k = p.array("couplings"), p.array("fields"), p.spins // 2
    low, high = signs(k), signs(p.spins - k)

    def inside(s, j, h):
        return (-0.5 * ((s @ j) * s).sum(1) - s @ h).astype(np.float32)

    cross = -(low @ j[:k, k:].astype(np.float32))
    return inside(low, j[:k, :k], h[:k]), inside(high, j[k:, k:], h[k:]), cross, np.ascontiguousarray(high.T)


CHUNK = 1 << 18  # energies at a time, what the caches hold


class Enumeration:
    """All energies as a matrix product of half the spins with the other half."""

    def __init__(self, p):
        self.low, self.high, self.cross, self.states = halves(p)
        self.step = max(1, CHUNK // len(self.high))
        self.buffer = np.empty((self.step, len(self.high)), np.float32)

    def energies(self):
        for i in range(0, len(self.low), self.step):
            e = np.matmul(self.cross[i : i + self.step], self.states, out=self.buffer)
            e += self.high
            e += self.low[i : i + self.step, None]
            yield e


class Minimum(Enumeration):
    def run(self, n):
        for _ in range(n):
            self.least = min(float(e.min()) for e in self.energies())

    def result(self):
        self.run(1)
        return {"minimum": self.least}


class LogZ(Enumeration):
    def run(self, n):
        for _ in range(n):
            total, top = 0.0, -math.inf
            for e in self.energies():
                np.negative(e, out=e)
                m = float(e.max())
                if m > top:
                    total, top = total * math.exp(top - m), m
                e -= np.float32(top)
                np.exp(e, out=e)
                total += float(e.sum(dtype=np.float64))
            self.log_z = top + math.log(total)

    def result(self):
        self.run(1)
        return {"log_z": self.log_z}


class ExactRBM:
    """ln Z by the states of the hidden layer, the fields of half of its units from a table."""

    def __init__(self, p):
        w, self.b, c = p.array("w"), p.array("b"), p.array("c")
        k = p.hidden // 2
        low, high = (signs(k) + 1) / 2, (signs(p.hidden - k) + 1) / 2
        self.low, self.high = low @ w.T[:k] + self.b, high @ w.T[k:]
        self.clow, self.chigh = low @ c[:k], high @ c[k:]

    def run(self, n):
        for _ in range(n):
            logs = []
            for field, bias in zip(self.high, self.chigh):
                x = self.low + field
                np.exp(x, out=x)
                np.log1p(x, out=x)
                logs.append(x.sum(1, dtype=np.float64) + self.clow + bias)
            logs = np.concatenate(logs)
            m = logs.max()
            self.log_z = m + math.log(np.exp(logs - m).sum())

    def result(self):
        self.run(1)
        return {"log_z": self.log_z}


class Lattice:
    """Checkerboard Metropolis on two half lattices of bytes."""

    def __init__(self, p):
        self.p, self.side = p, p.side
        self.rng = np.random.Generator(np.random.SFC64(p.seed))
        self.u = np.empty((p.side, p.side // 2), np.float32)
        self.start(p.temperature)

    def start(self, temperature):
        self.a, self.b = (np.ones((self.side, self.side // 2), np.int8) for _ in range(2))
        self.table = np.exp(-2.0 / temperature * np.arange(-4, 5)).astype(np.float32)

    def half(self, x, y, black):
        s = np.roll(y, 1, 0) + np.roll(y, -1, 0)
        s += y
        left, right = np.roll(y, 1, 1), np.roll(y, -1, 1)
        s[0::2] += left[0::2] if black else right[0::2]
        s[1::2] += right[1::2] if black else left[1::2]
        s *= x
        self.rng.random(out=self.u, dtype=np.float32)
        np.negative(x, out=x, where=self.u < self.table.take(s + 4))

    def run(self, n):
        for _ in range(n):
            self.half(self.a, self.b, True)
            self.half(self.b, self.a, False)

    def energy(self):
        s = np.empty((self.side, self.side), np.int64)
        s[0::2, 0::2], s[0::2, 1::2] = self.a[0::2], self.b[0::2]
        s[1::2, 1::2], s[1::2, 0::2] = self.a[1::2], self.b[1::2]
        return -(s * np.roll(s, 1, 0) + s * np.roll(s, 1, 1)).mean()

    def result(self):
        self.start(self.p.check_temperature)
        self.run(self.p.burn_in)
        energies = []
        for _ in range(self.p.draws):
            self.run(self.p.every)
            energies.append(self.energy())
        self.start(self.p.temperature)
        return {"energies": np.array(energies)}


# The ring of eight spins and four hidden units: numbers of configurations by |V| and walls.
RING = {0: (8, 36, 24, 2), 2: (16, 64, 32), 4: (16, 40), 6: (16,)}


def ring(k, xp=np):
    """P(|V|) for |V| = 2, 4, 6, 8."""
    z, q = xp.exp(-4 * k), {}
    for v, counts in RING.items():
        s = 0 * z
        for n in reversed(counts):
            s = (s + n) * z
        q[v] = s
    total = 2 + q[0] + q[2] + q[4] + q[6]
    return q[2] / total, q[4] / total, q[6] / total, 2 / total


def difference(w, p, xp=np):
    """f(W) - g(W) and its derivative, with e^-4W so that nothing overflows."""
    p2, p4, p6, p8 = p
    t2, t4, t6, t8 = (xp.tanh(v * w) for v in (2, 4, 6, 8))
    e = xp.exp(-4 * w)
    e2 = e * e
    c = 1 / (1 + e2)
    r2 = (((1 + e) * c) ** 2) ** 2
    r2 = r2 * r2 * e2 * e2
    r0 = (((2 * c * e) ** 2) ** 2) ** 2
    z = 2 + 8 * r2 + 6 * r0
    q4, q2 = 2 / z, 8 * r2 / z
    m = 4 * t4 * q4 + 2 * t2 * q2
    df = 2 * (16 * (1 - t4 * t4) * q4 + 4 * (1 - t2 * t2) * q2 + 8 * (16 * t4 * t4 * q4 + 4 * t2 * t2 * q2 - m * m))
    y = 2 * m - (2 * p2 * t2 + 4 * p4 * t4 + 6 * p6 * t6 + 8 * p8 * t8)
    dy = df - (4 * p2 * (1 - t2 * t2) + 16 * p4 * (1 - t4 * t4) + 36 * p6 * (1 - t6 * t6) + 64 * p8 * (1 - t8 * t8))
    return y, dy


LOW, HIGH = 0.02, 6.0  # bracket of W for K from 0.01 to 3


def guess(k, xp=np):
    return xp.where(k < 1.2, 0.267 * xp.sqrt(k) + 0.04 * k**3, 0.5 * k - 0.255)


def newton(k):
    p = ring(k)
    lo, hi, w = np.full(k.shape, LOW), np.full(k.shape, HIGH), guess(k)
    for _ in range(40):
        y, dy = difference(w, p)
        below = y < 0
        lo, hi = np.where(below, w, lo), np.where(below, hi, w)
        with np.errstate(all="ignore"):
            new = w - y / dy
        new = np.where((new >= lo) & (new <= hi), new, 0.5 * (lo + hi))
        step, w = np.abs(new - w), new
        if np.all((step <= 1e-9 * w) | (np.abs(y) <= 1e-14)):  # f and g have no more digits
            break
    return w


class Roots:
    def __init__(self, p):
        self.k = p.array("k")

    def run(self, n):
        for _ in range(n):  # chunks that the cache holds
            self.w = np.concatenate([newton(self.k[i : i + 8192]) for i in range(0, len(self.k), 8192)])

    def result(self):
        self.run(1)
        return {"w": self.w}


class Annealing:
    """Annealed importance sampling from a model without weights and hidden biases."""

    def __init__(self, p):
        self.p, self.w, self.b, self.c = p, p.array("w"), p.array("b"), p.array("c")
        self.wt = np.ascontiguousarray(self.w.T)
        self.rng = np.random.Generator(np.random.SFC64(p.seed))

    def draw(self, p):
        return (self.rng.random(p.shape, dtype=np.float32) < p).astype(np.float32)

    def run(self, n):
        p, beta = self.p, np.linspace(0, 1, self.p.temperatures, dtype=np.float32)
        for _ in range(n):
            v = (self.rng.random((p.chains, p.visible), dtype=np.float32) < sigmoid(self.b)).astype(np.float32)
            log_w = np.zeros(p.chains)
            for low, high in zip(beta, beta[1:]):
                x = v @ self.w + self.c
                log_w += np.log((1 + np.exp(high * x)) / (1 + np.exp(low * x))).sum(1)
                h = self.draw(sigmoid(high * x))
                v = self.draw(sigmoid(self.b + high * (h @ self.wt)))
            self.log_w = log_w

    def result(self):
        self.run(1)
        base = np.logaddexp(0, self.b.astype(np.float64)).sum() + self.p.hidden * math.log(2)
        return {"log_weights": self.log_w + base}


TASKS = {
    "gibbs": Sweeps,
    "train": Epoch,
    "minimum": Minimum,
    "log-z": LogZ,
    "rbm": ExactRBM,
    "ising": Lattice,
    "roots": Roots,
    "ais": Annealing,
}
