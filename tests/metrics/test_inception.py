"""The 2015 Inception against pytorch-fid's answers for deterministic weights, on every backend."""

import urllib.error
import urllib.request
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facegen_keras.errors import UserError
from facegen_keras.metrics import InceptionFeatures
from facegen_keras.metrics.inception_weights import INCEPTION_URL, inception_file
from facegen_keras.metrics.preprocess import resize_matrix

# Two synthetic images and every eighth of pytorch-fid 0.3.0's pool3 features for them, under the
# weights that `weight` below gives to the published names and shapes.
REFERENCE = Path(__file__).parent / "inception_reference.npz"


def weight(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The reference value of a tensor, a function of its name and shape alone."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    if name.endswith("running_mean"):
        return (0.1 * random.standard_normal(shape)).astype(np.float32)
    if name.endswith("bn.weight"):
        return random.uniform(0.8, 1.2, shape).astype(np.float32)
    if name.endswith("bias"):
        return (0.1 * random.standard_normal(shape)).astype(np.float32)
    fan_in = int(np.prod(shape[1:])) or 1
    return (random.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)


def reference_state() -> dict[str, np.ndarray]:
    with np.load(REFERENCE) as data:
        pairs = zip(data["names"].tolist(), data["shapes"].tolist(), strict=True)
        return {name: weight(name, tuple(map(int, s.split(",")))) for name, s in pairs}


@pytest.fixture(scope="module")
def state():
    return reference_state()


@pytest.fixture(scope="module")
def legacy(state):
    return InceptionFeatures(state, resize="legacy", batch_size=4)


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE) as data:
        return data["images"], data["pool3"]


def test_pool3_matches_pytorch_fid(legacy, reference):
    images, expected = reference
    features = legacy(images)
    assert features.shape == (2, 2048)
    assert features.dtype == np.float32
    error = np.linalg.norm(features[:, ::8] - expected) / np.linalg.norm(expected)
    assert error < 1e-5  # 4e-7 was measured; the issue asks for 1e-3


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_pool3_on_other_backends(on_backend, backend):
    code = f"""
import importlib.util, numpy as np
spec = importlib.util.spec_from_file_location("t", {str(Path(__file__))!r})
t = importlib.util.module_from_spec(spec); spec.loader.exec_module(t)
data = np.load(t.REFERENCE)
features = t.InceptionFeatures(t.reference_state(), resize="legacy", batch_size=2)(data["images"])
print(np.linalg.norm(features[:, ::8] - data["pool3"]) / np.linalg.norm(data["pool3"]))
"""
    assert float(on_backend(code, backend).split()[-1]) < 1e-5


def test_features_do_not_depend_on_the_batch(legacy, reference):
    images = np.concatenate([reference[0]] * 3)[:5]
    together = legacy(images)
    alone = np.concatenate([legacy(images[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    streamed = np.concatenate(list(legacy.stream(iter([images[:3], images[3:]]))))
    np.testing.assert_array_equal(together, streamed)


def test_floats_give_what_bytes_give(legacy, reference):
    images = reference[0]
    np.testing.assert_allclose(
        legacy.from_floats(images.astype(np.float32)), legacy(images), rtol=1e-5, atol=1e-6
    )


def test_logits_have_1008_classes(legacy, reference, state):
    features = legacy(reference[0])
    expected = features.astype(np.float64) @ state["fc.weight"].T.astype(np.float64)
    np.testing.assert_allclose(legacy.logits(features, bias=False), expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(
        legacy.logits(features), expected + state["fc.bias"], rtol=1e-3, atol=1e-3
    )
    assert legacy.logits(features).shape == (2, 1008)


@pytest.mark.parametrize("size", [64, 128, 512])
def test_clean_resize_is_pillows(size):
    """clean-fid resizes each channel as a float image with Pillow's bicubic filter."""
    image = np.random.default_rng(size).uniform(0, 255, (size, size)).astype(np.float32)
    expected = np.asarray(Image.fromarray(image).resize((299, 299), Image.Resampling.BICUBIC))
    matrix = resize_matrix(size, 299, "bicubic")
    np.testing.assert_allclose(matrix @ image @ matrix.T, expected, atol=2e-3)


def test_legacy_resize_is_torchs():
    torch = pytest.importorskip("torch")
    image = torch.rand(1, 1, 50, 50, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(image, (299, 299), mode="bilinear")[0, 0].numpy()
    matrix = resize_matrix(50, 299, "bilinear")
    np.testing.assert_allclose(matrix @ image[0, 0].numpy() @ matrix.T, expected, atol=1e-5)


def test_protocol_says_what_was_used(legacy, state):
    clean = InceptionFeatures(state)
    assert clean.resize == "clean"
    assert clean.fingerprint != legacy.fingerprint
    assert clean.protocol["weights_sha256"] == legacy.protocol["weights_sha256"]
    assert not clean.canonical  # random weights are never called FID
    other = {**state, "fc.bias": state["fc.bias"] + 1}
    assert InceptionFeatures(other).weights_sha256 != clean.weights_sha256


def test_bad_input_is_named(legacy, state):
    with pytest.raises(UserError, match="resize='bilinear'"):
        InceptionFeatures(state, resize="bilinear")
    with pytest.raises(UserError, match=r"no tensor 'Mixed_6b.branch1x1.conv.weight'"):
        InceptionFeatures({k: v for k, v in state.items() if "6b.branch1x1" not in k})
    with pytest.raises(UserError, match="uint8"):
        legacy(np.zeros((2, 8, 8, 3), np.float32))
    with pytest.raises(UserError, match="uint8"):
        legacy(np.zeros((8, 8, 3), np.uint8))


def test_no_network_says_where_to_put_the_file(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(UserError) as error:
        inception_file()
    assert INCEPTION_URL in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert not list(tmp_path.iterdir())


def test_another_file_is_not_taken_for_the_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path))
    (tmp_path / INCEPTION_URL.rsplit("/", 1)[1]).write_bytes(b"something else")
    with pytest.raises(UserError, match="sha256"):
        inception_file()


def test_a_wrong_download_is_thrown_away(tmp_path, monkeypatch):
    class Answer:
        headers: dict = {}  # noqa: RUF012

        def __init__(self):
            self.parts = [b"an error page", b""]

        def read(self, size):
            return self.parts.pop(0)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Answer())
    with pytest.raises(UserError, match="sha256"):
        inception_file()
    assert not list(tmp_path.iterdir())
