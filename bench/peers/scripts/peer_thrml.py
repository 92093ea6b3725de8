"""thrml, on JAX: block sampling of an Ising model on a graph of single spins."""
import importlib.metadata

import jax
import jax.numpy as jnp
import numpy as np
from thrml import Block, SpinNode
from thrml.block_sampling import _run_blocks
from thrml.models import IsingEBM, IsingSamplingProgram

from moments import Gibbs
from worker import Skip

VERSION = "thrml " + importlib.metadata.version("thrml")
MOST_EDGES = 1 << 16  # a graph of more takes minutes to build and compile


class Sweeps(Gibbs):
    def __init__(self, p):
        if p.visible * p.hidden > MOST_EDGES:
            raise Skip("a graph of %d edges takes minutes to build" % (p.visible * p.hidden))
        # from {0,1} units to spins
        w = p.array("w") / 4
        b, c = p.array("b") / 2 + w.sum(1), p.array("c") / 2 + w.sum(0)
        visible, hidden = [SpinNode() for _ in range(p.visible)], [SpinNode() for _ in range(p.hidden)]
        edges = [(i, a) for i in visible for a in hidden]
        bias = jnp.asarray(np.concatenate([b, c]))
        energy = IsingEBM(visible + hidden, edges, bias, jnp.asarray(w.reshape(-1)), jnp.array(1.0))
        program = IsingSamplingProgram(energy, [Block(hidden), Block(visible)], [])

        def once(key, state):
            return _run_blocks(key, program, state, [], 1, [s.init() for s in program.samplers])[0]

        self.once, self.p, self.key = jax.jit(jax.vmap(once)), p, jax.random.key(p.seed)
        self.start()

    def start(self):
        self.key, key = jax.random.split(self.key)
        v = jax.random.bernoulli(key, 0.5, (self.p.chains, self.p.visible))
        self.state = [jnp.zeros((self.p.chains, self.p.hidden), bool), v]

    def visible(self):
        return self.state[1]

    def sweep(self):
        self.key, key = jax.random.split(self.key)
        self.state = self.once(jax.random.split(key, self.p.chains), self.state)
        jax.block_until_ready(self.state)


TASKS = {"gibbs": Sweeps}
