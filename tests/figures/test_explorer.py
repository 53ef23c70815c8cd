"""The explorer draws what its sliders say, and degrades to a figure."""

import base64
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures import explorer
from facegen_keras.generate import w_space
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.models import stylegan2
from facegen_keras.models.dcgan import build_generator

REFERENCE = Path(__file__).parents[1] / "fixtures" / "stylegan2_reference.npz"


@pytest.fixture(scope="module")
def generator():
    state = {k: v for k, v in np.load(REFERENCE).items() if k.startswith("G/")}
    model = stylegan2.build_generator(32, 32, 32, 2, {4: 32, 8: 32, 16: 32, 32: 16})
    stylegan2.load_official(model, state)
    return StyleGAN2Generator(model)


@pytest.fixture(scope="module")
def plain():
    return Generator(build_generator(32, 8, 4, "float32"), "dcgan")


@pytest.fixture
def notebook(monkeypatch):
    monkeypatch.setattr(explorer, "_in_notebook", lambda: True)


def test_all_layers_go_from_one_face_to_the_other(generator):
    way = explorer.walk_between(generator, 3, 4, [0, 0.5, 1], psi=0.6)
    ends = generator.sample([3, 4], truncation_psi=0.6)
    np.testing.assert_array_equal(way[[0, 2]], ends)
    assert (way[1] != ends[0]).any()
    assert (way[1] != ends[1]).any()


def test_some_layers_at_the_end_of_the_way_mix_styles(generator):
    (mixed,) = explorer.walk_between(generator, 3, 4, [1], psi=1.0, layers=range(2))
    matrix = w_space.style_mix(generator, [3], [4], range(2))
    np.testing.assert_array_equal(mixed, matrix[1, 1])


def test_a_plain_family_walks_in_z(plain):
    way = explorer.walk_between(plain, 3, 4, [0, 1])
    np.testing.assert_array_equal(way, plain.sample([3, 4]))


def test_the_panel_holds_the_way_and_three_faces(generator):
    panel = explorer.panel(generator, 3, 4, 0.0, psi=0.6, layers=[0, 1])
    first, second = generator.sample([3, 4], truncation_psi=0.6)
    assert panel.shape == (96, 192, 3)
    np.testing.assert_array_equal(panel[64:, :32], first)
    large = panel[:64:2, ::2]
    np.testing.assert_array_equal(large, np.concatenate([first, first, second], axis=1))


def test_the_face_in_the_middle_is_at_the_position(plain):
    panel = explorer.panel(plain, 3, 4, 0.3)
    way = plain.walk_between(3, 4, [*np.linspace(0, 1, explorer.WALK), 0.3])
    np.testing.assert_array_equal(panel[64:], np.concatenate(way[:-1], axis=1))
    np.testing.assert_array_equal(panel[:64:2, 64:128:2], way[-1])
    assert (way[-1] != way[0]).any()


def test_a_figure_where_there_is_no_notebook(generator, plain):
    figure = explorer.explore(generator, 3, 4)
    assert isinstance(figure, Figure)
    rows = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert rows == ["all layers", "layers 0-3", "layers 4-7"]
    rows = explorer.explore(plain, 3, 4).axes[0].get_yticklabels()
    assert [tick.get_text() for tick in rows] == ["seed 3 to 4"]
    with pytest.raises(UserError, match="seed -1"):
        explorer.explore(plain, -1)


def test_a_figure_where_ipywidgets_is_missing(plain, notebook, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert isinstance(explorer.explore(plain), Figure)


def test_sliders_redraw_the_picture(generator, notebook):
    pytest.importorskip("ipywidgets")
    widget = explorer.explore(generator, 3, 4)
    assert set(widget.controls) == {"seed", "other", "position", "psi", "layers"}
    expected = explorer.panel(generator, 3, 4, 0.5, layers=range(8))
    assert widget.picture.value == explorer._png(expected)
    widget.controls["seed"].value = 7
    widget.controls["layers"].value = (0, 3)
    widget.controls["psi"].value = 0.25
    expected = explorer.panel(generator, 7, 4, 0.5, 0.25, range(4))
    assert widget.picture.value == explorer._png(expected)


def test_a_page_without_widgets_shows_the_figure(plain, notebook):
    pytest.importorskip("ipywidgets")
    widget = explorer.explore(plain)
    assert set(widget.controls) == {"seed", "other", "position"}
    bundle = widget._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in data
