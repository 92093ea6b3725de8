"""Writes the arrays that read_test.go reads: python3 make.py, with numpy 2."""
import numpy as np

x = np.arange(24).reshape(2, 3, 4)
arrays = {
    "bool": x % 3 == 0,
    "uint8": (x * 11).astype(np.uint8),
    "int8": (x - 12).astype(np.int8),
    "uint16": (x * 2731).astype(np.uint16),
    "int16": (x * 2731 - 32768).astype(np.int16),
    "uint32": (x * 186737708).astype(np.uint32),
    "int32": (x * 178956970 - 2**31).astype(np.int32),
    "uint64": (x * 2**48).astype(np.uint64),
    "int64": (x - 12) * 2**48,
    "float16": (x / 8 - 1).astype(np.float16),
    "float32": (x / 8 - 1).astype(np.float32),
    "float64": x / 8 - 1,
    "big": (x / 8 - 1).astype(">f4"),
    "fortran": np.asfortranarray(x / 8 - 1),
    "flat": np.array([3.0, 1.0]),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 5), np.float32),
    "units": np.array("spin"),
    "bytes": np.array(b"binary"),
}
halves = np.array([0, 6e-8, -6e-5, 6.1e-5, 65504, np.inf, -np.inf], np.float16)
np.savez_compressed("numbers.npz", halves=halves, **arrays)
np.savez("objects.npz", W=np.array([{"a": 1}, None], dtype=object), pair=np.zeros(2, [("a", "f4"), ("b", "i4")]))
