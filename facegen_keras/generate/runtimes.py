"""A trained model as files for other runtimes."""

import filecmp
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
from keras import ops

from facegen_keras.errors import UserError
from facegen_keras.export.earlier_exports import back_up
from facegen_keras.export.formats import FORMATS, Format
from facegen_keras.export.from_hub import local_model
from facegen_keras.export.half_weights import as_half, write_halves
from facegen_keras.export.parts import COMPANIONS, MAIN_PARTS, companion_path
from facegen_keras.export.prior import ARRAYS
from facegen_keras.export.runtimes import write_litert, write_onnx, write_saved_model
from facegen_keras.files.atomic import replacing
from facegen_keras.files.safetensors_file import write_safetensors
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.graphs import encoder_graph, generator_graph, stylegan2_graphs
from facegen_keras.generate.loading import load_encoder, load_generator
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.generate.web import write_page
from facegen_keras.inference import latents
from facegen_keras.mixture import Mixture
from facegen_keras.models.stylegan2.official_names import official_settings, official_state
from facegen_keras.version import __version__

ENCODING = ("vae", "combined")  # families that have an encoder
MOST_CHANGE = 0.5  # grey levels by which float16 weights may change an image
# How names end, and what writes the file or folder: `(graph, path, metadata)`.
GRAPH_FORMATS: dict[str, tuple[str, Callable[..., None]]] = {
    "onnx": (".onnx", write_onnx),
    "litert": (".tflite", write_litert),
    "tf_saved_model": ("_saved_model", write_saved_model),
}
Files = dict[str, Callable[[Path], None]]  # what writes each file, by its name


def export_model(
    model_path: str | os.PathLike,
    output: str | os.PathLike,
    format: Format = "onnx",
    parts: bool = False,
    runtime: str | os.PathLike | None = None,
) -> list[Path]:
    """Write a trained generator for another runtime, or as a web page.

    The files are named after the model: `dcgan_generator.onnx`. Family, licence, model card and
    version are in them. A file that stood there stays beside the new one (see
    `earlier_exports.back_up`), unless it is the same.

    Args:
        model_path: A generator, .h5 or .keras, also on the hub as for `load_generator`.
        output: Folder to write to; created if it is missing.
        format: "onnx", "litert" (`.tflite`), "tf_saved_model" (a folder) or "safetensors" (the
            weights alone; of a StyleGAN2 also under the official names). `generate.graphs` names
            the inputs and outputs. "h5" is the model for this package again, with its encoder or
            discriminator, in files of about half the size: weights are kept as float16. "web":
            `output` becomes a web page that draws the faces, with ONNX Runtime Web in it; other
            files there stay.
        parts: Write the parts as files of their own too: mapping and synthesis network of a
            StyleGAN2, encoder of a VAE or a combined model.
        runtime: For "web": a folder with the files of ONNX Runtime Web. None: from its npm package,
            which is downloaded on first use and kept in the cache.

    Returns:
        The files (or folders) written, the whole generator or the page's `index.html` first.

    Raises:
        UserError: The format is unknown, needs a package that is not installed or the TensorFlow
            backend, or cannot hold this model; float16 would change an image by more than half a
            grey level; an h5 would replace the model itself; the model is no generator, or has no
            parts; ONNX Runtime Web is not to be had; or something cannot be written.
    """
    if format not in FORMATS:
        raise UserError(f"format {format!r}: expected one of {', '.join(FORMATS)}")
    if format != "web" and runtime is not None:
        raise UserError(f"runtime: only for the format web, not for {format}; leave it out")
    if format == "web" and parts:
        raise UserError("parts: not for the format web, a page has what it needs; leave it out")
    path = local_model(model_path)
    generator = load_generator(path)
    if format == "h5" and Path(output).is_dir() and Path(output).samefile(path.parent):
        raise UserError(f"output {output}: the folder of the model itself; give another")
    if format == "web":
        return write_page(generator, Path(output), _texts(generator, "generator"), runtime)
    make = {"safetensors": _weights, "h5": _halves}.get(format, _graphs)
    files = make(path, generator, format, parts)
    return [_put(Path(output) / name, write) for name, write in files.items()]


def weights_by_name(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a model by the names of their layers: `synthesis/b8_conv0/kernel`."""
    found: dict[str, np.ndarray] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            inner = weights_by_name(layer)
        else:
            arrays = {v.path.partition("/")[2] or v.name: v for v in layer.weights}
            inner = {name: ops.convert_to_numpy(v) for name, v in arrays.items()}
        found |= {f"{layer.name}/{name}": value for name, value in inner.items()}
    return found


def _graphs(path: Path, generator: Generator, format: str, parts: bool) -> Files:
    suffix, write = GRAPH_FORMATS[format]
    graphs = {path.stem: ("generator", generator_graph(generator))}
    if parts and isinstance(generator, StyleGAN2Generator):
        for name, graph in stylegan2_graphs(generator).items():
            graphs[_beside(path, name)] = (name, graph)
    elif parts:
        graphs[_beside(path, "encoder")] = ("encoder", encoder_graph(_encoder(path, generator)))
    return {
        f"{stem}{suffix}": partial(write, graph, metadata=_texts(generator, part))
        for stem, (part, graph) in graphs.items()
    }


def _weights(path: Path, generator: Generator, format: str, parts: bool) -> Files:
    tensors = {path.stem: (weights_by_name(generator.model), _texts(generator, "generator"))}
    if isinstance(generator, StyleGAN2Generator):
        if parts:
            raise UserError(
                "parts: one safetensors file holds mapping and synthesis already, by the first "
                "word of each name; leave it out"
            )
        settings = {k: repr(v) for k, v in official_settings(generator.model).items()}
        texts = {**_texts(generator, "generator"), **settings}
        tensors[f"{path.stem}_official"] = (official_state(generator.model), texts)
    elif parts:
        weights = weights_by_name(_encoder(path, generator))
        tensors[_beside(path, "encoder")] = (weights, _texts(generator, "encoder"))
    return {
        f"{stem}.safetensors": partial(write_safetensors, tensors=arrays, metadata=texts)
        for stem, (arrays, texts) in tensors.items()
    }


def _halves(path: Path, generator: Generator, format: str, parts: bool) -> Files:
    if parts:
        raise UserError("parts: an encoder or discriminator is written beside it; leave it out")
    if path.suffix != ".h5":
        raise UserError(f"{path}: the format h5 makes an .h5 smaller; save the model as one first")
    z = latents(range(16), generator.latent_dim)
    before = generator(generator.codes(z))

    def change() -> float:
        """Of any value of the images of these latents, in grey levels."""
        return float(np.abs(generator(generator.codes(z)) - before).max()) * 127.5

    for weight in generator.model.weights:
        weight.assign(as_half(ops.convert_to_numpy(weight.value)))
    if not (most := change()) <= MOST_CHANGE:
        raise UserError(
            f"{path}: with weights of float16 its images change by up to {most:.2f} grey levels, "
            f"and more than {MOST_CHANGE} is too much; keep it as it is"
        )
    prior_too = False
    if prior := generator.prior:
        halves = (as_half(getattr(prior, name)).astype("float32") for name in ARRAYS)
        generator.prior = Mixture(*halves)
        prior_too = change() <= MOST_CHANGE  # else the mixture stays in float32
    beside = [companion_path(path, generator.family, part) for part in COMPANIONS]
    files = [path, *(there for there in beside if there.exists())]
    return {file.name: partial(write_halves, file, prior_too=prior_too) for file in files}


def _encoder(path: Path, generator: Generator) -> keras.Model:
    if generator.family not in ENCODING:
        raise UserError(f"parts: a {generator.family} generator has none; leave it out")
    return load_encoder(path)


def _beside(path: Path, part: str) -> str:
    """The name of a part's file: `faces_mapping` for `faces_generator.h5`, `best_mapping` for
    `best.h5`.
    """
    stem = path.stem
    for ending in MAIN_PARTS:
        stem = stem.removesuffix(f"_{ending}")
    return f"{stem}_{part}"


def _texts(generator: Generator, part: str) -> dict[str, str]:
    """What a file says about its model, as texts by name."""
    known = generator.metadata
    card = generator.path.with_suffix(".md") if generator.path else None
    texts = {
        "family": generator.family,
        "part": part,
        "resolution": str(generator.resolution),
        "latent_dim": str(generator.latent_dim),
        "facegen_keras_version": __version__,
    }
    if known:
        texts["facegen_metadata"] = json.dumps(known, ensure_ascii=False, sort_keys=True)
    if known.get("licence"):
        texts["licence"] = str(known["licence"])
    if card and card.is_file():
        texts["card"] = card.read_text(encoding="utf-8", errors="replace")
    return texts


def _put(target: Path, write: Callable[[Path], None]) -> Path:
    """Write a file or folder whole or not at all; an earlier one stays under a second name."""
    with replacing(target) as temporary:
        write(temporary)
        same = target.is_file() and filecmp.cmp(temporary, target, shallow=False)
        if not same:
            back_up(target)
    return target
