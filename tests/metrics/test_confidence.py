"""The standard error of a distance is the spread that new images would have."""

import warnings

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.metrics import (
    Reference,
    evaluate,
    frechet_of_features,
    half_sample_error,
    precision_recall,
    recorded,
)


def draw(seed: int, count: int, dim: int = 6, shift: float = 0.0) -> np.ndarray:
    scales = np.linspace(0.5, 1.5, dim)
    return np.random.default_rng(seed).standard_normal((count, dim)) * scales + shift


def test_error_of_a_mean_is_the_textbooks():
    x = draw(0, 400)
    found = half_sample_error(lambda half: half[:, 0].mean(), x, repeats=400)
    assert found == x[:, 0].mean()
    assert found.error == pytest.approx(x[:, 0].std(ddof=1) / np.sqrt(400), rel=0.1)


def precision(a: np.ndarray, b: np.ndarray) -> float:
    return precision_recall(a, b).precision


@pytest.mark.parametrize("statistic", [frechet_of_features, precision])
def test_error_is_the_spread_of_new_images(statistic):
    pairs = [(draw(2 * i, 200), draw(2 * i + 1, 200, shift=0.4)) for i in range(100)]
    spread = np.std([statistic(a, b) for a, b in pairs])
    claimed = np.mean([half_sample_error(statistic, a, b).error for a, b in pairs[:10]])
    assert claimed == pytest.approx(spread, rel=0.35)


def test_repeatable_and_refused():
    a, b = draw(0, 40), draw(1, 30)
    one, two = (half_sample_error(frechet_of_features, a, b).error for _ in range(2))
    assert one == two != half_sample_error(frechet_of_features, a, b, seed=1).error
    with pytest.raises(UserError, match="3 images"):
        half_sample_error(frechet_of_features, a[:3], b)
    with pytest.raises(UserError, match="1 halves"):
        half_sample_error(frechet_of_features, a, b, repeats=1)


def quietly(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return evaluate(*args, progress=False, **kwargs)


def test_evaluation_with_errors(generator, photos, tiny):
    plain = quietly(generator, photos, ["fid", "kid", "pr"], 60, extractor=tiny)
    result = quietly(generator, photos, ["fid", "kid", "pr"], 60, extractor=tiny, repeats=20)
    assert {k: n.value for k, n in result.numbers.items()} == {
        k: n.value for k, n in plain.numbers.items()
    }
    assert plain.numbers["fd"].error is None
    assert all(number.error >= 0 for number in result.numbers.values())
    features = tiny(photos), tiny(generator.sample(range(60)))
    expected = half_sample_error(frechet_of_features, *features, repeats=20)
    assert result.numbers["fd"].error == pytest.approx(expected.error, rel=1e-6)
    assert result.numbers["fd"].protocol["error_from"] == "20 halves"
    assert quietly(generator, None, ["is"], 20, extractor=tiny, repeats=20)["is"] >= 1


def test_prepared_samples_are_measured_once(generator, photos, tiny, monkeypatch):
    prepared = Reference(tiny, generator.sample(range(50)), cache_dir=False)
    first = quietly(prepared, photos, ["fid", "pr"], extractor=tiny, num_reference=50)
    monkeypatch.setattr(tiny, "_run", lambda batch: pytest.fail("extracted again"))
    again = quietly(prepared, photos, ["fid", "pr"], extractor=tiny, num_reference=50)
    monkeypatch.undo()
    direct = quietly(generator, photos, ["fid", "pr"], 50, extractor=tiny)
    assert first["fd"] == again["fd"] == pytest.approx(direct["fd"], rel=1e-6)
    assert first["precision"] == direct["precision"]
    assert first.protocol["num_images"] == 50
    with pytest.raises(UserError, match="statistics only"):
        evaluate(Reference(tiny, prepared.statistics()), photos, extractor=tiny)
    other = type(tiny)()
    other.resize = "another"
    with pytest.raises(UserError, match="another extractor"):
        evaluate(Reference(other, photos), photos, extractor=tiny)


def test_numbers_recorded_in_a_model(generator, photos, tiny):
    stamped = quietly(generator, photos, ["fid", "pr"], 40, extractor=tiny, repeats=5)
    found = recorded({"metrics": stamped.records()})
    assert found["fd"] == stamped.numbers["fd"]
    assert found["recall"].value == stamped["recall"]
    assert not found["recall"].lower_is_better
    words = {"name": "FD (efficientnet-lite0)", "value": 45.58, "kid": 48.5, "protocol": "by hand"}
    found = recorded({"metrics": [words, {"name": "noted", "value": None}]})
    assert list(found) == ["fd"]
    assert (found["fd"].label, found["fd"].value) == ("FD (efficientnet-lite0)", 45.58)
    assert found["fd"].protocol["protocol"] == "by hand"
    assert recorded({}) == recorded({"metrics": None}) == {}
