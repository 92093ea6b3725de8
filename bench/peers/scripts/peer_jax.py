"""JAX on the CPU, compiled whole."""
import functools

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402  (after float64 is allowed)

from moments import Gibbs  # noqa: E402
from peer_numpy import HIGH, LOW, difference, guess, ring  # noqa: E402

VERSION = "jax " + jax.__version__
sigmoid = jax.nn.sigmoid


def draw(key, p):
    return (jax.random.uniform(key, p.shape, jnp.float32) < p).astype(jnp.float32)


@jax.jit
def sweeps(n, key, v, w, b, c):
    def body(_, state):
        key, v = state
        key, one, two = jax.random.split(key, 3)
        h = draw(one, sigmoid(v @ w + c))
        return key, draw(two, sigmoid(h @ w.T + b))

    return jax.lax.fori_loop(0, n, body, (key, v))


class Sweeps(Gibbs):
    def __init__(self, p):
        self.key, self.shape = jax.random.key(p.seed), (p.chains, p.visible)
        self.model = [jnp.asarray(p.array(n)) for n in ("w", "b", "c")]
        self.start()

    def start(self):
        self.key, key = jax.random.split(self.key)
        self.v = jax.random.bernoulli(key, 0.5, self.shape).astype(jnp.float32)

    def visible(self):
        return self.v

    def run(self, n):
        self.key, self.v = sweeps(n, self.key, self.v, *self.model)
        self.v.block_until_ready()


@functools.partial(jax.jit, donate_argnums=(0,))
def epoch(state, data, order, rate):
    def step(state, rows):
        key, w, b, c, h = state
        key, one, two = jax.random.split(key, 3)
        x = data[rows]
        ph = sigmoid(x @ w + c)
        y = draw(one, sigmoid(h @ w.T + b))
        nh = sigmoid(y @ w + c)
        w = w + rate / len(rows) * (x.T @ ph - y.T @ nh)
        b = b + rate * (x - y).mean(0)
        c = c + rate * (ph - nh).mean(0)
        return (key, w, b, c, draw(two, nh)), None

    return jax.lax.scan(step, state, order)[0]


class Epoch:
    """Persistent contrastive divergence, one sweep, as many chains as a batch has rows."""

    def __init__(self, p):
        self.p, self.key = p, jax.random.key(p.seed)
        self.data = jnp.asarray(p.array("data"), jnp.float32)
        self.start()

    def start(self, model=""):
        self.key, one, two = jax.random.split(self.key, 3)
        h = jax.random.bernoulli(one, 0.5, (self.p.batch, self.p.hidden)).astype(jnp.float32)
        self.state = (two, *(jnp.asarray(self.p.array(model + n)) for n in ("w", "b", "c")), h)

    def run(self, n):
        for _ in range(n):
            self.key, key = jax.random.split(self.key)
            order = jax.random.permutation(key, len(self.data)).reshape(-1, self.p.batch)
            self.state = epoch(self.state, self.data, order, jnp.float32(self.p.rate))
        jax.block_until_ready(self.state)

    def result(self):
        """What an epoch of a few rows makes of a model that has learnt nothing."""
        self.data = self.data[: self.p.compared]
        self.start("fresh_")
        self.run(1)
        import numpy as np

        return dict(zip(("w", "b", "c"), (np.asarray(x) for x in self.state[1:4])))


@jax.jit
@jax.vmap
def newton(k):
    p = ring(k, jnp)

    def body(_, state):
        lo, hi, w = state
        y, dy = difference(w, p, jnp)
        lo, hi = jnp.where(y < 0, w, lo), jnp.where(y < 0, hi, w)
        new = w - y / dy
        return lo, hi, jnp.where((new >= lo) & (new <= hi), new, 0.5 * (lo + hi))

    # all K of the bracket have converged by then
    return jax.lax.fori_loop(0, 10, body, (LOW + 0 * k, HIGH + 0 * k, guess(k, jnp)))[2]


class Roots:
    def __init__(self, p):
        self.k = jnp.asarray(p.array("k"))

    def run(self, n):
        for _ in range(n):
            self.w = newton(self.k).block_until_ready()

    def result(self):
        self.run(1)
        return {"w": self.w}


TASKS = {"gibbs": Sweeps, "train": Epoch, "roots": Roots}
