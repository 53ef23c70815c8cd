"""Figures of distances hold the numbers they are given."""

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.figures import (
    distance_against_compute,
    distortion_curves,
    model_comparison,
    sample_size_curves,
)
from facegen_keras.figures.theme import COLOURS, MARKERS
from facegen_keras.metrics import Estimate, Evaluation, Number, Report, SampleSizeCurve


def lines(ax) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


def test_distortion_curves():
    curves = {"blur": ([0, 1, 2], [0.0, 5.0, 9.0]), "JPEG quality": ([95, 10], [1.0, 20.0])}
    figure = distortion_curves(curves, "FD", {"another photo": 4.0})
    blur, jpeg = figure.axes
    assert blur.get_lines()[0].get_xydata().tolist() == [[0, 0], [1, 5], [2, 9]]
    assert blur.get_ylim()[0] == 0
    assert blur.get_ylim()[1] > 20
    assert jpeg.xaxis_inverted()
    assert not blur.xaxis_inverted()
    assert lines(blur)["another photo"][:, 1].tolist() == [4.0, 4.0]
    assert (blur.get_ylabel(), jpeg.get_xlabel()) == ("FD", "JPEG quality")


def test_sample_size_curve_and_its_line():
    counts = np.array([10, 20, 50, 100, 200])
    curve = SampleSizeCurve(counts, 3 + 40 / counts, np.full(5, 0.1), 3.0, 40.0, True)
    ax = sample_size_curves({"faces": curve}, "FD", truth=2.9).axes[0]
    points, line = ax.containers[0].lines[0].get_xydata(), ax.get_lines()
    np.testing.assert_allclose(points, np.stack([1 / counts, 3 + 40 / counts], 1))
    assert any(x.get_xydata().tolist() == [[0, 3], [0.1, 7]] for x in line)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["∞", "10", "20", "50", "100"]
    assert "faces; the line ends at 3" in [x.get_text() for x in ax.get_legend().get_texts()]
    plain = sample_size_curves({"faces": curve}, "KD", line=False).axes[0]
    assert [x.get_text() for x in plain.get_legend().get_texts()] == ["faces"]
    assert len(plain.get_lines()) == len(ax.get_lines()) - 2


def report() -> Report:
    numbers = {"fd": Number("FD (x)", 12.5, 0.5), "recall": Number("recall", 0.4, 0.1, False)}
    return Report(
        [Evaluation("vae", numbers, {}), Evaluation("dcgan", dict(list(numbers.items())[:1]), {})]
    )


def test_comparison_shows_values_with_their_intervals():
    figure = model_comparison(report())
    left, right = figure.axes
    assert left.get_title() == "FD (x)\nlower is better"
    assert right.get_title() == "recall\nhigher is better"
    assert [text.get_text() for text in left.texts] == ["12.5", "12.5"]
    assert [text.get_text() for text in right.texts] == ["0.4"]
    (segment,) = left.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(segment[:, 0], [12.5 - 0.98, 12.5 + 0.98])
    assert [label.get_text() for label in left.get_yticklabels()] == ["vae", "dcgan"]
    assert len(model_comparison(report(), ["fd"]).axes) == 1
    with pytest.raises(UserError, match="kid was not measured"):
        model_comparison(report(), ["kid"])


def test_lines_of_one_family_share_a_marker():
    numbers = {"fd": Number("FD", 1.0)}
    names = ["photos", "vae", "dcgan, seeds 0 to 9", "vae, again", "dcgan, seeds 10 to 19"]
    (ax,) = model_comparison(Report([Evaluation(name, numbers, {}) for name in names])).axes
    photos, vae, dcgan, again, other = (x.lines[0].get_marker() for x in ax.containers)
    assert (again, other) == (vae, dcgan)
    assert len({photos, vae, dcgan}) == 3


def test_a_model_looks_the_same_in_every_figure_and_an_axis_ends_where_asked():
    numbers = {"precision": Number("precision", 0.7)}
    names = ["held out", "vae, reconstructions", "dcgan"]
    many = Report([Evaluation(name, numbers, {}) for name in names])
    looks = {"dcgan": 1, "vae": 4}
    (ax,) = model_comparison(many, looks=looks, ranges={"precision": (0, 1)}).axes
    assert ax.get_xlim() == pytest.approx((-0.1, 1.1))
    table = {x.lines[0].get_color(): x.lines[0].get_marker() for x in ax.containers}
    assert table == {COLOURS[number]: MARKERS[number] for number in (2, 4, 1)}
    (ax,) = distance_against_compute(
        {"vae": (1e15, 9.0), "dcgan": (6e15, 5.0)}, "FD", looks=looks
    ).axes
    assert [x.lines[0].get_color() for x in ax.containers] == [COLOURS[4], COLOURS[1]]
    ax.figure.canvas.draw()
    ticks = {round(x.get_position()[0], -14): x.get_text() for x in ax.get_xticklabels()}
    assert "3" in ticks[3e15]


def test_an_interval_ends_where_no_value_can_be():
    low = {"precision": Number("precision", 0.01, 0.1), "kd": Number("KD", -0.01, 0.1)}
    two = Report([Evaluation("a", low, {}), Evaluation("b", {"fd": Number("FD", 1.0, 2.0)}, {})])
    figure = model_comparison(two, ["precision", "kd", "fd"])
    ends = [ax.containers[0].lines[2][0].get_segments()[0][:, 0] for ax in figure.axes]
    np.testing.assert_allclose(ends[0], [0, 0.206])
    np.testing.assert_allclose(ends[1], [-0.206, 0.186])
    np.testing.assert_allclose(ends[2], [0, 4.92])


def test_one_model_is_a_table_of_its_numbers():
    one = Report([report().evaluations[0]])
    figure = model_comparison(one)
    assert figure.axes[0].get_title(loc="left") == "vae (± 95 %)"
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words[:4] == ["FD (x)", "12.5", "± 0.98", "lower is better"]
    assert len(words) == 4 * len(one.keys)
    assert not figure.axes[0].containers


def test_many_numbers_wrap_and_files_go_by_their_stem():
    keys = ["fd", "kd", "precision", "recall", "is", "ppl"]
    numbers = {key: Number(key, 1.0) for key in keys}
    names = ["saved/a.h5", "output/generated", "held-out photos", "v1.5"]
    figure = model_comparison(Report([Evaluation(name, numbers, {}) for name in names]))
    titled = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title().split("\n")[0] for ax in titled] == keys
    assert len(figure.axes) == 8
    assert all(len(ax.containers) == 4 for ax in titled)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["a", "generated", "held-out photos", "v1.5"]


def test_compute():
    models = {"vae": (1e11, 130.0), "dcgan": (1e12, Estimate(45.0, 2.0))}
    ax = distance_against_compute(models, "FD", floor=6.0).axes[0]
    points = [container.lines[0].get_xydata()[0].tolist() for container in ax.containers]
    assert points == [[1e11, 130], [1e12, 45]]
    (segment,) = ax.containers[1].lines[2][0].get_segments()
    np.testing.assert_allclose(segment[:, 1], [45 - 3.92, 45 + 3.92])
    assert ax.get_xscale() == "log"
    assert "operations" in ax.get_xlabel()
    assert "photos against photos" in lines(ax)
    assert len({container.lines[0].get_marker() for container in ax.containers}) == 2
    for wrong in ({}, {"vae": (0, 1.0)}):
        with pytest.raises(UserError, match="above 0"):
            distance_against_compute(wrong, "FD")
