"""What several devices make of a configuration: counted by XLA, predicted by a model of the links.

For every number of devices this compiles the training step of each phase for as many virtual
devices, and asks XLA for the operations of one of them. An implementation that only looks
distributed shows here: its devices do more than their share. The prediction is on paper:

    seconds = operations / rate + 2 (N - 1) / N * bytes of gradients / bandwidth

where gradients are exchanged by a ring (Patarasuk & Yuan 2009) and nothing overlaps. Rate and
bandwidth are yours to give; the defaults are those of an A100 in float32 (TF32), at 40 % of its
peak, with NVLink.

    KERAS_BACKEND=jax python benchmarks/scaling.py --config configs/dcgan_64.yaml
    KERAS_BACKEND=jax python benchmarks/scaling.py --config configs/stylegan2_64.yaml \
        --batch_size 32 --devices 1,2,4,8 --rate 60e12 --bandwidth 10e9
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
# The count is that of the program, not of the machine code: no need to optimize that.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

CYCLE = 960  # steps over which phases are counted; a multiple of the usual intervals


def main() -> None:
    """Print the table of one configuration."""
    options = _parse()
    counts = [int(word) for word in options.devices.split(",")]
    os.environ["JAX_NUM_CPU_DEVICES"] = str(max(counts))
    os.environ["JAX_PLATFORMS"] = "cpu"
    print("devices  images each  Gflop each   of 1/N  MB exchanged  images/s  of N times one")
    one: tuple[float, float] | None = None
    for count in counts:
        flops, moved, batch = step_of(options.config, options.batch_size, count)
        seconds = flops / options.rate + 2 * (count - 1) / count * moved / options.bandwidth
        one = one or (flops * count, batch / seconds / count)
        print(
            f"{count:>7}{batch // count:>13}{flops / 1e9:>12.1f}{flops * count / one[0]:>9.3f}"
            f"{moved / 1e6 if count > 1 else 0:>14.1f}{batch / seconds:>10.0f}"
            f"{batch / seconds / count / one[1]:>16.1%}"
        )


def step_of(config_file: str, batch_size: int | None, devices: int) -> tuple[float, float, int]:
    """Operations of one device and bytes of gradients in the average step, and the batch size."""
    from facegen_keras.engine import distribution
    from facegen_keras.engine.step_cost import step_cost
    from facegen_keras.runs.build import build
    from facegen_keras.runs.config import load_config

    distribution.forget()
    distribution.distribute(devices)
    config = load_config(config_file)
    batch = batch_size or config.batch_size
    model = build(config)
    model.begin(batch, 1)
    phases = Counter(model.phase_of(step) for step in range(CYCLE))
    flops = sum(step_cost(model, phase).flops * n for phase, n in phases.items()) / CYCLE
    weights = sum(4 * network.count_params() for network in model.networks().values())
    return flops, weights, batch


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="a YAML file as for train.py")
    parser.add_argument("--batch_size", type=int, help="instead of the configuration's")
    parser.add_argument("--devices", default="1,2,4,8", help="numbers of devices")
    parser.add_argument("--rate", type=float, default=0.4 * 156e12, help="operations a second")
    parser.add_argument("--bandwidth", type=float, default=150e9, help="bytes a second")
    return parser.parse_args()


if __name__ == "__main__":
    main()
