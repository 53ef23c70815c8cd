"""The shipped models against photos, with two sets of seeds and intervals, for notebook 06.

    PYTHONPATH=. python benchmarks/shipped_models.py --data_path celeba_64.zip --features FOLDER

Features go to FOLDER in parts of 80 images: after Ctrl-C the same command goes on, more images
may be asked for later, and a model that was exchanged is measured anew. Only numbers are written,
no photo.
"""

import argparse
from pathlib import Path

import numpy as np

import facegen_keras as fg
from facegen_keras.metrics.confidence import with_errors
from facegen_keras.metrics.result import Evaluation, Number, Report

PART = 80  # images
MOST = 2560  # photos, and as many others; the choice does not depend on --images
SECOND = 10_000  # first seed of the second set
MODELS = ("dcgan_generator", "stylegan2_generator", "combined_generator", "vae_decoder")
OUTPUT = "saved_models/against_photos.json"


def measure(data_path: str, photos: str, features: Path, images: int) -> Report:
    """Compute the features that are missing, and every number from all of them."""
    faces = fg.load_faces(data_path)
    chosen = np.random.default_rng(0).permutation(len(faces))[: 2 * MOST]
    extractor = fg.metrics.EfficientNetLite0Features(batch_size=40)
    generators = {name: fg.load_generator(f"saved_models/{name}.h5") for name in MODELS}
    sets = {"photos": lambda part: faces[np.sort(chosen[part])]}
    sets["others"] = lambda part: faces[np.sort(chosen[part + MOST])]
    titles = {"others": f"other {photos}"}
    for generator in generators.values():
        for letter, first in (("a", 0), ("b", SECOND)):
            key = f"{generator.family}_{generator.metadata['export'][:8]}_{letter}"
            sets[key] = lambda part, g=generator, s=first: g.sample(part + s)
            titles[key] = f"{generator.family}, seeds {first} to {first + images - 1}"
    for start in range(0, images, PART):
        for key, draw in sets.items():
            path = features / f"{key}_{start:05d}.npy"
            if not path.exists():
                np.save(path, extractor(draw(np.arange(start, start + PART))))
    found = {
        key: np.concatenate(
            [np.load(features / f"{key}_{start:05d}.npy") for start in range(0, images, PART)]
        )
        for key in sets
    }
    protocol = {
        **extractor.protocol,
        "num_images": images,
        "photos": photos,
        "reference": faces.fingerprint,
        "resolution": faces.resolution,
    }
    return Report([_evaluation(titles[key], found["photos"], found[key], protocol)
                   for key in titles])  # fmt: skip


def _evaluation(name: str, photos: np.ndarray, samples: np.ndarray, protocol: dict) -> Evaluation:
    distance = fg.metrics.kernel_distance(photos, samples)
    shares = fg.metrics.precision_recall(photos, samples)
    about = {**protocol, "k": shares.k, "k_density": shares.k_density}
    numbers = {
        "kd": Number("KD (efficientnet-lite0)", float(distance), distance.error, protocol=protocol)
    }
    for key in ("precision", "recall", "density", "coverage"):
        numbers[key] = Number(key, getattr(shares, key), lower_is_better=False, protocol=about)
    return Evaluation(name, with_errors(numbers, photos, samples, 40, 0), protocol)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--photos", default="photos of CelebA, 64x64")
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--images", type=int, default=MOST)
    given = parser.parse_args()
    if given.images % PART or not 0 < given.images <= MOST:
        parser.error(f"--images {given.images}: expected a multiple of {PART} up to {MOST}")
    given.features.mkdir(parents=True, exist_ok=True)
    report = measure(given.data_path, given.photos, given.features, given.images)
    print(report.table())
    report.to_json(OUTPUT)
