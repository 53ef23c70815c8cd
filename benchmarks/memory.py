"""Memory of training on many images: 200,000 made-up 128x128 faces within 2 GiB above the model.

    python benchmarks/memory.py                     # needs 9.2 GiB of disk
    python benchmarks/memory.py --images 5000       # a small try

Writes a `.npy` piece by piece, then trains a small network on it with `fit` in a process of its
own: once on a single batch of zeros, which shows what the network itself needs, and then on
`FaceBatches`. Prints the difference between the two peaks of resident memory; file pages that are
mapped count in full.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

GOAL_BYTES = 2 * 2**30
PIECE = 1000  # images written at a time

TRAIN = """
import resource, sys
import keras
import numpy as np
import facegen_keras as fg

source, resolution, batch_size, steps = sys.argv[1], *map(int, sys.argv[2:5])
network = keras.Sequential([
    keras.Input((resolution, resolution, 3)),
    keras.layers.Rescaling(1 / 127.5, -1),
    keras.layers.AveragePooling2D(8),
    keras.layers.Flatten(),
    keras.layers.Dense(8),
])

class Trainer(keras.Model):
    def __init__(self):
        super().__init__()
        self.network = network
    def call(self, images):
        return self.network(images)
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean(y_pred**2)

model = Trainer()
model.compile("sgd", jit_compile=False)
if source == "zeros":
    faces = np.zeros((batch_size, resolution, resolution, 3), np.uint8)
else:
    faces = source
faces = fg.load_faces(faces, resolution=resolution, mirror=True)
batches = fg.FaceBatches(faces, batch_size)
epochs = -(-steps // len(batches)) if source == "zeros" else 1
per_epoch = None if source == "zeros" else min(steps, len(batches))
model.fit(batches, epochs=epochs, steps_per_epoch=per_epoch, shuffle=False, verbose=0)
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print("peak", peak, "images", (per_epoch or epochs) * batch_size)
"""


def write_faces(path: Path, count: int, resolution: int) -> None:
    """Write made-up images without holding more than a thousand of them."""
    rng = np.random.default_rng(0)
    row = resolution * resolution * 3
    with open(path, "wb") as file:
        shape = (count, resolution, resolution, 3)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        noise = rng.integers(0, 256, PIECE * row, dtype=np.uint8)
        for start in range(0, count, PIECE):
            # The same noise, begun elsewhere: made quickly, and no two images are alike.
            piece = np.roll(noise, start + 1)
            file.write(piece[: min(PIECE, count - start) * row])


def train(source: str, args: argparse.Namespace, cache: str) -> int:
    """Train in a fresh process and return its peak resident memory in bytes."""
    started = time.perf_counter()
    numbers = [str(value) for value in (args.resolution, args.batch_size, args.steps)]
    result = subprocess.run(
        [sys.executable, "-c", TRAIN, source, *numbers],
        env={**os.environ, "FACEGEN_CACHE": cache},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    _, peak, _, images = result.stdout.split()[-4:]
    seconds = time.perf_counter() - started
    name, mib = Path(source).name, int(peak) / 2**20
    print(f"{name:<10} peak {mib:8,.0f} MiB, {images} images, {seconds:.0f} s")
    return int(peak)


def main() -> None:
    """Run and print the difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10**9, help="at most; one epoch by default")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "faces.npy"
        write_faces(path, args.images, args.resolution)
        size = path.stat().st_size
        cache = str(Path(folder) / "cache")
        args.steps, steps = min(args.steps, 50), args.steps
        alone = train("zeros", args, cache)
        args.steps = steps
        above = train(str(path), args, cache) - alone
    mib = size / 2**20
    print(f"{args.images:,} images of {mib:,.0f} MiB: {above / 2**20:,.0f} MiB above the model")
    print("within 2 GiB" if above <= GOAL_BYTES else "MORE THAN 2 GiB")
    sys.exit(above > GOAL_BYTES)


if __name__ == "__main__":
    main()
