"""PyTorch on the CPU, float32, in place where it helps."""
import math
import sys

import torch

from moments import Gibbs

VERSION = "torch " + torch.__version__
THREADS = int(sys.argv[2])
torch.set_num_threads(THREADS)
torch.set_grad_enabled(False)

softplus = torch.nn.functional.softplus


def tensors(p, *names):
    return [torch.from_numpy(p.array(n)) for n in names]


def coins(*shape):
    return (torch.rand(*shape) < 0.5).float()


def draw(p):
    return (torch.rand_like(p) < p).float()


class Sweeps(Gibbs):
    def __init__(self, p):
        torch.manual_seed(p.seed)
        self.p = p
        self.w, self.b, self.c = tensors(p, "w", "b", "c")
        self.wt = self.w.t().contiguous()
        self.xh, self.uh = torch.empty(p.chains, p.hidden), torch.empty(p.chains, p.hidden)
        self.xv, self.uv = torch.empty(p.chains, p.visible), torch.empty(p.chains, p.visible)
        self.start()

    def start(self):
        self.v = coins(self.p.chains, self.p.visible)

    def visible(self):
        return self.v.numpy()

    def sweep(self):
        torch.addmm(self.c, self.v, self.w, out=self.xh).sigmoid_()
        torch.lt(self.uh.uniform_(), self.xh, out=self.xh)
        torch.addmm(self.b, self.xh, self.wt, out=self.xv).sigmoid_()
        torch.lt(self.uv.uniform_(), self.xv, out=self.v)


class Epoch:
    """Persistent contrastive divergence, one sweep, as many chains as a batch has rows."""

    def __init__(self, p):
        torch.manual_seed(p.seed)
        self.p, self.data = p, torch.from_numpy(p.array("data")).float()
        self.start()

    def start(self, model=""):
        self.w, self.b, self.c = tensors(self.p, model + "w", model + "b", model + "c")
        self.h = coins(self.p.batch, self.p.hidden)

    def run(self, n):
        w, b, c, rate, size = self.w, self.b, self.c, self.p.rate, self.p.batch
        for _ in range(n):
            for rows in torch.randperm(len(self.data)).split(size):
                x = self.data[rows]
                ph = torch.sigmoid(torch.addmm(c, x, w))
                y = draw(torch.sigmoid(torch.addmm(b, self.h, w.t())))
                nh = torch.sigmoid(torch.addmm(c, y, w))
                w.addmm_(x.t(), ph, alpha=rate / size)
                w.addmm_(y.t(), nh, alpha=-rate / size)
                b.add_((x - y).mean(0), alpha=rate)
                c.add_((ph - nh).mean(0), alpha=rate)
                self.h = draw(nh)

    def result(self):
        """What an epoch of a few rows makes of a model that has learnt nothing."""
        self.data = self.data[: self.p.compared]
        self.start("fresh_")
        self.run(1)
        return {"w": self.w.numpy(), "b": self.b.numpy(), "c": self.c.numpy()}


class Enumeration:
    """All energies as a matrix product of half the spins with the other half."""

    def __init__(self, p):
        from peer_numpy import halves

        self.low, self.high, self.cross, self.states = (torch.from_numpy(x) for x in halves(p))
        # energies at a time: what the caches of one core hold, more for several threads
        self.step = max(1, (1 << (18 if THREADS == 1 else 22)) // len(self.high))
        self.buffer = torch.empty(min(self.step, len(self.low)), len(self.high))

    def energies(self):
        for i in range(0, len(self.low), self.step):
            e = torch.addmm(self.high, self.cross[i : i + self.step], self.states, out=self.buffer)
            e += self.low[i : i + self.step, None]
            yield e


class Minimum(Enumeration):
    def run(self, n):
        for _ in range(n):
            self.least = min(float(e.amin()) for e in self.energies())

    def result(self):
        self.run(1)
        return {"minimum": self.least}


class LogZ(Enumeration):
    def run(self, n):
        for _ in range(n):
            total, top = 0.0, -math.inf
            for e in self.energies():
                m = float(e.neg_().amax())
                if m > top:
                    total, top = total * math.exp(top - m), m
                total += float(e.sub_(top).exp_().sum().double())
            self.log_z = top + math.log(total)

    def result(self):
        self.run(1)
        return {"log_z": self.log_z}


class ExactRBM:
    """ln Z by the states of the hidden layer, in chunks."""

    def __init__(self, p):
        w, self.b, self.c = tensors(p, "w", "b", "c")
        self.wt = w.t().contiguous()
        n = torch.arange(1 << p.hidden)[:, None]
        self.states = ((n >> torch.arange(p.hidden)) & 1).float()

    def run(self, n):
        for _ in range(n):
            logs = []
            for h in self.states.split(1 << 13):
                x = torch.addmm(self.b, h, self.wt)
                logs.append(torch.logsumexp((h @ self.c + softplus(x).sum(1)).double(), 0))
            self.log_z = float(torch.logsumexp(torch.stack(logs), 0))

    def result(self):
        self.run(1)
        return {"log_z": self.log_z}


class Annealing:
    """Annealed importance sampling from a model without weights and hidden biases."""

    def __init__(self, p):
        torch.manual_seed(p.seed)
        self.p = p
        self.w, self.b, self.c = tensors(p, "w", "b", "c")
        self.wt = self.w.t().contiguous()

    def run(self, n):
        p, beta = self.p, torch.linspace(0, 1, self.p.temperatures).tolist()
        for _ in range(n):
            v = (torch.rand(p.chains, p.visible) < torch.sigmoid(self.b)).float()
            log_w = torch.zeros(p.chains, dtype=torch.float64)
            for low, high in zip(beta, beta[1:]):
                x = torch.addmm(self.c, v, self.w)
                log_w += (softplus(high * x) - softplus(low * x)).sum(1)
                h = draw(torch.sigmoid(high * x))
                v = draw(torch.sigmoid(self.b + high * (h @ self.wt)))
            self.log_w = log_w

    def result(self):
        self.run(1)
        base = float(softplus(self.b.double()).sum()) + self.p.hidden * math.log(2)
        return {"log_weights": (self.log_w + base).numpy()}


TASKS = {
    "gibbs": Sweeps,
    "train": Epoch,
    "minimum": Minimum,
    "log-z": LogZ,
    "rbm": ExactRBM,
    "ais": Annealing,
}
