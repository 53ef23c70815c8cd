"""The Fréchet step at 2048 dimensions: this package against `scipy.linalg.sqrtm`.

    python benchmarks/frechet.py [--dim 2048] [--images 5000] [--rounds 2]

The covariances are those of correlated random features with a spectrum that decays by four orders
of magnitude, as Inception's does. Both take turns; the answers are compared. Processor time is
printed beside wall time for machines that do more than this.
"""

import argparse
import statistics
import time

import numpy as np
import scipy.linalg

from facegen_keras.metrics import Statistics, frechet_distance


def by_matrix_root(a: Statistics, b: Statistics) -> float:
    """As pytorch-fid computes it."""
    root = scipy.linalg.sqrtm(a.covariance @ b.covariance)
    difference = a.mean - b.mean
    variance = np.trace(a.covariance) + np.trace(b.covariance)
    return float(difference @ difference + variance - 2 * np.trace(root).real)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()

    random = np.random.default_rng(0)
    mixing = random.standard_normal((args.dim, args.dim)) / np.sqrt(args.dim)
    mixing *= np.geomspace(1, 1e-2, args.dim)[:, None]
    a, b = (
        Statistics.from_features(
            scale * random.standard_normal((args.images, args.dim)) @ mixing + shift
        )
        for scale, shift in ((1.0, 0.0), (1.1, 0.01))
    )
    methods = {"scipy.linalg.sqrtm": by_matrix_root, "facegen_keras": frechet_distance}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    work: dict[str, list[float]] = {name: [] for name in methods}
    values = {}
    for _ in range(args.rounds):
        for name, method in methods.items():
            start, used = time.perf_counter(), time.process_time()
            values[name] = method(a, b)
            seconds[name].append(time.perf_counter() - start)
            work[name].append(time.process_time() - used)
    for name, times in seconds.items():
        cost = statistics.median(work[name])
        median = statistics.median(times)
        print(f"{name}: {median:.2f} s, {cost:.2f} s CPU, distance {values[name]:.9f}")
    ratios = [theirs / ours for theirs, ours in zip(*seconds.values(), strict=True)]
    print(f"ratio: {statistics.median(ratios):.1f} {[round(r, 1) for r in ratios]}")
    theirs, ours = (statistics.median(times) for times in work.values())
    print(f"ratio of processor time: {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
