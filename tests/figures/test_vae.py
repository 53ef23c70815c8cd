"""Figures of the latent space hold the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from facegen_keras import figures
from facegen_keras.errors import UserError

RESULTS = {
    "β = 1": {"kl_per_dimension": [0.5, 3.0, 0.0], "kl_loss": 3.5, "reconstruction_loss": 10.0},
    "β = 8": {"kl_per_dimension": [1.0, 0.0, 0.0], "kl_loss": 1.0, "reconstruction_loss": 20.0},
}


def test_latent_histograms_integrate_to_one_beside_the_normal_density():
    latents = np.random.RandomState(0).randn(500, 6) * [1, 0.5, 1, 1, 1, 1]
    latents[0, 4] = 100.0  # counted into the last bin
    figure = figures.latent_histograms(latents, [1, 4, 0, 2, 3], notes=list("abcde"))
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["z[1] a", "z[4] b", "z[0] c", "z[2] d", "z[3] e", "", "", ""]
    narrow, outlier = figure.axes[0], figure.axes[1]
    for ax in (narrow, outlier):
        area = sum(bar.get_height() * bar.get_width() for bar in ax.patches)
        assert area == pytest.approx(1.0)
    assert outlier.patches[-1].get_height() * outlier.patches[-1].get_width() == pytest.approx(
        1 / 500
    )
    assert max(bar.get_height() for bar in narrow.patches) > 0.7  # half as wide, twice as high
    z, density = narrow.get_lines()[0].get_data()
    np.testing.assert_allclose(density, np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
    figure.canvas.draw()
    with pytest.raises(UserError, match="2 notes for 1 dimensions"):
        figures.latent_histograms(latents, [0], notes=["a", "b"])
    with pytest.raises(UserError, match="expected 0 to 5"):
        figures.latent_histograms(latents, [6])


def test_kl_per_dimension_falls_from_left_to_right():
    figure = figures.kl_per_dimension(np.array([0.2, 2.0, 0.0, 1.0]), np.array([1, 1, 0, 1]))
    (ax,) = figure.axes
    assert [bar.get_height() for bar in ax.patches] == [2.0, 1.0, 0.2]
    assert ax.get_lines()[0].get_xydata().tolist() == [[4, 0.0]]
    assert ax.get_title() == "3.2 nats in all"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["1 inactive", "3 active"]


def test_rate_distortion_holds_a_point_a_model():
    _, ax = plt.subplots()
    figure = figures.rate_distortion([5.0, 1.0], [10.0, 30.0], ["a", "b"], ax=ax)
    plt.close(figure)
    line, *points = ax.get_lines()
    assert line.get_xydata().tolist() == [[1.0, 30.0], [5.0, 10.0]]
    assert [p.get_xydata().tolist() for p in points] == [[[5.0, 10.0]], [[1.0, 30.0]]]
    assert len({p.get_marker() for p in points}) == 2
    with pytest.raises(UserError, match="2 rates, 1 distortions, 2 labels"):
        figures.rate_distortion([1, 2], [3], ["a", "b"])


def test_beta_comparison_sorts_each_models_dimensions():
    figure = figures.beta_comparison(RESULTS)
    left, right = figure.axes
    assert {line.get_label(): line.get_ydata().tolist() for line in left.get_lines()} == {
        "β = 1": [3.0, 0.5, 0.0],
        "β = 8": [1.0, 0.0, 0.0],
    }
    assert [p.get_xydata().tolist() for p in right.get_lines()[1:]] == [[[3.5, 10]], [[1, 20]]]
    assert len({line.get_linestyle() for line in left.get_lines()}) == 2


def test_latent_use_counts_units_and_draws_at_most_four_epochs():
    log = [
        {
            "epoch": n,
            "images_seen": 100 * n,
            "active_units": n,
            "kl_per_dimension": [0.05, 0.01 * n, n, 0.2],
        }
        for n in range(1, 12)
    ]
    figure = figures.latent_use([{"epoch": 0, "loss": 1.0}, *log])
    left, right = figure.axes
    active, speaking = left.get_lines()
    assert active.get_xydata().tolist() == [[100 * n, n] for n in range(1, 12)]
    assert speaking.get_ydata().tolist() == [2] * 10 + [3]
    labels = [line.get_label() for line in right.get_lines()]
    assert labels == ["epoch 1: 1 nats", "epoch 4: 4 nats", "epoch 8: 8 nats", "epoch 11: 11 nats"]
    assert right.get_lines()[0].get_ydata().tolist() == [1, 0.2, 0.05, 0.01]
    with pytest.raises(UserError, match="train with a LatentReport"):
        figures.latent_use([{"epoch": 1, "loss": 1.0}])


def test_latent_use_draws_no_count_that_never_changes():
    log = [
        {"epoch": n, "images_seen": n, "active_units": 3, "kl_per_dimension": [n, 2.0, 0.2, 0.0]}
        for n in (1, 2)
    ]
    for lines in (log, log[:1]):
        (ax,) = figures.latent_use(lines).axes
        assert ax.get_title() == "of 4 latents, 3 active, 3 above 0.1 nats"
        assert len(ax.get_lines()) == len(lines)
    changes = [log[0], {**log[1], "active_units": 2}]
    assert len(figures.latent_use(changes).axes) == 2


def test_latent_plane_puts_a_code_into_the_cell_of_its_face():
    faces = np.zeros((4, 32, 32, 3), "uint8")
    faces[1] = 255  # right above
    codes = np.array([[0.0, 0.0], [1.0, -1.0], [-8.0, 8.0]])
    figure = figures.latent_plane(faces, codes, np.arange(3), "brightness")
    left, right, bar = figure.axes
    (picture,) = left.get_images()
    assert picture.get_extent() == [0, 1, 0, 1]
    assert picture.get_array()[0, 63].tolist() == [255] * 3  # pixel rows go down
    (points,) = right.collections
    expected = [[0.5, 0.5], [0.8413, 0.1587], [0.0, 1.0]]
    np.testing.assert_allclose(points.get_offsets(), expected, atol=1e-4)
    assert bar.get_ylabel() == "brightness"
    figure.canvas.draw()
    for ax in (left, right):
        assert ax.get_window_extent().size.round().tolist() == [192, 192]  # 96 a face
    for wrong in (faces[:3], faces):
        with pytest.raises(UserError, match="expected n \\* n faces"):
            figures.latent_plane(wrong, codes[:, :1] if wrong is faces else codes, [0] * 3, "")
