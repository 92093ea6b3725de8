"""Multi-spin coded Metropolis in C++, 64 spins to a word: multispin.cpp, built here by g++."""
import ctypes
import os
import subprocess

from worker import Skip

FOLDER = os.path.dirname(os.path.abspath(__file__))


def build():
    library = os.path.join(FOLDER, "multispin.so")
    command = ["g++", "-O3", "-march=native", "-fopenmp", "-std=c++20", "-shared", "-fPIC", "-o", library]
    try:
        subprocess.run(command + [os.path.join(FOLDER, "multispin.cpp")], check=True, capture_output=True)
    except FileNotFoundError:
        raise ImportError("no g++")
    except subprocess.CalledProcessError as e:
        raise ImportError("g++: " + e.stderr.decode(errors="replace").strip())
    return ctypes.CDLL(library)


code = build()
code.lattice_new.restype = ctypes.c_void_p
code.lattice_new.argtypes = [ctypes.c_int, ctypes.c_double, ctypes.c_int, ctypes.c_uint64]
code.lattice_sweep.argtypes = [ctypes.c_void_p, ctypes.c_int]
code.lattice_energy.restype = ctypes.c_double
code.lattice_energy.argtypes = code.lattice_free.argtypes = [ctypes.c_void_p]
VERSION = subprocess.run(["g++", "-dumpfullversion"], capture_output=True).stdout.decode().strip()
VERSION = "g++ " + VERSION


class Lattice:
    def __init__(self, p):
        if p.side % 128:
            raise Skip("sides are multiples of 128")
        self.p = p
        self.state = self.new(p.temperature)

    def new(self, temperature):
        return code.lattice_new(self.p.side, temperature, self.p.threads, self.p.seed)

    def __del__(self):
        if hasattr(self, "state"):
            code.lattice_free(self.state)

    def run(self, n):
        code.lattice_sweep(self.state, n)

    def result(self):
        import numpy as np

        state = self.new(self.p.check_temperature)
        code.lattice_sweep(state, self.p.burn_in)
        energies = []
        for _ in range(self.p.draws):
            code.lattice_sweep(state, self.p.every)
            energies.append(code.lattice_energy(state))
        code.lattice_free(state)
        return {"energies": np.array(energies)}


TASKS = {"ising": Lattice}
