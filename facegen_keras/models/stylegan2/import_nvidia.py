"""Official StyleGAN2 weights as models of this package: generators and discriminators.

`official_files` reads the files and executes nothing in them.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.export.earlier_exports import back_up
from facegen_keras.export.model_file import SUFFIXES
from facegen_keras.export.read import discriminator_path
from facegen_keras.export.write import write_model
from facegen_keras.files.hashes import sha256_of
from facegen_keras.models import stylegan2
from facegen_keras.models.stylegan2.official_files import State, read_networks

LICENCE = (
    "Weights imported from NVIDIA's format: the licence of the file they came from applies "
    "(NVIDIA Source Code License, non-commercial, for NVIDIA's own). Code: MIT."
)


@dataclass(frozen=True)
class Architecture:
    """The architecture of a network, as its tensors show it.

    Attributes:
        resolution: Height and width of the images.
        channels: Feature maps per resolution.
        latent_dim: Length of z; 0 in a discriminator, like the next two.
        w_dim: Length of w.
        mapping_layers: Depth of the mapping network.
    """

    resolution: int
    channels: dict[int, int]
    latent_dim: int = 0
    w_dim: int = 0
    mapping_layers: int = 0


@dataclass(frozen=True)
class Imported:
    """The files that an import wrote.

    Attributes:
        generator: Path of the generator.
        discriminator: Path of the discriminator, or None.
        left_out: Why the file's discriminator was not written, in one line, or None.
    """

    generator: Path
    discriminator: Path | None = None
    left_out: str | None = None


def import_nvidia(src: str | os.PathLike, dst: str | os.PathLike) -> Path:
    """Convert an official StyleGAN2 generator to Keras, and its discriminator if there is one.

    Files that stood there stay beside the new ones (see `earlier_exports.back_up`). A
    discriminator of another architecture is left out with a warning.

    Args:
        src: A pickle of `stylegan2-ada-pytorch` or `stylegan3` (the averaged generator is taken),
            or a state dict under the official names, with or without a prefix `G/`, `G_ema/` or
            `D/`: `.npz`, `.safetensors`, or `.pt` / `.pth`.
        dst: Target, ending in .h5 or .keras.

    Returns:
        The path of the generator.

    Raises:
        UserError: The file is of another kind, holds something that is not a tensor or a plain
            value, or another architecture.
    """
    done = import_networks(src, dst)
    if done.left_out:
        warnings.warn(done.left_out, UserWarning, stacklevel=2)
    return done.generator


def import_networks(src: str | os.PathLike, dst: str | os.PathLike) -> Imported:
    """As `import_nvidia`, but returns all that was written, and does not warn."""
    src, dst = Path(src), Path(dst)
    if dst.suffix not in SUFFIXES:
        raise UserError(f"{dst}: a generator is saved as .h5 or .keras")
    networks = read_networks(src)
    found = next((networks[n] for n in ("G_ema", "G") if n in networks and networks[n][0]), None)
    if not found:
        raise UserError(f"{src}: no generator in it; expected G_ema or G")
    try:
        generator = _generator(*found)
    except UserError as error:
        raise UserError(f"{src}: {error}") from None
    discriminator, left_out = None, None
    if "D" in networks:
        try:
            discriminator = _discriminator(*networks["D"])
        except UserError as error:
            left_out = f"{src}: its discriminator was left out ({error}); its generator is imported"
    metadata = {
        "family": "stylegan2",
        "resolution": generator.output_shape[1],
        "latent_dim": generator.input_shape[-1],
        "imported_from": src.name,
        "imported_sha256": sha256_of(src),
        "licence": LICENCE,
        "part": "generator",
    }
    beside = discriminator_path(dst)
    for path in (dst, beside):
        back_up(path)
    if discriminator:
        write_model(discriminator, beside, {**metadata, "part": "discriminator"})
    else:
        beside.unlink(missing_ok=True)  # it belongs to another generator
    write_model(generator, dst, metadata)
    return Imported(dst, beside if discriminator else None, left_out)


def architecture_of(state: Mapping[str, np.ndarray]) -> Architecture:
    """Resolution, channels and depths from the tensors of a generator or discriminator.

    Raises:
        UserError: It is not a StyleGAN2, or a class-conditional one.
    """
    if any(name.startswith(("mapping.embed.", "b4.mapping.")) for name in state):
        raise UserError("a class-conditional network; only unconditional ones are read")
    generator = "synthesis.b4.const" in state
    kind, first = ("synthesis.", "conv1") if generator else ("", "conv0")
    try:
        channels = {4: len(state["synthesis.b4.conv1.weight" if generator else "b4.conv.weight"])}
        while (name := f"{kind}b{2 * max(channels)}.{first}.weight") in state:
            outputs, inputs = state[name].shape[:2]
            if outputs != inputs:
                raise UserError(
                    f"tensor {name} has {inputs} inputs; expected {outputs}, as outputs"
                )
            channels[2 * max(channels)] = outputs
        resolution = max(channels)
        if not generator:
            return Architecture(resolution, channels)
        layers = 0
        while f"mapping.fc{layers}.weight" in state:
            layers += 1
        return Architecture(
            resolution,
            channels,
            latent_dim=state["mapping.fc0.weight"].shape[1],
            w_dim=state["synthesis.b4.conv1.affine.weight"].shape[1],
            mapping_layers=layers,
        )
    except (KeyError, IndexError, AttributeError) as error:
        known = "StyleGAN3" if any("synthesis.input" in name for name in state) else "unknown"
        raise UserError(
            f"not a StyleGAN2 but an {known} architecture (no tensor {error}); expected tensors "
            "such as synthesis.b4.conv1.weight"
        ) from None


def _generator(state: State, settings: dict[str, Any]) -> keras.Model:
    _check(state, settings)
    found = architecture_of(state)
    if not found.mapping_layers:
        raise UserError(
            "not a generator but a discriminator; expected synthesis.b4.const among others"
        )
    hidden = len(state["mapping.fc0.weight"])
    widths = [found.latent_dim, *[hidden] * (found.mapping_layers - 1), found.w_dim]
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        shape = state[f"mapping.fc{i}.weight"].shape
        if shape != (outputs, inputs):
            raise UserError(f"mapping.fc{i}.weight has shape {shape}; expected {outputs, inputs}")
    mapping = stylegan2.build_mapping(
        found.latent_dim,
        found.w_dim,
        found.mapping_layers,
        hidden=hidden,
        lr_multiplier=settings.get("lr_multiplier", stylegan2.MAPPING_LR),
    )
    synthesis = stylegan2.build_synthesis(
        found.resolution, found.w_dim, found.channels, clamp=settings.get("conv_clamp")
    )
    model = stylegan2.join_generator(mapping, synthesis)
    stylegan2.load_official(model, state)
    return model


def _discriminator(state: State, settings: dict[str, Any]) -> keras.Model:
    _check(state, settings)
    found = architecture_of(state)
    if f"b{found.resolution}.skip.weight" not in state:
        raise UserError("it has no skip tensors; only the official architecture 'resnet' is read")
    channels = found.channels[4]
    statistics = state["b4.conv.weight"].shape[1] - channels
    if not 0 < statistics <= channels or channels % statistics:
        raise UserError(f"{statistics} maps of statistics; expected a divisor of {channels}")
    model = stylegan2.build_discriminator(
        found.resolution,
        found.channels,
        group_size=settings.get("group_size", 4),
        statistics=statistics,
        clamp=settings.get("conv_clamp"),
    )
    stylegan2.load_official(model, state)
    return model


def _check(state: State, settings: dict[str, Any]) -> None:
    """Refuse, before anything is built, settings our layers do not support and broken weights."""
    if "unknown" in settings:
        raise UserError(settings["unknown"])
    for name, value in state.items():
        if value.dtype.kind not in "fiu" or not value.size:
            fault = f"is {value.dtype} of shape {value.shape}"
        elif name.endswith("weight") and value.ndim not in (2, 4):
            fault = f"has {value.ndim} axes instead of 2 or 4"
        elif not np.abs(value).max() <= np.finfo("float32").max:  # so for NaN as well
            fault = "holds numbers that are not finite in float32"
        else:
            continue
        raise UserError(f"tensor {name} {fault}; take an undamaged file of float weights")
