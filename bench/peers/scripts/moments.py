"""Averages of block Gibbs chains, to be compared between programs."""
import numpy as np

BURN_IN, SWEEPS = 10, 40


class Gibbs:
    """A program that has start(), sweep() and visible(), the states 0 and 1 of shape
    [chains, visible]. All chains start from fair coins."""

    def run(self, n):
        for _ in range(n):
            self.sweep()

    def result(self):
        """⟨s_i⟩ and ⟨s_i s_i+1⟩ of the visible units as ±1, with standard errors from the
        spread between chains."""
        self.start()
        self.run(BURN_IN)
        one = pair = 0
        for _ in range(SWEEPS):
            self.run(1)
            s = 2 * np.asarray(self.visible()).astype(np.int32) - 1
            one, pair = one + s, pair + s * np.roll(s, -1, axis=1)
        mean, error = [], []
        for x in (one, pair):
            x = x / SWEEPS
            mean.append(x.mean(0))
            error.append(x.std(0, ddof=1) / np.sqrt(len(x)))
        return {"mean": np.concatenate(mean), "error": np.concatenate(error)}
