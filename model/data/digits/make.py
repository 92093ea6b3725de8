"""Packs scikit-learn's 8×8 digits as ±1 for digits.go.

    pip install scikit-learn==1.9.1 numpy==2.4.6
    python3 model/data/digits/make.py

Writes digits.bin beside this file: 1797 images of 8 bytes, a byte for each row
of pixels from the top, its lowest bit the leftmost pixel, 1 where a pixel (0 to
16) is above 7.
"""

import pathlib

import numpy as np
from sklearn.datasets import load_digits

THRESHOLD = 7

pixels = load_digits().data > THRESHOLD
packed = np.packbits(pixels.reshape(-1, 8), axis=1, bitorder="little")
out = pathlib.Path(__file__).resolve().parent / "digits.bin"
out.write_bytes(packed.tobytes())
print(f"{out.name}: {len(pixels)} images, {int(pixels.sum())} of {pixels.size} pixels are +1")
