"""The face descriptor: what is asked of dlib, what is told without it, and that it knows faces."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest

from facegen_keras import metrics
from facegen_keras.data import load_faces
from facegen_keras.errors import UserError
from facegen_keras.files import packaged
from facegen_keras.metrics import FaceDescriptorFeatures, distortions, extractor_named

SAMPLE = Path(__file__).parents[2] / "dataset/sample_faces.zip"


class Recognizer:
    """Stands in for dlib's network: a descriptor that holds the mean colour."""

    def __init__(self, path):
        self.shapes = set()
        if "network" not in path:
            raise RuntimeError("Unexpected version found")

    def compute_face_descriptor(self, images):
        self.shapes |= {image.shape for image in images}
        return [np.full(128, image.mean()) for image in images]


@pytest.fixture
def dlib(monkeypatch, tmp_path):
    module = types.SimpleNamespace(face_recognition_model_v1=Recognizer)
    monkeypatch.setitem(sys.modules, "dlib", module)
    (tmp_path / "network.dat").write_bytes(b"weights")
    return tmp_path / "network.dat"


def test_images_reach_the_network_at_its_size(dlib):
    extractor = FaceDescriptorFeatures(dlib, batch_size=4)
    images = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 64, 64, 3), np.uint8)
    features = extractor(images)
    np.testing.assert_array_equal(features[:, 0], range(7))
    assert features.shape == (7, 128)
    assert features.dtype == np.float32
    assert extractor._recognizer.shapes == {(150, 150, 3)}


def test_its_numbers_are_never_called_fid(dlib):
    extractor = FaceDescriptorFeatures(dlib)
    assert not extractor.canonical
    assert extractor.label == f"face-descriptor, weights {extractor.weights_sha256[:8]}"
    assert extractor.protocol["resize"] == "pillow-bicubic-150"


def test_what_it_cannot_do_is_told(dlib, tmp_path):
    extractor = FaceDescriptorFeatures(dlib)
    with pytest.raises(UserError, match="ppl needs finer differences"):
        extractor.from_floats(np.zeros((1, 150, 150, 3), np.float32))
    with pytest.raises(UserError, match="batch_size=0"):
        FaceDescriptorFeatures(dlib, batch_size=0)
    (tmp_path / "other.dat").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"other.dat: holds no face recognition network"):
        FaceDescriptorFeatures(tmp_path / "other.dat")
    with pytest.raises(UserError, match=r"none.dat: no such file"):
        FaceDescriptorFeatures(tmp_path / "none.dat")


def test_without_the_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(UserError, match=r"'dlib' is needed.*'\.\[face-fd\]'"):
        FaceDescriptorFeatures()
    monkeypatch.setitem(sys.modules, "dlib", types.SimpleNamespace())
    monkeypatch.setattr(packaged, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"'face_recognition_models' is needed.*'\.\[face-fd\]'"):
        extractor_named("face-descriptor")


def test_names():
    assert set(metrics.packaged.PACKAGED) == {"efficientnet-lite0", "face-descriptor"}
    with pytest.raises(UserError, match="expected one of efficientnet-lite0, face-descriptor"):
        extractor_named("vgg")


def test_it_knows_a_face_again(tmp_path):
    """Saved again as JPEG a face keeps its descriptor; dlib calls less than 0.6 one person."""
    pytest.importorskip("dlib")
    extractor = extractor_named("face-descriptor")
    assert extractor.label == "face-descriptor"
    faces = load_faces(SAMPLE, 64, cache_dir=tmp_path, limit=12, progress=False)[:]
    descriptors = extractor(faces)
    again = extractor(distortions.jpeg(faces, 75))
    apart = np.linalg.norm(descriptors[:, None] - again[None], axis=-1)
    same = np.diag(apart)
    others = apart[~np.eye(12, dtype=bool)]
    assert same.max() < 0.4
    assert np.median(others) > 2 * np.median(same)
    assert (apart.argmin(axis=1) == np.arange(12)).all()
