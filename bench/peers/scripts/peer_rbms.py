"""rbms (github.com/DsysDML/rbms), on torch."""
import importlib.metadata
import sys

import numpy as np
import torch
from rbms.bernoulli_bernoulli.classes import BBRBM
from rbms.partition_function.ais import compute_partition_function_ais
from rbms.partition_function.exact import compute_partition_function

from moments import Gibbs

VERSION = "rbms " + importlib.metadata.version("rbms")
torch.set_num_threads(int(sys.argv[2]))
torch.set_grad_enabled(False)


def model(p, prefix=""):
    torch.manual_seed(p.seed)
    w, b, c = (torch.from_numpy(p.array(prefix + n)) for n in ("w", "b", "c"))
    return BBRBM(weight_matrix=w, vbias=b, hbias=c)


class Sweeps(Gibbs):
    def __init__(self, p):
        self.rbm, self.p = model(p), p
        self.start()

    def start(self):
        v = (torch.rand(self.p.chains, self.p.visible) < 0.5).float()
        self.chains = self.rbm.init_chains(self.p.chains, start_v=v)

    def visible(self):
        return self.chains["visible"].numpy()

    def run(self, n):
        self.chains = self.rbm.sample_state(n_steps=n, chains=self.chains)


class Epoch:
    """The parts of the library's fit_batch_pcd, and torch's SGD; without normalize_grad, which
    makes every step equally long."""

    def __init__(self, p):
        self.p, self.data = p, torch.from_numpy(p.array("data")).float()
        self.start()

    def start(self, prefix=""):
        self.rbm = model(self.p, prefix)
        self.rbm.init_grad()
        self.sgd = torch.optim.SGD(self.rbm.parameters(), lr=self.p.rate, maximize=True)
        self.chains = self.rbm.init_chains(self.p.batch)
        self.weights = torch.ones(self.p.batch, 1)

    def run(self, n):
        for _ in range(n):
            for rows in torch.randperm(len(self.data)).split(self.p.batch):
                self.sgd.zero_grad(set_to_none=False)
                data = self.rbm.init_chains(len(rows), weights=self.weights, start_v=self.data[rows])
                self.chains = self.rbm.sample_state(n_steps=1, chains=self.chains)
                self.rbm.compute_gradient(data=data, chains=self.chains, centered=False)
                self.sgd.step()

    def result(self):
        """What an epoch of a few rows makes of a model that has learnt nothing."""
        self.data = self.data[: self.p.compared]
        self.start("fresh_")
        self.run(1)
        return {"w": self.rbm.weight_matrix.numpy(), "b": self.rbm.vbias.numpy(), "c": self.rbm.hbias.numpy()}


class ExactRBM:
    def __init__(self, p):
        self.rbm = model(p)
        n = torch.arange(1 << p.hidden)[:, None]
        self.states = ((n >> torch.arange(p.hidden)) & 1).float()

    def run(self, n):
        for _ in range(n):
            # parts, added up in float64: one sum of float32 loses digits
            parts = [float(compute_partition_function(self.rbm, s)) for s in self.states.split(1 << 16)]
            self.log_z = float(torch.logsumexp(torch.tensor(parts, dtype=torch.float64), 0))

    def result(self):
        self.run(1)
        return {"log_z": self.log_z}


class Annealing:
    def __init__(self, p):
        self.rbm, self.p = model(p), p

    def run(self, n):
        for _ in range(n):
            self.log_z = float(compute_partition_function_ais(self.p.chains, self.p.temperatures, self.rbm))

    def result(self):
        """Several runs: the library keeps its weights to itself."""
        found = []
        for _ in range(6):
            self.run(1)
            found.append(self.log_z)
        return {"log_zs": np.array(found)}


TASKS = {"gibbs": Sweeps, "train": Epoch, "rbm": ExactRBM, "ais": Annealing}
