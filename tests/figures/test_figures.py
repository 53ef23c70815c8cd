"""Figures hold the pixels and numbers they are given."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from facegen_keras.errors import UserError
from facegen_keras.figures import (
    compare_runs,
    image_grid,
    loss_curves,
    read_log,
    save,
)
from facegen_keras.figures.curves import compare_families
from facegen_keras.pictures import tile

IMAGES = np.random.RandomState(0).randint(0, 256, (5, 4, 6, 3)).astype("uint8")
LOG = [
    {"epoch": 1, "images_seen": 100, "generator_loss": 2.0, "kl_loss": 5.0, "memory": 9},
    {"epoch": 2, "images_seen": 200, "generator_loss": 1.5, "memory": 9},
    {"epoch": 3, "images_seen": 300, "generator_loss": None, "kl_loss": 4.0},
]


def shown(ax) -> np.ndarray:
    (picture,) = ax.get_images()
    return np.asarray(picture.get_array())


def lines(figure) -> dict[str, list[tuple[float, float]]]:
    (ax,) = figure.axes
    return {line.get_label(): line.get_xydata().tolist() for line in ax.get_lines()}


def test_grid_is_one_picture_of_all_images():
    figure = image_grid(IMAGES, columns=2, title="five")
    (ax,) = figure.axes
    np.testing.assert_array_equal(shown(ax), tile(IMAGES, (2, 3)))
    assert ax.get_title() == "five"
    figure.canvas.draw()


def test_grid_with_a_title_each():
    figure = image_grid(IMAGES, titles=list("abcde"))
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c", "d", "e", ""]
    np.testing.assert_array_equal(shown(figure.axes[4]), IMAGES[4])
    figure.canvas.draw()
    with pytest.raises(UserError, match="2 titles for 5 images"):
        image_grid(IMAGES, titles=["a", "b"])


def test_a_grid_of_a_list_and_of_nothing():
    np.testing.assert_array_equal(shown(image_grid(list(IMAGES)).axes[0]), tile(IMAGES))
    for images, columns in ((IMAGES[:0], None), (IMAGES[:0], 2), (IMAGES[0], 2), ([], None)):
        with pytest.raises(UserError, match="n at least 1"):
            image_grid(images, columns=columns)
    for columns in (0, -2, 2.0):
        with pytest.raises(UserError, match=f"columns {columns}: expected a whole number"):
            image_grid(IMAGES, columns=columns)


def test_axes_of_the_caller_are_used():
    figure, (left, right) = plt.subplots(1, 2)
    assert image_grid(IMAGES, ax=left) is figure
    assert loss_curves(LOG, ax=right) is figure
    np.testing.assert_array_equal(shown(left), tile(IMAGES))
    assert len(right.get_lines()) == 2
    plt.close(figure)


def test_loss_curves_hold_the_numbers_of_the_log(tmp_path):
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, LOG)) + '\n{"epoch": 4, "im')
    for source in (LOG, tmp_path, str(tmp_path / "log.jsonl")):
        assert lines(loss_curves(source)) == {
            "generator loss": [[100, 2.0], [200, 1.5]],
            "kl loss": [[100, 5.0], [300, 4.0]],
        }
    figure = loss_curves([{"loss": 3.0, "fd": 50.0}], names=["loss", "fd"])
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "FD"]
    assert [ax.get_lines()[0].get_label() for ax in figure.axes] == ["loss", "FD"]
    figure = loss_curves([{"a": 3.0}, {"a": 2.0}], names=["a"])
    assert lines(figure) == {"a": [[1, 3.0], [2, 2.0]]}
    assert figure.axes[0].get_xlabel() == "epoch"


def test_losses_are_compared_with_levels():
    figure = loss_curves([{"loss": 3.0, "fd": 50.0}], ["loss", "fd"], levels={"log 2": 0.7})
    losses, distances = figure.axes
    assert list(losses.get_lines()[-1].get_ydata()) == [0.7, 0.7]
    assert [(text.get_text(), text.get_position()[1]) for text in losses.texts] == [("log 2", 0.7)]
    assert len(distances.get_lines()) == 1


def test_penalties_are_drawn_beside_the_losses():
    log = [
        {"images_seen": k, "generator_loss": 1.0, "r1": 0.5, "path_penalty": 0.25, "path_length": 1}
        for k in (1, 2)
    ]
    assert set(lines(loss_curves(log))) == {"generator loss", "r1", "path penalty"}
    never = [{**line, "r1": value} for line, value in zip(log, (0.0, None), strict=True)]
    assert set(lines(loss_curves(never))) == {"generator loss", "path penalty"}


@pytest.mark.parametrize(("count", "marker"), [(1, "o"), (8, "o"), (9, "")])
def test_the_points_of_a_short_log_are_marked(count, marker):
    log = [{"images_seen": k, "loss": 2.0} for k in range(count)]
    (line,) = loss_curves(log).axes[0].get_lines()
    assert line.get_marker() == marker


def test_a_large_loss_does_not_flatten_the_others(tmp_path):
    log = [
        {"images_seen": k, "loss": -15000.0 - k, "val_loss": -14000.0, "kl_loss": 30.0 + k}
        for k in (1, 2)
    ]
    axes = loss_curves(log).axes
    labels = [[line.get_label() for line in ax.get_lines()] for ax in axes]
    assert labels == [["loss", "val loss"], ["kl loss"]]
    assert len(loss_curves(log, ["loss", "kl_loss"]).axes) == 1  # who asks for both has both


def test_a_loss_that_was_never_computed_is_not_drawn():
    log = [{"images_seen": k, "discriminator_loss": 1.0, "generator_loss": None} for k in (1, 2)]
    (ax,) = loss_curves(log).axes
    assert [line.get_label() for line in ax.get_lines()] == ["discriminator loss"]
    with pytest.raises(UserError, match="no loss to draw"):
        loss_curves(log, ["generator_loss"])


def test_families_without_a_common_loss_are_compared_side_by_side(tmp_path):
    for name, key in (("a", "loss"), ("b", "loss"), ("c", "generator_loss")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.jsonl").write_text(json.dumps({"images_seen": 9, key: 2.0}))
    a, b, c = (tmp_path / name for name in "abc")
    with pytest.raises(UserError, match="in common"):
        compare_runs([a, b, c])
    left, right = compare_families({"vae": [a, b], "dcgan": [c]}).axes
    assert [line.get_label() for line in left.get_lines()] == ["a", "b"]
    assert (right.get_title(), right.get_ylabel()) == ("dcgan", "generator loss")
    assert right.get_lines()[0].get_xydata().tolist() == [[9, 2.0]]
    (other := tmp_path / "again" / "a").mkdir(parents=True)
    (other / "log.jsonl").write_text(json.dumps({"images_seen": 9, "loss": 3.0}))
    lines_of_both = compare_runs([a, other, a]).axes[0].get_lines()
    assert {line.get_label(): line.get_ydata().tolist() for line in lines_of_both} == {
        f"{tmp_path.name}/a": [2.0],
        "again/a": [3.0],
    }
    for wrong, message in (([], "at least one folder"), (str(a), "expected several")):
        with pytest.raises(UserError, match=message):
            compare_runs(wrong)
    named = compare_runs({"γ = 1": a, "γ = 2": b}).axes[0].get_lines()
    assert [line.get_label() for line in named] == ["γ = 1", "γ = 2"]


def test_refused_logs(tmp_path):
    with pytest.raises(UserError, match="no such log"):
        read_log(tmp_path)
    (tmp_path / "log.jsonl").write_text('{"a": 1}\nbroken\n{"a": 2}\n')
    with pytest.raises(UserError, match="line 2 is not JSON"):
        read_log(tmp_path)
    with pytest.raises(UserError, match="no loss to draw"):
        loss_curves([{"epoch": 1}])


def test_saved_for_a_report_as_vector_and_at_300_dots_per_inch(tmp_path):
    figure = loss_curves(LOG)
    assert save(figure, "curves", folder=tmp_path) is figure
    assert (tmp_path / "curves.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "curves.png") as image:
        assert [round(dots) for dots in image.info["dpi"]] == [300, 300]
        assert image.width == pytest.approx(6 * 300, rel=0.1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["curves.pdf", "curves.png"]
    for name in ("", "a/b", "curves.png"):
        with pytest.raises(UserError, match="plain name"):
            save(figure, name, folder=tmp_path)


def test_lines_differ_without_colour():
    ax = loss_curves(LOG).axes[0]
    assert len({line.get_linestyle() for line in ax.get_lines()}) == 2


def test_the_style_leaves_the_users_settings_alone():
    with plt.rc_context({"font.size": 21}):
        figure = loss_curves(LOG)
        assert plt.rcParams["font.size"] == 21
    assert figure.axes[0].xaxis.label.get_size() == 9
