"""Trains a small restricted Boltzmann machine elsewhere, for us to load.

scikit-learn's BernoulliRBM on scikit-learn's own 8×8 digits: 64 visible and 16
hidden {0,1} units, a pixel (0 to 16) is 1 above 7. Writes
bench/digits/digits_rbm16.npz with components_ [hidden, visible],
intercept_visible_ and intercept_hidden_, float64, as the estimator has them.

    pip install scikit-learn==1.9.1 numpy==2.4.6
    python3 bench/peers/make_digits_rbm.py
"""

import pathlib

import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM

THRESHOLD = 7

x = (load_digits().data > THRESHOLD).astype(np.float64)
rbm = BernoulliRBM(n_components=16, learning_rate=0.05, batch_size=10, n_iter=100, random_state=0)
rbm.fit(x)

out = pathlib.Path(__file__).resolve().parent.parent / "digits" / "digits_rbm16.npz"
np.savez(
    out,
    components_=rbm.components_,
    intercept_visible_=rbm.intercept_visible_,
    intercept_hidden_=rbm.intercept_hidden_,
)
print(f"{out.name}: {len(x)} digits, mean of pixels {x.mean():.4f}, "
      f"pseudo-likelihood {rbm.score_samples(x).mean():.3f}, largest weight {np.abs(rbm.components_).max():.3f}")
