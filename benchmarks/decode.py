"""Decoding into the cache against a single-threaded Pillow loop, in alternating runs.

    python benchmarks/decode.py                          # 4,000 made-up 178x218 JPEGs
    python benchmarks/decode.py --source faces.zip --resolution 64 --images 20000

Both sides open every image, crop its middle, resize it with Lanczos and end with one `.npy` file of
the same pixels. Ours also checks, fingerprints, checksums and flushes to disk. The CPU seconds
beside the wall time show what would be left on a machine that is busy with something else.
"""

import argparse
import io
import os
import resource
import statistics
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from facegen_keras.data import load_faces


def make_zip(path: Path, count: int, width: int = 178, height: int = 218) -> Path:
    """Write made-up JPEGs of CelebA's size: smooth colours under fine grain."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(count):
            coarse = Image.fromarray(rng.integers(0, 256, (6, 5, 3), dtype=np.uint8))
            smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
            grain = rng.integers(-8, 9, (height, width, 1), dtype=np.int16)
            image = Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=90)
            archive.writestr(f"{number:06d}.jpg", buffer.getvalue())
    return path


def pillow_loop(source: Path, resolution: int, limit: int | None, target: Path) -> np.ndarray:
    """What one writes by hand."""
    with zipfile.ZipFile(source) as archive:
        names = sorted(archive.namelist())[:limit]
        shape = (len(names), resolution, resolution, 3)
        images = np.lib.format.open_memmap(target, "w+", np.uint8, shape)
        for row, name in enumerate(names):
            with archive.open(name) as file:
                image = Image.open(file).convert("RGB")
            side = min(image.size)
            left, upper = (image.width - side) // 2, (image.height - side) // 2
            if image.size != (side, side):
                image = image.crop((left, upper, left + side, upper + side))
            if side != resolution:
                image = image.resize((resolution, resolution), Image.Resampling.LANCZOS)
            images[row] = np.asarray(image)
        images.flush()
    return images


def cpu_seconds() -> float:
    """CPU seconds of this process and of its finished children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(run: Callable[[], object]) -> tuple[float, float]:
    """Return (wall seconds, CPU seconds) of one call."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    run()
    return time.perf_counter() - wall, cpu_seconds() - cpu


def main() -> None:
    """Run and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="a zip of images; made up when left out")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3, help="of each side")
    parser.add_argument("--workers", type=int, help="one per core by default")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = args.source or make_zip(Path(folder) / "made_up.zip", args.images)
        by_hand, ours = [], []
        for number in range(args.runs):
            target, cache = Path(folder) / f"{number}.npy", Path(folder) / f"cache{number}"
            by_hand.append(
                measure(lambda t=target: pillow_loop(source, args.resolution, args.images, t))
            )
            ours.append(
                measure(
                    lambda c=cache: load_faces(
                        source,
                        args.resolution,
                        limit=args.images,
                        cache_dir=c,
                        workers=args.workers,
                        progress=False,
                    )
                )
            )
        loaded = load_faces(source, args.resolution, limit=args.images, cache_dir=cache)
        plain = np.load(target, mmap_mode="r")
        if not all((loaded[i] == plain[i]).all() for i in range(0, len(plain), 97)):
            print("the two sides differ: large JPEGs are decoded at a reduced size")
        again = measure(
            lambda: load_faces(source, args.resolution, limit=args.images, cache_dir=cache)
        )
    count = len(plain)
    for name, runs in (("Pillow loop", by_hand), ("load_faces", ours)):
        wall, cpu = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"{name:<12}{count / wall:10,.0f} images/s{1e6 * cpu / count:10,.0f} CPU µs/image")
    ratio = statistics.median(a[0] / b[0] for a, b in zip(by_hand, ours, strict=True))
    load = os.getloadavg()[0]
    print(f"second start {again[0]:.2f} s; {os.cpu_count()} cores, load average {load:.1f}")
    print(f"ratio {ratio:.2f} (goal: at least 2 on 2 idle cores)")


if __name__ == "__main__":
    main()
