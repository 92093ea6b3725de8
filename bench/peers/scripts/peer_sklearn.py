"""scikit-learn's BernoulliRBM, in float32."""
import numpy as np
import sklearn
from sklearn.neural_network import BernoulliRBM

from moments import Gibbs

VERSION = "scikit-learn " + sklearn.__version__


def machine(p, batch, model=""):
    rbm = BernoulliRBM(n_components=p.hidden, batch_size=batch, random_state=p.seed)
    rbm.partial_fit(np.zeros((batch, p.visible), np.float32))  # makes all attributes
    rbm.components_ = np.asfortranarray(p.array(model + "w").T)
    rbm.intercept_visible_, rbm.intercept_hidden_ = p.array(model + "b"), p.array(model + "c")
    return rbm


class Sweeps(Gibbs):
    def __init__(self, p):
        self.shape, self.rng, self.rbm = (p.chains, p.visible), np.random.default_rng(p.seed), machine(p, 1)
        self.start()

    def start(self):
        self.v = (self.rng.random(self.shape) < 0.5).astype(np.float32)

    def visible(self):
        return self.v

    def sweep(self):
        self.v = self.rbm.gibbs(self.v).astype(np.float32)


class Epoch:
    """partial_fit is a step of persistent contrastive divergence."""

    def __init__(self, p):
        self.p, self.data = p, p.array("data").astype(np.float32)
        self.rng = np.random.default_rng(p.seed)
        self.start()

    def start(self, model=""):
        self.rbm = machine(self.p, self.p.batch, model)
        self.rbm.learning_rate = self.p.rate
        self.rbm.h_samples_ = (self.rng.random((self.p.batch, self.p.hidden)) < 0.5).astype(np.float32)

    def run(self, n):
        for _ in range(n):
            order = self.rng.permutation(len(self.data))
            for i in range(0, len(order), self.p.batch):
                self.rbm.partial_fit(self.data[order[i : i + self.p.batch]])

    def result(self):
        """What an epoch of a few rows makes of a model that has learnt nothing."""
        self.data = self.data[: self.p.compared]
        self.start("fresh_")
        self.run(1)
        return {
            "w": np.ascontiguousarray(self.rbm.components_.T),
            "b": self.rbm.intercept_visible_,
            "c": self.rbm.intercept_hidden_,
        }


TASKS = {"gibbs": Sweeps, "train": Epoch}
