"""Figures of the adversarial game hold the numbers and the pixels they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from facegen_keras import figures
from facegen_keras.errors import UserError
from facegen_keras.pictures import save_grid


def test_optimal_discriminator_is_a_half_where_the_densities_meet():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    figure = figures.optimal_discriminator(x, np.array([1, 2, 3, 0]), np.array([1, 0, 1, 0]))
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].get_lines()}
    np.testing.assert_array_equal(lines["best discriminator D*"], [0.5, 1, 0.75, np.nan])
    np.testing.assert_array_equal(lines["$p(x)$ of photos"], [1, 2, 3, 0])
    np.testing.assert_array_equal(lines["$p_G(x)$ of fakes"], [1, 0, 1, 0])


def test_logit_histograms_share_bins_that_hold_everything():
    random = np.random.RandomState(0)
    logits = {"photos": random.randn(400, 1) + 3, "fakes": random.randn(300) - 3}
    logits["fakes"][0] = -1e6  # one outlier does not flatten the picture
    _, ax = plt.subplots()
    figure = figures.logit_histograms(logits, ax=ax)
    plt.close(figure)
    photos, fakes = ax.patches
    assert {patch.get_label() for patch in ax.patches} == {"photos", "fakes"}
    assert photos.get_linestyle() != fakes.get_linestyle()
    low, high = ax.get_xlim()
    assert -8 < low < -4
    assert 4 < high < 8
    for patch, mean in ((photos, 3), (fakes, -3)):
        steps = patch.get_xy()
        peak = steps[steps[:, 1].argmax(), 0]
        assert peak == pytest.approx(mean, abs=1)


def test_discriminators_stand_side_by_side():
    wide = {"photos": np.arange(9.0), "fakes": -np.arange(9.0)}
    narrow = {name: values / 8 for name, values in wide.items()}
    figure = figures.compare_discriminators({"a": wide, "b": narrow})
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert [len(ax.patches) for ax in figure.axes] == [2, 2]
    left, right = ([patch.get_xy()[:, 0] for patch in ax.patches] for ax in figure.axes)
    np.testing.assert_array_equal(left, right)  # the same bins
    heights = [ax.get_ylim()[1] for ax in figure.axes]
    assert heights[1] > 2 * heights[0]


def test_timelapse_shows_the_same_faces_in_every_column(tmp_path):
    grids = np.random.RandomState(0).randint(0, 256, (6, 7, 4, 4, 3)).astype("uint8")
    for epoch, grid in enumerate(grids):
        name = f"fakes_epoch{epoch:04d}.png" if epoch else "fakes_init.png"
        save_grid(grid, tmp_path / name)
    figure = figures.timelapse_strip(tmp_path, faces=5, pictures=3, grid=7)
    (ax,) = figure.axes
    sheet = np.asarray(ax.get_images()[0].get_array())
    assert sheet.shape == (20, 12, 3)
    np.testing.assert_array_equal(sheet[16:, 8:], grids[5, 4])
    np.testing.assert_array_equal(sheet[4:8, :4], grids[0, 1])
    labels = [text.get_text() for text in ax.get_xticklabels()]
    assert labels == ["start", "epoch 2", "epoch 5"]
    with pytest.raises(UserError, match="train with ImageGrid"):
        figures.timelapse_strip(tmp_path / "nothing")


def test_timelapse_shows_epoch_10000_after_9950(tmp_path):
    for epoch in (9950, 10000):
        save_grid(np.zeros((1, 4, 4, 3), np.uint8), tmp_path / f"fakes_epoch{epoch}.png")
    figure = figures.timelapse_strip(tmp_path, faces=1, grid=1)
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert labels == ["epoch 9950", "epoch 10000"]


def test_diversity_over_the_images_seen_with_the_line_of_the_alarm():
    healthy = [
        {"images_seen": 10, "diversity": 0.2},
        {"images_seen": 20},  # not every epoch is looked at
        {"images_seen": 30, "diversity": 0.9},
    ]
    figure = figures.diversity_curves({"healthy": healthy}, alarm=0.25)
    lines = {line.get_label(): line.get_xydata().tolist() for line in figure.axes[0].get_lines()}
    assert lines["healthy"] == [[10, 0.2], [30, 0.9]]
    assert [y for _, y in lines["alarm below"]] == [0.25, 0.25]
    assert figure.axes[0].get_xlabel() == "images seen"
    by_step = figures.diversity_curves({"a": [{"step": 8, "diversity": 0.2}]}, against="step")
    assert by_step.axes[0].get_xlabel() == "step"
    assert by_step.axes[0].get_lines()[0].get_xydata().tolist() == [[8, 0.2]]
    with pytest.raises(UserError, match="train with CollapseAlarm"):
        figures.diversity_curves({"other": [{"images_seen": 10}]})
