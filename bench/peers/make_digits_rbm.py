#!/usr/bin/env python3
"""Trains scikit-learn's BernoulliRBM on its own 8x8 digits and saves it as an npz.

    python make_digits_rbm.py ../digits-rbm.npz

64 visible units (pixel > 7 of 0..16), 16 hidden units, {0,1} units, names as
scikit-learn has them. One seed and one version give one file.
"""
import sys

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM

if len(sys.argv) != 2:
    sys.exit("usage: make_digits_rbm.py FILE.npz")
pixels = (load_digits().data > 7).astype(np.float64)
rbm = BernoulliRBM(n_components=16, learning_rate=0.05, batch_size=20, n_iter=30, random_state=1)
rbm.fit(pixels)
np.savez_compressed(
    sys.argv[1],
    components_=rbm.components_.astype(np.float32),
    intercept_visible_=rbm.intercept_visible_.astype(np.float32),
    intercept_hidden_=rbm.intercept_hidden_.astype(np.float32),
)
print("scikit-learn %s, numpy %s, pseudo-likelihood %.3f" % (sklearn.__version__, np.__version__, rbm.score_samples(pixels).mean()))
