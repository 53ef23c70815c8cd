"""Looking around in a generator with sliders; notebook 05 ends with it.

The sliders need a notebook and ipywidgets (the extra `notebooks`). Without them the same picture
comes as a figure, and a notebook that is only read shows that figure in place of the sliders.
"""

import base64
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image

from facegen_keras.generate.generator import Generator
from facegen_keras.generate.walks import interpolate
from facegen_keras.inference import latents, to_uint8
from facegen_keras.pictures import tile

WALK = 6  # faces of the way, under three of twice their size
WIDTH = 640  # of the picture, in pixels of the screen
PSI = 0.7  # truncation at the start: fewer odd faces


def explore(generator: Generator, seed: int = 0, other: int = 1) -> Any:
    """Sliders for the faces of a generator and the ways between two of them.

    For every family: two seeds and a position between their faces. For a StyleGAN2 also truncation
    ψ, and which layers go from the first face's style to the second's: all of them interpolate,
    some of them at the end of the way mix styles.

    Args:
        generator: As from `load_generator`.
        seed, other: Seeds at the start.

    Returns:
        An ipywidgets widget to end a cell with, or a Matplotlib figure where there is no notebook
        or ipywidgets is not installed.

    Raises:
        UserError: A seed is none.
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
    """Faces on the way from one seed's to another's: uint8 (positions, height, width, 3).

    Args:
        generator: Of any family.
        seed, other: Ends of the way.
        positions: From 0, the first face, to 1.
        psi: Truncation, of a StyleGAN2.
        layers: Layers of a StyleGAN2 whose style goes along; None: all.

    Raises:
        UserError: A seed or an option has an impossible value.
    """
    positions = np.asarray(list(positions), "float32")
    ends = latents([seed, other], generator.latent_dim)
    if not hasattr(generator, "mapping"):
        return to_uint8(generator(interpolate(ends[0], ends[1], positions)))
    first, second = generator.styles(generator.mapping(ends), psi)
    moving = np.zeros((generator.layers, 1), "float32")
    moving[list(range(generator.layers) if layers is None else layers)] = 1
    styles = first + positions[:, None, None] * moving * (second - first)
    return to_uint8(generator.synthesis(styles))


def walks_figure(generator: Generator, seed: int = 0, other: int = 1) -> Any:
    """What the sliders reach, without them: ways between two faces, as a figure.

    One way for a plain family; for a StyleGAN2 one with all layers, one with the coarse layers and
    one with the fine ones.
    """
    from facegen_keras import figures

    positions = np.linspace(0, 1, WALK)
    ways: dict[str, Iterable[int] | None] = {"all layers": None}
    if hasattr(generator, "mapping"):
        half = generator.layers // 2
        ways[f"layers 0-{half - 1}"] = range(half)
        ways[f"layers {half}-{generator.layers - 1}"] = range(half, generator.layers)
    else:
        ways = {f"seed {seed} to {other}": None}
    table = [walk_between(generator, seed, other, positions, layers=way) for way in ways.values()]
    columns = [f"seed {seed}", *[f"{p:.2f}" for p in positions[1:-1]], f"seed {other}"]
    return figures.face_table(np.stack(table), list(ways), columns)


def panel(
    generator: Generator,
    seed: int,
    other: int,
    position: float,
    psi: float = PSI,
    layers: Iterable[int] | None = None,
) -> np.ndarray:
    """What the sliders show: first face, face at the position, second face; under them the way.

    Returns:
        uint8 (3 * height, WALK * width, 3).
    """
    layers = None if layers is None else list(layers)
    positions = [*np.linspace(0, 1, WALK), position]
    *way, here = walk_between(generator, seed, other, positions, psi, layers)
    (second,) = walk_between(generator, seed, other, [1.0], psi)
    large = tile(np.stack([way[0], here, second]), (3, 1)).repeat(2, axis=0).repeat(2, axis=1)
    strip = tile(np.stack(way), (WALK, 1))
    return np.concatenate([large, strip])


def _widget(ipywidgets: Any, generator: Generator, seed: int, other: int, figure: Any) -> Any:
    class Explorer(ipywidgets.VBox):
        """Sliders over a picture; a page without widgets shows the figure."""

        def _repr_mimebundle_(self, **kwargs: Any) -> Any:
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
    if hasattr(generator, "mapping"):
        last = generator.layers - 1
        controls["psi"] = ipywidgets.FloatSlider(
            PSI, min=-1, max=1.5, step=0.05, description="truncation ψ", **slider
        )
        controls["layers"] = ipywidgets.IntRangeSlider(
            value=(0, last), min=0, max=last, description="layers", **slider
        )
    picture = ipywidgets.Image(format="png", layout={"width": f"{WIDTH}px"})

    def draw(_: Any = None) -> None:
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
    """Whether an IPython kernel, rather than a script or a terminal, runs this."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _figure_png(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return base64.b64encode(buffer.getvalue()).decode()
