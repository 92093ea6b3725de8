"""dwave-samplers: simulated annealing held at one temperature is Metropolis sampling."""
import importlib.metadata

import dimod
import numpy as np
from dwave.samplers import SimulatedAnnealingSampler

from worker import Skip

MOST_SITES = 1 << 16  # setting the sampler up takes a minute for more
VERSION = "dwave-samplers " + importlib.metadata.version("dwave-samplers")


class Lattice:
    def __init__(self, p):
        self.p, n = p, p.side * p.side
        if n > MOST_SITES:
            raise Skip("takes minutes for %d sites" % n)
        site = np.arange(n).reshape(p.side, p.side)
        left = np.concatenate([site.ravel(), site.ravel()])
        right = np.concatenate([np.roll(site, -1, 0).ravel(), np.roll(site, -1, 1).ravel()])
        self.model = dimod.BQM.from_numpy_vectors(np.zeros(n), (left, right, -np.ones(2 * n)), 0.0, "SPIN")
        self.sampler, self.up, self.seed = SimulatedAnnealingSampler(), np.ones((1, n), np.int8), p.seed

    def sample(self, temperature, sweeps, reads, start):
        self.seed += 1
        return self.sampler.sample(
            self.model, num_reads=reads, num_sweeps_per_beta=sweeps,
            beta_schedule_type="custom", beta_schedule=[1 / temperature],
            initial_states=start, initial_states_generator="tile",
            proposal_acceptance_criteria="Metropolis", seed=self.seed,
        )  # fmt: skip

    def run(self, n):
        """Returns the time of the sweeps alone: setting the sampler up takes longer than many."""
        found = self.sample(self.p.temperature, n, 1, self.up)
        return found.info["timing"]["sampling_ns"] * 1e-9

    def result(self):
        found = self.sample(self.p.check_temperature, self.p.burn_in, self.p.draws, self.up)
        return {"energies": np.asarray(found.record.energy) / self.up.size}


TASKS = {"ising": Lattice}
