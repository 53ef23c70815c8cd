"""Explore a generator with sliders; notebook 05 ends with it.

The sliders need a notebook and ipywidgets (the extra `notebooks`). Elsewhere `explore` returns the
same pictures as a figure, and a stored notebook shows that figure in place of the sliders.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from facegen_keras.figures.grids import face_table
from facegen_keras.generate.generator import Generator
from facegen_keras.pictures import tile

if TYPE_CHECKING:
    import ipywidgets

WALK = 6  # faces of a walk, drawn below three faces of twice their size
WIDTH = 640  # of the picture, in screen pixels
PSI = 0.7  # truncation at the start: fewer odd faces


def explore(generator: Generator, seed: int = 0, other: int = 1) -> ipywidgets.VBox | Figure:
    """Sliders for the faces of a generator and the walks between two of them.

    Every family has two seeds and a position between their faces. A StyleGAN2 also has truncation
    ψ and a range of layers that move from the first face's style to the second's. With all layers
    the walk interpolates; with some of them, its end mixes styles.

    Args:
        generator: As from `load_generator`.
        seed: Of the first face, at the start.
        other: Of the second face, at the start.

    Returns:
        An ipywidgets widget to end a cell with, or a Matplotlib figure outside of notebooks and
        where ipywidgets is not installed.

    Raises:
        UserError: A seed is invalid.
    """
    figure = walks_figure(generator, seed, other)
    if not _in_notebook():
        return figure
    try:
        import ipywidgets
    except ImportError:
        return figure
    return _widget(ipywidgets, generator, seed, other, figure)


def walk_between(
    generator: Generator,
    seed: int,
    other: int,
    positions: Iterable[float],
    psi: float = PSI,
    layers: Iterable[int] | None = None,
) -> np.ndarray:
    """Faces between the faces of two seeds: uint8 `(positions, height, width, 3)`.

    Args:
        generator: Of any family.
        seed: Of the first face.
        other: Of the last face.
        positions: From 0, the first face, to 1, the last.
        psi: Truncation, of a StyleGAN2.
        layers: Layers of a StyleGAN2 whose style moves; None: all.

    Raises:
        UserError: A seed or an option has an impossible value.
    """
    if not generator.layers:
        return generator.walk_between(seed, other, positions)
    return generator.walk_between(seed, other, positions, truncation_psi=psi, layers=layers)


def walks_figure(generator: Generator, seed: int = 0, other: int = 1) -> Figure:
    """The walks that the sliders reach, as a Matplotlib figure.

    A plain family has one walk. A StyleGAN2 has three: with all layers, with the coarse ones and
    with the fine ones.

    Args:
        generator: Of any family.
        seed: Start of the walks.
        other: End of the walks.

    Raises:
        UserError: A seed is invalid.
    """
    walks: dict[str, range | None] = {f"seed {seed} to {other}": None}
    last_column = f"seed {other}"
    if generator.layers:
        last_column = "1.00"  # where only some layers move, that is not the other face
        half, last = generator.layers // 2, generator.layers - 1
        coarse, fine = range(half), range(half, generator.layers)
        walks = {"all layers": None, f"layers 0-{half - 1}": coarse, f"layers {half}-{last}": fine}
    positions = np.linspace(0, 1, WALK)
    table = [walk_between(generator, seed, other, positions, layers=x) for x in walks.values()]
    columns = [f"seed {seed}", *[f"{p:.2f}" for p in positions[1:-1]], last_column]
    return face_table(np.stack(table), list(walks), columns)


def panel(
    generator: Generator,
    seed: int,
    other: int,
    position: float,
    psi: float = PSI,
    layers: Iterable[int] | None = None,
) -> np.ndarray:
    """The sliders' picture: first face, face at the position, second face; below them the walk.

    Args:
        generator: Of any family.
        seed: Of the first face.
        other: Of the second face.
        position: From 0, the first face, to 1.
        psi: Truncation, of a StyleGAN2.
        layers: Layers of a StyleGAN2 whose style moves; None: all.

    Returns:
        uint8 `(3 * height, WALK * width, 3)`.

    Raises:
        UserError: A seed or an option has an impossible value.
    """
    layers = None if layers is None else list(layers)
    positions = [*np.linspace(0, 1, WALK), position]
    *walk, here = walk_between(generator, seed, other, positions, psi, layers)
    (second,) = walk_between(generator, seed, other, [1.0], psi)
    large = tile(np.stack([walk[0], here, second]), (3, 1)).repeat(2, axis=0).repeat(2, axis=1)
    strip = tile(np.stack(walk), (WALK, 1))
    return np.concatenate([large, strip])


def _widget(
    ipywidgets: Any, generator: Generator, seed: int, other: int, figure: Figure
) -> ipywidgets.VBox:
    class Explorer(ipywidgets.VBox):
        """Sliders over a picture; a page without widgets shows the figure."""

        def _repr_mimebundle_(self, **kwargs: object) -> dict[str, object] | tuple:
            bundle = super()._repr_mimebundle_(**kwargs)
            data, *rest = bundle if isinstance(bundle, tuple) else (bundle,)
            data = {**(data or {}), "image/png": _figure_png(figure)}
            return (data, *rest) if rest else data

    wide = {"style": {"description_width": "8em"}, "layout": {"width": "30em"}}
    controls = {
        name: ipywidgets.BoundedIntText(value, 0, 2**32 - 1, description=text, **wide)
        for name, value, text in (("seed", seed, "first seed"), ("other", other, "second seed"))
    }
    slider = {"continuous_update": False, **wide}
    controls["position"] = ipywidgets.FloatSlider(
        0.5, min=0, max=1, step=0.05, description="position", **slider
    )
    if generator.layers:
        last = generator.layers - 1
        controls["psi"] = ipywidgets.FloatSlider(
            PSI, min=-1, max=1.5, step=0.05, description="truncation ψ", **slider
        )
        controls["layers"] = ipywidgets.IntRangeSlider(
            value=(0, last), min=0, max=last, description="layers", **slider
        )
    picture = ipywidgets.Image(format="png", layout={"width": f"{WIDTH}px"})

    def draw(_: object = None) -> None:
        values = {name: control.value for name, control in controls.items()}
        if "layers" in values:
            first, last = values["layers"]
            values["layers"] = range(first, last + 1)
        picture.value = _png(panel(generator, **values))

    for control in controls.values():
        control.observe(draw, "value")
    draw()
    explorer = Explorer([*controls.values(), picture])
    explorer.controls, explorer.picture = controls, picture
    return explorer


def _in_notebook() -> bool:
    """Whether this runs in an IPython kernel and not in a script or a terminal."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _figure_png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return base64.b64encode(buffer.getvalue()).decode()
