"""The descriptor of a face recognition network: an extractor that looks at faces, and only there.

Inception and EfficientNet-Lite0 learned to name objects in photos, and see hair, texture and
background as well as they see a face. This network learned to tell people apart: the ResNet of
dlib (King 2017, http://blog.dlib.net/2017/02/high-quality-face-recognition-with-deep.html), whose
weights are in the package `face_recognition_models`. A distance on its descriptors says whether
eyes, noses and mouths are right. It is reported as `FD (face-descriptor)`, never as FID.
"""

from pathlib import Path

import numpy as np

from facegen_keras.errors import UserError, require
from facegen_keras.files.hashes import sha256_of
from facegen_keras.files.packaged import packaged_file
from facegen_keras.metrics.extractor import FeatureExtractor

SIZE = 150  # of the pictures that the network was trained on
FEATURES = 128
EXTRA = "face-fd"
PACKAGE, FILE = "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"


class FaceDescriptorFeatures(FeatureExtractor):
    """Descriptors of dlib's face recognition network: float32 `(n, 128)`.

    Images are resized to 150x150 as Pillow resizes 8-bit images (bicubic). No face is searched for
    in them: they should be aligned and cropped to the head, as those of CelebA and FFHQ are. The
    network runs on the CPU, some fifteen images a second, whatever the backend.

    Args:
        weights: Path of the `.dat`, or None for the file in the package
            `face_recognition_models` (the extra `face-fd`).
        batch_size: Images per run of the network; affects speed and memory, not the descriptors.

    Raises:
        UserError: A package is not installed, or the file holds no such network.
    """

    name = "face-descriptor"
    dim = FEATURES
    pretrained_on = "faces"

    def __init__(self, weights: str | Path | None = None, batch_size: int = 32) -> None:
        dlib = require("dlib", EXTRA)
        self._packaged = weights is None
        # Not imported: the package needs an old setuptools.
        path = packaged_file(PACKAGE, FILE, EXTRA) if weights is None else Path(weights)
        if not path.is_file():
            raise UserError(f"{path}: no such file")
        self._describe(sha256_of(path), "pillow-bicubic-150", batch_size, SIZE, pillow=True)
        try:
            self._recognizer = dlib.face_recognition_model_v1(str(path))
        except RuntimeError as error:
            raise UserError(f"{path}: holds no face recognition network of dlib") from error

    def from_floats(self, pixels: np.ndarray) -> np.ndarray:
        """Not to be had: the network reads whole grey levels.

        Raises:
            UserError: Always.
        """
        raise UserError(
            f"{self.name} reads whole grey levels, and ppl needs finer differences; use another "
            "extractor for it"
        )

    def _run(self, batch: np.ndarray) -> np.ndarray:
        descriptors = self._recognizer.compute_face_descriptor(
            [np.ascontiguousarray(image) for image in batch]
        )
        return np.asarray(descriptors, np.float32)
