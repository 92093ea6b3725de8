"""Installs the programs that rbmbench peers runs: python3 bench/peers/install.py

The libraries of requirements.txt go to bench/peers/venv, the package ising,
whose wheels end at Python 3.7, to bench/peers/venv-ising. What cannot be
installed is one line on stdout, and the rest goes on. torch comes with its
libraries for GPUs, which take some gigabytes.
"""
import glob
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip() and "[notice]" not in line]
    return lines[-1] if lines else "no reason given"


def run(*command):
    """Runs a command and returns why it failed, or nothing."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    except OSError as e:
        return str(e)
    return last_line(done.stdout) if done.returncode else None


def environment(name, python):
    """Makes a virtual environment and returns its interpreter, or None and why not."""
    folder = os.path.join(HERE, name)
    inside = os.path.join(folder, "Scripts" if os.name == "nt" else "bin", "python")
    if not os.path.exists(inside):
        failure = run(python, "-m", "venv", folder)
        if failure:
            return None, failure
    # a module of its own, so that the go command does not search these folders
    with open(os.path.join(folder, "go.mod"), "w") as f:
        f.write("module environment\n")
    return inside, None


def install(python, requirements):
    """Installs one requirement after another: those that are there take no time."""
    for requirement in requirements:
        failure = run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", requirement)
        if failure:
            print("%s: not installed: %s" % (requirement, failure), flush=True)


def old_python():
    """A Python 3.7, from the path or from pyenv."""
    pyenv = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    candidates = glob.glob(os.path.join(pyenv, "versions", "3.7.*", "bin", "python"))
    found = shutil.which("python3.7")
    for python in ([found] if found else []) + candidates:
        if run(python, "-c", "import sys; assert sys.version_info[:2] == (3, 7)") is None:
            return python
    return None


def main():
    python, failure = environment("venv", sys.executable)
    if failure:
        sys.exit("bench/peers/venv: cannot be made: " + failure)
    with open(os.path.join(HERE, "requirements.txt")) as f:
        install(python, f.read().split())
    old = old_python()
    if old is None:
        print("ising: not installed: its wheels want Python 3.7, which is not here")
        return
    python, failure = environment("venv-ising", old)
    if failure:
        print("ising: not installed: " + failure)
        return
    install(python, ["numpy==1.21.6", "ising==0.1.23"])


if __name__ == "__main__":
    main()
