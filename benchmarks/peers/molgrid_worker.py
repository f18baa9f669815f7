"""libmolgrid at the other end of a pipe: one JSON request a line in, one JSON answer a line out.

Runs in any interpreter that has molgrid and NumPy; imports nothing else of this repository.
"""

import json
import os
import sys

import numpy as np


class Renderer:
    def __init__(self, settings):
        import molgrid

        # Its Gaussian is exp(-2 (d / radius)^2); a negative multiple truncates it instead of bending it to zero.
        self.radius = 2.0 * settings["sigma"]
        self.n_species = settings["n_species"]
        width = (settings["side"] - 1) * settings["voxel"]
        self.maker = molgrid.GridMaker(
            resolution=settings["voxel"],
            dimension=width,
            gaussian_radius_multiple=-settings["cutoff"] / self.radius,
        )
        self.middle = molgrid.float3(0.5 * width, 0.5 * width, 0.5 * width)
        self.out = np.zeros(self.maker.grid_dimensions(self.n_species), dtype=np.float32)
        self.structures = []
        self.versions = {"molgrid": molgrid.__version__, "numpy": np.__version__}

    def load(self, path):
        from molgrid import CoordinateSet

        atoms = np.load(path)
        ends = np.cumsum(atoms["counts"])[:-1]
        positions = np.split(atoms["positions"].astype(np.float32), ends)
        channel = np.split(atoms["channel"].astype(np.float32), ends)
        radii = [np.full(len(c), self.radius, dtype=np.float32) for c in channel]
        self.arrays = positions, channel, radii  # coordinate sets point into them
        self.structures = [CoordinateSet(p, c, r, self.n_species) for p, c, r in zip(*self.arrays, strict=True)]

    def run(self):
        for structure in self.structures:
            self.maker.forward(self.middle, structure, self.out)

    def save(self, path):
        self.maker.forward(self.middle, self.structures[0], self.out)
        np.save(path, self.out)


def answer(requests, answers):
    renderer = None
    for line in requests:
        ((name, argument),) = json.loads(line).items()
        try:
            result = None
            if name == "start":
                renderer = Renderer(argument)
                result = renderer.versions
            elif name == "run":
                renderer.run()
            else:
                getattr(renderer, name)(argument)
            reply = {"done": result}
        except Exception as error:
            reply = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libmolgrid prints to standard output
    answer(sys.stdin, answers)
