"""The four families as diagrams: what goes where, which loss trains what."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import figure_of, hide_axes, new_axes, styled

WIDTH, HEIGHT = 1.5, 0.55  # of a box, in inches
FACES = {"network": "#CFE4F3", "data": "#FFFFFF", "loss": "#FBE6C2", "noise": "#E8E8E8"}
WORDS = 8  # points


class Box(NamedTuple):
    """A box of a diagram.

    Attributes:
        x: Of its middle, in inches.
        y: Of its middle, in inches.
        text: In it.
        kind: A key of `FACES`: a network, data, a loss, or noise.
    """

    x: float
    y: float
    text: str
    kind: str = "network"


class Arrow(NamedTuple):
    """An arrow between two boxes.

    Attributes:
        start: Name of a box.
        end: Name of a box.
        text: Beside it.
        stops: Whether it is the way of a gradient through a network that it does not train: it is
            drawn dashed.
        bend: Curvature; 0 is straight.
    """

    start: str
    end: str
    text: str = ""
    stops: bool = False
    bend: float = 0.0


Diagram = tuple[Mapping[str, Box], Sequence[Arrow]]

VAE: Diagram = (
    {
        "x": Box(0.8, 1.6, "face x", "data"),
        "encoder": Box(2.8, 1.6, "encoder"),
        "q": Box(4.8, 1.6, "mean μ,\nlog-variance log σ²", "data"),
        "noise": Box(4.8, 0.5, "noise ε ~ N(0, I)", "noise"),
        "z": Box(6.8, 1.6, "code\nz = μ + σ ε", "data"),
        "decoder": Box(8.8, 1.6, "decoder"),
        "y": Box(8.8, 2.7, "reconstruction x̂", "data"),
        "kl": Box(2.8, 0.5, "KL divergence of\nN(μ, σ²) from N(0, I)", "loss"),
        "error": Box(0.8, 2.7, "reconstruction error\nof x and x̂", "loss"),
        "prior": Box(8.8, 0.5, "to sample:\nz ~ prior", "noise"),
    },
    (
        Arrow("x", "encoder"),
        Arrow("encoder", "q"),
        Arrow("q", "z"),
        Arrow("noise", "z"),
        Arrow("z", "decoder"),
        Arrow("decoder", "y"),
        Arrow("q", "kl"),
        Arrow("x", "error"),
        Arrow("y", "error"),
        Arrow("prior", "decoder"),
    ),
)

DCGAN: Diagram = (
    {
        "z": Box(0.8, 1.0, "latent\nz ~ N(0, I)", "noise"),
        "generator": Box(2.8, 1.0, "generator G"),
        "fake": Box(4.8, 1.0, "fake G(z)", "data"),
        "x": Box(4.8, 2.2, "photo x", "data"),
        "discriminator": Box(6.8, 1.6, "discriminator D"),
        "d": Box(9.2, 2.2, "D's loss: photos 1,\nfakes 0; trains D", "loss"),
        "g": Box(9.2, 0.6, "G's loss: fakes 1;\ntrains G, not D", "loss"),
    },
    (
        Arrow("z", "generator"),
        Arrow("generator", "fake"),
        Arrow("fake", "discriminator"),
        Arrow("x", "discriminator"),
        Arrow("discriminator", "d", "logits"),
        Arrow("discriminator", "g", "logits"),
        Arrow("d", "discriminator", bend=0.3),
        Arrow("g", "discriminator", stops=True, bend=-0.35),
        Arrow("discriminator", "fake", stops=True, bend=-0.35),
        Arrow("fake", "generator", stops=True, bend=-0.35),
    ),
)

COMBINED: Diagram = (
    {
        "x": Box(0.8, 2.0, "photo x", "data"),
        "encoder": Box(2.8, 2.0, "encoder E"),
        "z": Box(4.8, 2.0, "code\nz = μ + σ ε", "data"),
        "prior": Box(4.8, 0.8, "prior: z ~ N(0, I)", "noise"),
        "generator": Box(6.8, 1.4, "generator G\n(the decoder)"),
        "y": Box(8.8, 2.0, "reconstruction x̃", "data"),
        "fake": Box(8.8, 0.8, "sample", "data"),
        "discriminator": Box(10.8, 1.4, "discriminator D"),
        "again": Box(10.8, 2.6, "photo x", "data"),
        "kl": Box(4.8, 3.2, "KL: trains E", "loss"),
        "features": Box(8.8, 3.2, "feature error of x and x̃:\ntrains E and G, not D", "loss"),
        "game": Box(10.8, 0.2, "the game: trains D,\nand G, not E", "loss"),
    },
    (
        Arrow("x", "encoder"),
        Arrow("encoder", "z"),
        Arrow("z", "generator"),
        Arrow("prior", "generator"),
        Arrow("generator", "y"),
        Arrow("generator", "fake"),
        Arrow("y", "discriminator"),
        Arrow("fake", "discriminator"),
        Arrow("z", "kl"),
        Arrow("again", "discriminator"),
        Arrow("discriminator", "features", stops=True),
        Arrow("discriminator", "game", "logits"),
    ),
)

STYLEGAN2: Diagram = (
    {
        "z": Box(0.9, 3.2, "latent\nz ~ N(0, I)", "noise"),
        "mapping": Box(0.9, 2.3, "mapping: normalize,\ndense layers"),
        "w": Box(0.9, 1.4, "style vector w", "data"),
        "constant": Box(2.75, 3.2, "learned constant\n4×4", "data"),
        "b4": Box(4.6, 3.2, "4×4: one modulated\nconvolution"),
        "b8": Box(4.6, 2.3, "8×8: up, two modulated\nconvolutions"),
        "b64": Box(4.6, 1.4, "… to 64×64: up,\ntwo convolutions"),
        "noise": Box(4.6, 0.5, "noise: a value for each\npixel of each layer", "noise"),
        "rgb4": Box(6.45, 3.2, "to RGB"),
        "rgb8": Box(6.45, 2.3, "to RGB, plus the\nupsampled one above"),
        "rgb64": Box(6.45, 1.4, "to RGB, plus the\nupsampled one above"),
        "face": Box(6.45, 0.5, "drawn face", "data"),
        "x": Box(8.3, 1.4, "photo", "data"),
        "discriminator": Box(8.3, 0.5, "residual\ndiscriminator"),
        "loss": Box(8.3, -0.4, "losses of G and D;\nR1, path length", "loss"),
    },
    (
        Arrow("z", "mapping"),
        Arrow("mapping", "w"),
        Arrow("constant", "b4"),
        Arrow("b4", "b8"),
        Arrow("b8", "b64"),
        Arrow("w", "b4", bend=-0.12),
        Arrow("w", "b8", bend=-0.06),
        Arrow("w", "b64", "a style for each layer"),
        Arrow("noise", "b64"),
        Arrow("b4", "rgb4"),
        Arrow("b8", "rgb8"),
        Arrow("b64", "rgb64"),
        Arrow("rgb4", "rgb8"),
        Arrow("rgb8", "rgb64"),
        Arrow("rgb64", "face"),
        Arrow("face", "discriminator"),
        Arrow("x", "discriminator"),
        Arrow("discriminator", "loss"),
    ),
)

DIAGRAMS = {"vae": VAE, "dcgan": DCGAN, "combined": COMBINED, "stylegan2": STYLEGAN2}


@styled
def architecture(family: str) -> Figure:
    """A diagram of a family: blue boxes are networks, yellow ones losses, grey ones random.

    Dashed arrows are the way of a gradient through a network that it does not train.

    Args:
        family: "vae", "dcgan", "combined" or "stylegan2".

    Raises:
        UserError: There is no such family.
    """
    if family not in DIAGRAMS:
        raise UserError(f"family {family!r}: expected one of {', '.join(DIAGRAMS)}")
    boxes, arrows = DIAGRAMS[family]
    right = max(box.x for box in boxes.values()) + WIDTH / 2 + 0.15
    top = max(box.y for box in boxes.values()) + HEIGHT / 2 + 0.1
    low = min(box.y for box in boxes.values()) - HEIGHT / 2 - 0.1
    ax = new_axes(right, top - low)
    ax.set(xlim=(0, right), ylim=(low, top), aspect="equal")
    hide_axes(ax)
    patches = {name: _draw_box(ax, box) for name, box in boxes.items()}
    for arrow in arrows:
        _draw_arrow(ax, arrow, boxes, patches)
    return figure_of(ax)


def _draw_box(ax: Axes, box: Box) -> FancyBboxPatch:
    corner = (box.x - WIDTH / 2, box.y - HEIGHT / 2)
    patch = FancyBboxPatch(
        corner, WIDTH, HEIGHT, "round,pad=0,rounding_size=0.08",
        facecolor=FACES[box.kind], edgecolor="0.25", linewidth=0.9,
    )  # fmt: skip
    ax.add_patch(patch)
    ax.text(box.x, box.y, box.text, ha="center", va="center", fontsize=WORDS)
    return patch


def _draw_arrow(
    ax: Axes, arrow: Arrow, boxes: Mapping[str, Box], patches: Mapping[str, FancyBboxPatch]
) -> None:
    start, end = boxes[arrow.start], boxes[arrow.end]
    ax.annotate(
        "",
        (end.x, end.y),
        (start.x, start.y),
        arrowprops={
            "arrowstyle": "-|>",
            "color": "0.25",
            "linestyle": "--" if arrow.stops else "-",
            "connectionstyle": f"arc3,rad={arrow.bend}",
            "patchA": patches[arrow.start],
            "patchB": patches[arrow.end],
            "shrinkA": 1,
            "shrinkB": 1,
        },
    )
    if arrow.text:
        middle = ((start.x + end.x) / 2, (start.y + end.y) / 2)
        beside = start.x == end.x
        ax.annotate(
            arrow.text,
            middle,
            (5, 0) if beside else (0, 5),
            textcoords="offset points",
            ha="left" if beside else "center",
            va="center" if beside else "bottom",
            fontsize=WORDS - 1,
        )
