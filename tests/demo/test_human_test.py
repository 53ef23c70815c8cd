"""Real or drawn: pairs, score and interval."""

import json

import numpy as np
import pytest

from facegen_keras.demo.human_test import new_test, score
from facegen_keras.errors import UserError


@pytest.fixture
def test(studio, made_up):
    return new_test("vae", studio.generator("vae_decoder"), made_up(22, 8), seed=3)


def test_every_pair_is_a_photo_and_a_drawn_face(test, studio, made_up):
    everything = made_up(22, 8)
    drawn = studio.generator("vae_decoder").sample(test.seeds)
    assert len(set(test.seeds)) == test.pairs == 20
    assert 0 < sum(test.photo_left) < 20
    seen = []
    for index, on_left in enumerate(test.photo_left):
        left, right = test.pair()
        photo, face = (left, right) if on_left else (right, left)
        seen.append([k for k in range(22) if (everything[k] == photo).all()])
        np.testing.assert_array_equal(face, drawn[index])
        test.answer(on_left)
    assert len({k for found in seen for k in found}) == 20  # no photo twice
    assert test.finished
    test.answer(True)  # a double click
    result = test.result()
    assert (result.correct, result.pairs) == (20, 20)


def test_the_score_has_wilsons_interval():
    # Wilson 1927: (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)
    n, p, z = 20, 0.75, 1.959964
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = (p + z**2 / (2 * n) + np.array([-half, half])) / (1 + z**2 / n)
    result = score("m", 15, 20, [])
    np.testing.assert_allclose([result.low, result.high], expected, atol=1e-6)
    assert result.p_value == pytest.approx(0.04138947, abs=1e-7)  # 2 sum_{k>=15} C(20,k) / 2^20
    said = "15 of 20 photos recognised: 75 %, 95 % interval 53 to 89 %. Guessing gives 50 %: "
    assert str(result) == f"{said}the faces can be told from photos."
    assert "does not differ from guessing" in str(score("m", 11, 20, []))
    assert "taken for photos more often" in str(score("m", 2, 20, []))
    few = score("m", 5, 5, [])  # Wilson's interval is above half, the exact test is not certain
    assert few.low > 0.5
    assert "does not differ from guessing" in str(few)


def test_a_result_is_written(test, tmp_path):
    with pytest.raises(UserError, match="answer at least one pair"):
        test.result()
    test.answer(not test.photo_left[0])
    test.answer(test.photo_left[1])
    path = test.result().save(tmp_path / "output")
    found = json.loads(path.read_text())
    assert path.name.startswith("human_test_2")
    assert (found["model"], found["correct"], found["pairs"]) == ("vae", 1, 2)
    assert found["seeds"] == test.seeds[:2]
    assert found["low"] < found["share"] == 0.5 < found["high"]


def test_photos_of_another_size_are_refused(studio, made_up):
    with pytest.raises(UserError, match=r"photos of shape \(20, 16, 16, 3\); expected at least 5"):
        new_test("vae", studio.generator("vae_decoder"), made_up(20, 16))


def test_as_many_pairs_as_asked_for(studio, made_up):
    generator, photos = studio.generator("vae_decoder"), made_up(22, 8)
    one, again = (new_test("vae", generator, photos, seed=5, pairs=7) for _ in range(2))
    assert one.pairs == 7
    assert (one.photo_left, one.seeds) == (again.photo_left, again.seeds)  # a seed, an order
    np.testing.assert_array_equal(one.photos, again.photos)
    assert new_test("vae", generator, photos, seed=5, pairs=40).pairs == 22
    with pytest.raises(UserError, match="4 pairs"):
        new_test("vae", generator, photos, pairs=4)
