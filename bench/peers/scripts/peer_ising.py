"""The package ising (github.com/dexter2206/ising): brute force on the CPU in compiled code."""
import ising
import pkg_resources

from worker import Skip

VERSION = "ising " + pkg_resources.get_distribution("ising").version
MOST_SPINS = 22  # seconds for one time


class Minimum:
    def __init__(self, p):
        if p.spins > MOST_SPINS:
            raise Skip("takes minutes with %d spins" % p.spins)
        # its energy is -sum J s s - sum h s, as ours
        j, h, n = p.array("couplings"), p.array("fields"), p.spins
        self.graph = {(i, k): j[i, k] for i in range(n) for k in range(i + 1, n)}
        self.graph.update({(i, i): h[i] for i in range(n)})

    def run(self, n):
        for _ in range(n):
            self.found = ising.search(self.graph, num_states=1, show_progress=False, method="CPU")

    def result(self):
        self.run(1)
        return {"minimum": self.found.energies[0]}


TASKS = {"minimum": Minimum}
