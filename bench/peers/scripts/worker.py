"""Serves one library's programs over a line protocol.

    python worker.py peer_numpy THREADS

The first line on stdout is {"version": "...", "tasks": [...]}, or {"error":
"..."} if the library cannot be imported. Then each line on stdin is a request
and is answered by one line with its id:

    {"id": 1, "do": "prepare", "task": "gibbs", "problem": {...}}   {"id": 1}
    {"id": 2, "do": "run", "times": 10}                             {"id": 2, "seconds": 0.0123}
    {"id": 3, "do": "result"}                                       {"id": 3, "values": {...}, "arrays": {...}}

An answer may be {"id": 1, "skip": "why"} where the library cannot do such a
problem, or {"id": 1, "error": "..."}. Numbers of a problem are in it, arrays
are .npy files that it names; arrays of a result are written beside them.
Whatever a library prints goes to stderr.
"""
import importlib
import json
import os
import sys
import time


class Skip(Exception):
    """What a library cannot do."""


class Problem:
    """The numbers of a problem as attributes, and its arrays."""

    def __init__(self, numbers, files, folder, threads):
        self.__dict__.update(numbers)
        self.files, self.folder, self.threads = files, folder, threads

    def array(self, name):
        import numpy

        return numpy.load(self.files[name])


def reason(error):
    return ("%s: %s" % (type(error).__name__, error)).splitlines()[0][:300]


def save(problem, result):
    values, arrays = {}, {}
    for name, x in result.items():
        if hasattr(x, "shape") and x.shape:
            import numpy

            arrays[name] = os.path.join(problem.folder, name + ".npy")
            numpy.save(arrays[name], x)
        else:
            values[name] = float(x)
    return {"values": values, "arrays": arrays}


def serve(module, threads, requests, answer):
    job = problem = None
    for line in requests:
        request = json.loads(line)
        reply = {"id": request["id"]}
        try:
            if request["do"] == "prepare":
                job = None  # lets go of the memory first
                p = request["problem"]
                problem = Problem(p["numbers"], p["files"], p["folder"], threads)
                job = module.TASKS[request["task"]](problem)
            elif request["do"] == "run":
                start = time.perf_counter()
                own = job.run(request["times"])
                reply["seconds"] = time.perf_counter() - start if own is None else own
            else:
                reply.update(save(problem, job.result()))
        except Skip as e:
            reply["skip"] = str(e)
        except Exception as e:
            import traceback

            traceback.print_exc()
            reply["error"] = reason(e)
        answer(reply)


def main():
    name, threads = sys.argv[1], int(sys.argv[2])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(reply):
        out.write(json.dumps(reply) + "\n")
        out.flush()

    try:
        module = importlib.import_module(name)
    except ImportError as e:
        answer({"error": reason(e)})
        return
    answer({"version": module.VERSION, "tasks": sorted(module.TASKS)})
    serve(module, threads, sys.stdin, answer)


if __name__ == "__main__":
    sys.modules["worker"] = sys.modules["__main__"]  # one Skip for all
    main()
