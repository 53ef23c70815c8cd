"""What the demo can do, without its page: functions from plain values to pictures and films."""

import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from facegen_keras.data import load_faces
from facegen_keras.demo.human_test import FEWEST_PAIRS, PAIRS, HumanTest, new_test
from facegen_keras.demo.uploads import read_uploads
from facegen_keras.errors import UserError, check_whole
from facegen_keras.export.from_hub import local_model
from facegen_keras.export.model_file import read_model_file
from facegen_keras.export.parts import MAIN_PARTS, companion_path
from facegen_keras.generate.generator import Generator, StyleOptions
from facegen_keras.generate.loading import load_encoder, load_generator
from facegen_keras.generate.projection import project
from facegen_keras.generate.reconstruction import reconstruct
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.generate.w_space import Directions, move_w, pca_directions, style_mix
from facegen_keras.models.stylegan2.networks import style_count
from facegen_keras.pictures import save_frames, tile

MOST_FACES = 64
MOST_FRAMES = 240  # ten seconds
MOST_STEPS = 1000  # of a projection
MIXED = 3  # rows and columns of a style mix
DIRECTIONS = 6
PHOTOS_READ = 200  # of a data set, for a test
SHOWN = 256  # pixels at least, to which small faces are enlarged


class Studio:
    """Trained models, each opened when it is first used.

    Attributes:
        paths: Model file by the name that a visitor sees.
        families: Family by that name.
        layers: The most layers with a style that one of them has, 0 without a StyleGAN2.
        crop: Of photos, as for `load_faces`.
        data_path: Photos for the human test, or None: visitors bring their own.
        lock: Held while a model computes: one job at a time.

    Args:
        models: Generators (.h5 or .keras), or names of the hub.
        crop: See above.
        data_path: See above.

    Raises:
        UserError: There is no model, or one of the files may not be opened.
    """

    def __init__(
        self,
        models: Sequence[str | os.PathLike],
        crop: str = "center",
        data_path: str | os.PathLike | None = None,
    ) -> None:
        self.paths: dict[str, Path] = {}
        self.families: dict[str, str] = {}
        self.layers = 0
        for model in models:
            path = local_model(model)
            name = path.stem if path.stem not in self.paths else str(model)
            self.paths[name] = path
            known = read_model_file(path).metadata
            self.families[name] = str(known.get("family") or "unknown")
            if self.families[name] == "stylegan2":
                self.layers = max(self.layers, style_count(int(known.get("resolution") or 1024)))
        if not self.paths:
            raise UserError("demo: no model; train one first, or give model_path a file")
        self.crop, self.data_path = crop, data_path
        self.lock = threading.Lock()
        self._generators: dict[str, Generator] = {}
        self._encoders: dict[str, keras.Model] = {}
        self._directions: dict[str, Directions] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="facegen_demo_"))  # of films
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def of_family(self, *families: str) -> list[str]:
        """The names of the models of some families; of all without any."""
        return [
            name for name, family in self.families.items() if family in families or not families
        ]

    def with_encoder(self) -> list[str]:
        """The names of the models that an encoder stands beside."""
        return [
            name
            for name, path in self.paths.items()
            if companion_path(path, self.families[name], "encoder").exists()
        ]

    def generator(self, name: str) -> Generator:
        """The opened generator of a name.

        Raises:
            UserError: There is no such model, or it cannot be opened.
        """
        if name not in self.paths:
            raise UserError(f"model {name!r}: expected one of {', '.join(self.paths)}")
        if name not in self._generators:
            self._generators[name] = load_generator(self.paths[name])
        return self._generators[name]

    def faces(self, name: str, seed: int, count: int = 16, psi: float = 1.0) -> np.ndarray:
        """A sheet of the faces of `count` seeds from `seed` on: uint8 `(height, width, 3)`.

        Args:
            name: Of the model.
            seed: The first.
            count: At most 64.
            psi: Truncation ψ of a StyleGAN2; the other families have none.

        Raises:
            UserError: A value is out of range.
        """
        _check("count", count, 1, MOST_FACES)
        check_whole("seed", seed, least=0)
        seeds = range(seed, seed + count)
        images = self.generator(name).sample(seeds, **self._options(name, psi))
        return tile(enlarged(images, SHOWN // 2 if count > 1 else 2 * SHOWN))

    def compare(self, seed: int, psi: float = 1.0) -> list[tuple[np.ndarray, str]]:
        """The face of one seed from the first model of each family, with the model's name."""
        first = {family: name for name, family in reversed(self.families.items())}
        names = [name for name, family in self.families.items() if first[family] == name]
        return [(self.faces(name, seed, 1, psi), name) for name in names]

    def mix(
        self, name: str, rows: int, columns: int, first: int, last: int, psi: float = 1.0
    ) -> np.ndarray:
        """Three faces with the styles of three others in some layers: uint8 `(height, width, 3)`.

        Args:
            name: Of a StyleGAN2.
            rows: Seed of the first of the faces that are changed.
            columns: Seed of the first of those whose styles they take.
            first: The first layer that takes them.
            last: The last one.
            psi: Truncation ψ.

        Raises:
            UserError: The model has no styles, or a value is out of range.
        """
        generator = self._stylegan2(name)
        _check("first", first, 0, last)
        for seed in (rows, columns):
            check_whole("seed", seed, least=0)
        left, top = (range(start, start + MIXED) for start in (rows, columns))
        matrix = style_mix(generator, left, top, range(first, last + 1), truncation_psi=psi)
        sheet = enlarged(matrix.reshape(-1, *matrix.shape[2:]), SHOWN // 2)
        return tile(sheet, (MIXED + 1, MIXED + 1))

    def move(self, name: str, seed: int, amounts: Sequence[float], psi: float = 0.7) -> np.ndarray:
        """A face moved along the strongest directions of w: uint8 `(height, width, 3)`.

        Args:
            name: Of a StyleGAN2.
            seed: Of the face.
            amounts: One per direction, in standard deviations.
            psi: Truncation ψ of the face before it moves.

        Raises:
            UserError: The model has no w, or a value is out of range.
        """
        generator = self._stylegan2(name)
        check_whole("seed", seed, least=0)
        if name not in self._directions:
            self._directions[name] = pca_directions(generator, DIRECTIONS)
        image = move_w(generator, self._directions[name], seed, amounts, psi)
        return enlarged(image[None], 2 * SHOWN)[0]

    def walk(self, name: str, seed: int, stops: int, frames: int, psi: float = 1.0) -> Path:
        """A film through the faces of `stops` seeds from `seed` on, back to the first: an mp4.

        Raises:
            UserError: A value is out of range.
        """
        _check("frames", frames, stops, MOST_FRAMES)
        check_whole("seed", seed, least=0)
        images = self.generator(name).interpolate(
            range(seed, seed + stops), frames, **self._options(name, psi)
        )
        return self._film(images, "walk")

    def reconstruct(self, name: str, upload: str | os.PathLike) -> np.ndarray:
        """A photo beside what encoder and decoder keep of it: uint8 `(height, 2 * width, 3)`.

        The upload is deleted.

        Raises:
            UserError: The model has no encoder, or the upload is not a photo.
        """
        generator = self.generator(name)
        photos = read_uploads([upload], generator.resolution, self.crop)
        if name not in self._encoders:
            self._encoders[name] = load_encoder(self.paths[name])
        again = reconstruct(generator, self._encoders[name], photos)
        return tile(enlarged(np.concatenate([photos, again]), SHOWN), (2, 1))

    def project(
        self,
        name: str,
        upload: str | os.PathLike,
        steps: int = 200,
        on_step: Callable[[int, float], None] | None = None,
    ) -> tuple[np.ndarray, Path]:
        """A photo, the average face and the face found in w, and a film of the search.

        The upload is deleted.

        Args:
            name: Of a StyleGAN2.
            upload: A photo.
            steps: Of the search.
            on_step: Called with the number of steps done and the loss.

        Returns:
            uint8 `(height, 3 * width, 3)`, and the path of an mp4.

        Raises:
            UserError: The model has no w, the upload is not a photo, or a value is out of range.
        """
        photos = read_uploads([upload], self.generator(name).resolution, self.crop)
        generator = self._stylegan2(name)
        _check("steps", steps, 1, MOST_STEPS)
        found = project(generator, photos[0], steps, progress=False, on_step=on_step)
        images = enlarged(np.stack([photos[0], found.start, found.image]), SHOWN)
        return tile(images, (3, 1)), self._film(found.frames, "projection")

    def human_test(
        self, name: str, uploads: Sequence[str | os.PathLike] = (), psi: float = 1.0
    ) -> HumanTest:
        """A new test with a model: can a person tell its faces from photos?

        Args:
            name: Of the model.
            uploads: Photos, which are deleted; none: those of `data_path`.
            psi: Truncation ψ.

        Raises:
            UserError: There are too few photos, or one cannot be read.
        """
        generator = self.generator(name)
        if uploads:
            photos = read_uploads(uploads, generator.resolution, self.crop)
        elif self.data_path:
            source = (self.data_path, generator.resolution, self.crop)
            photos = load_faces(*source, limit=PHOTOS_READ, progress=False)[:]
        else:
            raise UserError(f"human test: choose photos of faces, {FEWEST_PAIRS} to {PAIRS}")
        return new_test(name, generator, photos, **self._options(name, psi))

    def _options(self, name: str, psi: float) -> StyleOptions:
        if self.families[name] != "stylegan2":
            return {}
        return {"truncation_psi": psi}

    def _stylegan2(self, name: str) -> StyleGAN2Generator:
        generator = self.generator(name)
        if not isinstance(generator, StyleGAN2Generator):
            raise UserError(
                f"model {name}: only a StyleGAN2 has styles; it is a {generator.family}"
            )
        return generator

    def _film(self, frames: np.ndarray, name: str) -> Path:
        return save_frames(enlarged(frames, SHOWN), self._folder / f"{name}.mp4")


def models_in(folder: str | os.PathLike) -> list[Path]:
    """The generators and decoders in a folder of trained models, sorted by name."""
    names = [f"*_{part}.h5" for part in MAIN_PARTS]
    return sorted(path for name in names for path in Path(folder).glob(name))


def enlarged(images: np.ndarray, height: int) -> np.ndarray:
    """Images enlarged by the whole factor that brings them to a height or just above it.

    Args:
        images: uint8 `(n, height, width, 3)`.
        height: In pixels; images that have it already stay as they are.

    Returns:
        uint8 `(n, factor * height, factor * width, 3)`.
    """
    factor = -(-height // images.shape[1])
    if factor <= 1:
        return images
    size = (images.shape[2] * factor, images.shape[1] * factor)
    return np.stack(
        [np.asarray(Image.fromarray(i).resize(size, Image.Resampling.BICUBIC)) for i in images]
    )


def _check(name: str, value: float, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise UserError(f"{name} {value}: expected {lowest} to {highest}")
