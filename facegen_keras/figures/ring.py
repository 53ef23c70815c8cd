"""The game in the plane, as `models.ring` plays it."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facegen_keras.errors import UserError
from facegen_keras.figures.theme import COLOURS, panels, styled
from facegen_keras.models.ring import CENTRES, EDGE, NEAR, Snapshot, draw_ring

INCHES = 1.5  # of a panel
ARROWS = 12  # a panel has room for
REAL = 200  # points of the ring in a panel


@styled
def ring_panels(games: Mapping[str, Sequence[Snapshot]]) -> Figure:
    """The samples of several games over time, on what their discriminators say.

    The lighter the ground, the more the discriminator takes it for real; the black line is where
    it says one half. Blue dots are real points, orange ones samples; what lies in a circle counts
    as near a Gaussian. An arrow shows where the generator's loss falls fastest at a sample; only
    its direction and not its length means something.

    Args:
        games: What `RingGAN.play` returns, by name; one row each, all of one length.

    Raises:
        UserError: The games have different numbers of snapshots.
    """
    if len({len(game) for game in games.values()}) != 1:
        raise UserError(f"games of {[len(game) for game in games.values()]} snapshots: give equal")
    columns = len(next(iter(games.values())))
    figure, axes = panels(
        len(games), columns, columns * INCHES + 0.3, len(games) * INCHES + 0.3,
        sharex=True, sharey=True,
    )  # fmt: skip
    for row, (name, game) in zip(axes, games.items(), strict=True):
        row[0].set_ylabel(name)
        for ax, snapshot in zip(row, game, strict=True):
            _draw(ax, snapshot)
    for ax, snapshot in zip(axes[0], next(iter(games.values())), strict=True):
        ax.set_title(f"step {snapshot.step}", fontsize=9)
    return figure


def _draw(ax: Axes, snapshot: Snapshot) -> None:
    line = np.linspace(-EDGE, EDGE, len(snapshot.level))
    ax.pcolormesh(line, line, snapshot.level, vmin=0, vmax=1, cmap="Greys_r", rasterized=True)
    if snapshot.level.min() < 0.5 < snapshot.level.max():
        ax.contour(line, line, snapshot.level, [0.5], colors="black", linewidths=0.8)
    angles = np.linspace(0, 2 * np.pi, 40)
    for centre in CENTRES:
        ax.plot(
            *(centre[:, None] + NEAR * np.stack([np.cos(angles), np.sin(angles)])),
            color=COLOURS[3], linestyle="-", linewidth=0.9,
        )  # fmt: skip
    real = draw_ring(REAL, np.random.default_rng(0))
    ax.scatter(real[:, 0], real[:, 1], s=2, color=COLOURS[3], linewidths=0, zorder=2)
    samples = np.clip(snapshot.samples, -EDGE, EDGE)
    ax.scatter(samples[:, 0], samples[:, 1], s=4, color=COLOURS[4], linewidths=0, zorder=3)
    chosen = slice(None, None, max(1, len(samples) // ARROWS))
    lengths = np.linalg.norm(snapshot.pull, axis=1, keepdims=True)
    arrows = snapshot.pull / np.maximum(lengths, 1e-12)
    ax.quiver(
        *samples[chosen].T, *arrows[chosen].T,
        facecolor="white", edgecolor="black", linewidth=0.5, scale=9, width=0.015, zorder=4,
    )  # fmt: skip
    ax.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), xticks=[], yticks=[], aspect="equal")
    ax.grid(False)
