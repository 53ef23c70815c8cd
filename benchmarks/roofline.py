"""The roofline of a StyleGAN2 training step: what the device could do, and what part we get.

A step does some number of operations and moves some number of bytes. A device that does at most
`peak` operations and moves at most `bandwidth` bytes a second cannot be quicker than the larger of
operations / peak and bytes / bandwidth (Williams et al. 2009). This counts both in the program
that XLA compiled for the device, measures both limits there with a matrix product and a copy, times
the step, and prints the fraction achieved. Runs on JAX, on whatever device JAX finds:

    KERAS_BACKEND=jax python benchmarks/roofline.py --resolution 64 --batch 16
    KERAS_BACKEND=jax python benchmarks/roofline.py --precision bfloat16 --channel_base 16384 \
        --channel_max 512 --resolution 128 --batch 64

XLA counts what it knows: the operations of convolutions and products are exact; bytes are those
that its fused loops read and write, as if nothing stayed in a cache between two of them.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax
import jax.numpy as jnp
import numpy as np

import facegen_keras as fg
from facegen_keras.models.stylegan2.phase import Phase

SIDE = 4096  # of the matrices whose product is timed
COPIED = 2**28  # bytes of the array whose copy is timed
PHASES = {"plain": 11, "path": 4, "r1": 1}  # of 16 steps with the default intervals


def main() -> None:
    options = _parse()
    dtype = jnp.dtype(options.precision)
    peak, bandwidth = measured_limits(dtype)
    print(
        f"{jax.devices()[0].device_kind}: at most {peak / 1e12:.3g} T{options.precision} "
        f"operations/s ({SIDE}x{SIDE} product) and {bandwidth / 1e9:.3g} GB/s (copy), measured"
    )
    model = fg.StyleGAN2(
        resolution=options.resolution,
        latent_dim=options.w_dim,
        w_dim=options.w_dim,
        mapping_layers=options.mapping_layers,
        channel_base=options.channel_base,
        channel_max=options.channel_max,
        precision=options.precision,
    )
    model.compile()
    model.batch_size = options.batch
    head = ("step", "Gflop", "GB", "flop/byte", "bound", "least ms", "ms", "images/s", "achieved")
    print("{:<8}{:>9}{:>8}{:>10}{:>9}{:>10}{:>9}{:>10}{:>10}".format(*head))
    counts = {phase: np.array(measured_step(model, phase, options)) for phase in PHASES}
    counts["average"] = sum(PHASES[phase] * counts[phase] for phase in PHASES) / 16
    for phase, (operations, moved, seconds) in counts.items():
        least = max(operations / peak, moved / bandwidth)
        bound = "compute" if operations / peak > moved / bandwidth else "memory"
        print(
            f"{phase:<8}{operations / 1e9:>9.1f}{moved / 1e9:>8.2f}{operations / moved:>10.1f}"
            f"{bound:>9}{1e3 * least:>10.2f}{1e3 * seconds:>9.2f}"
            f"{options.batch / seconds:>10.1f}{least / seconds:>10.1%}"
        )


def measured_limits(dtype: Any) -> tuple[float, float]:
    """Operations a second of a large matrix product, and bytes a second of a large copy, which
    are read once and written once.
    """
    square = jnp.ones((SIDE, SIDE), dtype)
    product = jax.jit(lambda a: a @ a)
    array = jnp.ones(COPIED // 4, "float32")
    copy = jax.jit(lambda a: a + 1)
    return (
        2 * SIDE**3 / shortest(lambda: product(square)),
        2 * COPIED / shortest(lambda: copy(array)),
    )


def measured_step(
    model: fg.StyleGAN2, phase: str, options: argparse.Namespace
) -> tuple[float, float, float]:
    """Operations and bytes of one training step as compiled, and the seconds it takes."""
    shape = (options.batch, model.resolution, model.resolution, 3)
    images = jnp.asarray(np.random.RandomState(0).randint(0, 256, shape, "uint8"))
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([variable.value for variable in group] for group in groups)
    due = Phase(model.resolution, path_length=phase == "path", r1=phase == "r1")
    step = model.train_step_of(due)
    compiled = jax.jit(step).lower(state, images).compile()
    cost = compiled.cost_analysis()
    seconds = shortest(lambda: compiled(state, images), options.repeats)
    return cost["flops"], cost["bytes accessed"], seconds


def shortest(run: Callable[[], Any], repeats: int = 5) -> float:
    """Seconds of the quickest of some runs, after one that does not count."""
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return min(times)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--w_dim", type=int, default=128)
    parser.add_argument("--mapping_layers", type=int, default=4)
    parser.add_argument("--channel_base", type=int, default=4096)
    parser.add_argument("--channel_max", type=int, default=128)
    return parser.parse_args()


if __name__ == "__main__":
    main()
