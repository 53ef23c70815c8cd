"""Draw `dataset/sample_faces.zip` again: 2,000 faces of a shipped generator, seeds 10000 to 11999.

    PYTHONPATH=. python scripts/draw_sample.py saved_models/stylegan2_generator.h5

JPEG of quality 95 without subsampling, in the order of the seeds. The notebooks describe this
sample: execute them again (`make notebooks`) and read their texts.
"""

import argparse
import io
import zipfile
from pathlib import Path

from PIL import Image

import facegen_keras as fg

SEEDS = range(10_000, 12_000)
PART = 200  # faces in memory at a time
DATE = (1980, 1, 1, 0, 0, 0)  # of every file, so that the same faces make the same zip


def draw(model_path: Path, target: Path) -> None:
    """Write the zip."""
    generator = fg.load_generator(model_path)
    with zipfile.ZipFile(target, "w") as archive:
        for start in range(0, len(SEEDS), PART):
            seeds = SEEDS[start : start + PART]
            for seed, face in zip(seeds, generator.sample(seeds), strict=True):
                file = io.BytesIO()
                Image.fromarray(face).save(file, "JPEG", quality=95, subsampling=0)
                name = f"{generator.family}_seed{seed}.jpg"
                archive.writestr(zipfile.ZipInfo(name, DATE), file.getvalue())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model_path", type=Path)
    parser.add_argument("--target", type=Path, default=Path("dataset/sample_faces.zip"))
    given = parser.parse_args()
    draw(given.model_path, given.target)
    print(f"{given.target}: {len(SEEDS):,} faces, {given.target.stat().st_size / 2**20:.1f} MiB")
