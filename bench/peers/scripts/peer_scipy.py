"""scipy's vectorised bracketing root finder."""
import numpy as np
import scipy
from scipy.optimize import elementwise

from peer_numpy import HIGH, LOW, difference, ring

VERSION = "scipy " + scipy.__version__


class Roots:
    def __init__(self, p):
        self.k = p.array("k")

    def run(self, n):
        for _ in range(n):
            bracket = np.full(self.k.shape, LOW), np.full(self.k.shape, HIGH)
            found = elementwise.find_root(lambda w, *p: difference(w, p)[0], bracket, args=ring(self.k))
            self.w = found.x

    def result(self):
        self.run(1)
        return {"w": self.w}


TASKS = {"roots": Roots}
