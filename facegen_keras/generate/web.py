"""A trained model as a web page that draws its faces in the reader's browser.

The page itself is in the folder `page` beside this module: plain HTML, CSS and JavaScript. Added to
it are the model as ONNX, ONNX Runtime Web, and what is known about the model as `model.json`.
"""

import json
import os
import re
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import numpy as np

from facegen_keras.errors import UserError, require
from facegen_keras.export.half_weights import with_half_weights
from facegen_keras.export.runtimes import Graph, write_onnx
from facegen_keras.export.web_runtime import VERSION, runtime_files
from facegen_keras.files.atomic import replacing
from facegen_keras.generate.generator import Generator
from facegen_keras.generate.graphs import generator_graph, stylegan2_graphs
from facegen_keras.generate.stylegan2 import StyleGAN2Generator
from facegen_keras.inference import latents, to_uint8

OURS = b'<meta name="generator" content="facegen_keras">'  # in every index.html of ours
GRAPHS = ("generator.onnx", "mapping.onnx", "synthesis.onnx")  # one or two of them are in a page
SEEDS = range(32)  # drawn to measure what float16 weights change
GREY_LEVELS = 1  # that they may change
NAMES = {"vae": "VAE", "dcgan": "DCGAN", "combined": "VAE-GAN", "stylegan2": "StyleGAN2"}
PSI = 0.7  # where the slider stands at first: few faces are broken there
ROWS = ("Family", "Data", "Images seen", "Terms")  # of a card's table, shown in the page


def write_page(
    generator: Generator,
    output: Path,
    texts: Mapping[str, str],
    runtime: str | os.PathLike | None = None,
) -> list[Path]:
    """Write the page of a generator into a folder. Other files there stay.

    Args:
        generator: What draws.
        output: The folder; created if it is missing. An earlier page in it is replaced.
        texts: What is known about the model, by name: `licence`, `card`, and others.
        runtime: A folder with the files of ONNX Runtime Web; None: from the cache or the network.

    Returns:
        The files of the page, `index.html` first.

    Raises:
        UserError: A package is missing, the backend is not TensorFlow, ONNX cannot hold the model,
            ONNX Runtime Web is not to be had, or the folder has the `index.html` of another page.
    """
    index = output / "index.html"
    if index.exists() and OURS not in index.read_bytes():
        raise UserError(f"{index}: a page of another program; give output another folder")
    for package in ("tf2onnx", "onnxruntime"):
        require(package, "web")
    files = {f"runtime/{name}": content for name, content in runtime_files(runtime).items()}
    graphs, weights = _graphs(generator, texts)
    files |= graphs
    sizes = {name: len(content) for name, content in files.items() if name != "runtime/ort.js"}
    about = {**_about(generator, texts), "weights": weights, "sizes": sizes, "runtime": VERSION}
    files["model.json"] = json.dumps(about, ensure_ascii=False, indent=1).encode()
    folder = resources.files("facegen_keras.generate") / "page"
    files |= {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    files["index.html"] = files.pop("index.html")  # last: until then the earlier page is shown
    for name, content in files.items():
        with replacing(output / name) as temporary:
            temporary.write_bytes(content)
    for name in set(GRAPHS) - set(files):  # of another family
        (output / name).unlink(missing_ok=True)
    return [output / name for name in sorted(files, key=lambda name: (name != "index.html", name))]


def _graphs(generator: Generator, texts: Mapping[str, str]) -> tuple[dict[str, bytes], str]:
    """The ONNX files by name, and of which type their weights are.

    The mapping network of a StyleGAN2 stays as it is: it is small, and all layers amplify its
    error.
    """
    if isinstance(generator, StyleGAN2Generator):
        parts = stylegan2_graphs(generator)
        files = {
            f"{name}.onnx": _as_onnx(graph, {**texts, "part": name})
            for name, graph in parts.items()
        }
        main = "synthesis.onnx"
    else:
        files = {"generator.onnx": _as_onnx(generator_graph(generator), texts)}
        main = "generator.onnx"
    onnx = require("onnx", "web")
    halved = with_half_weights(onnx.load_model_from_string(files[main]))
    content = halved.SerializeToString(deterministic=True)
    if _difference(generator, {**files, main: content}) > GREY_LEVELS:
        return files, "float32"
    return {**files, main: content}, "float16"


def _as_onnx(graph: Graph, texts: Mapping[str, str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        write_onnx(graph, path, texts)
        return path.read_bytes()


def _difference(generator: Generator, files: Mapping[str, bytes]) -> float:
    """By how many grey levels the files' faces of `SEEDS` differ at most from `sample`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    sessions = [
        onnxruntime.InferenceSession(files[name], options, providers=["CPUExecutionProvider"])
        for name in GRAPHS
        if name in files
    ]
    most = 0.0
    for start in range(0, len(SEEDS), generator.chunk):
        seeds = SEEDS[start : start + generator.chunk]
        x = latents(seeds, generator.latent_dim)
        for session in sessions:
            inputs = dict.fromkeys(
                (entry.name for entry in session.get_inputs()), np.array(1, "float32")
            )
            inputs[session.get_inputs()[0].name] = x
            (x,) = session.run(None, inputs)
        if not np.isfinite(x).all():
            return np.inf
        difference = np.abs(to_uint8(x).astype("int16") - generator.sample(seeds))
        most = max(most, float(difference.max()))
    return most


def _about(generator: Generator, texts: Mapping[str, str]) -> dict[str, object]:
    """What the page is told about its model."""
    about: dict[str, object] = {
        "family": generator.family,
        "name": NAMES.get(generator.family, "generator"),
        "file": generator.path.name if generator.path else "generator.h5",
        "resolution": generator.resolution,
        "latent_dim": generator.latent_dim,
        "facts": _facts(texts),
        "version": texts["facegen_keras_version"],
    }
    if isinstance(generator, StyleGAN2Generator):
        about |= {"layers": generator.layers, "w_dim": generator.w_dim, "psi": PSI}
    return about


def _facts(texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Rows about the model: those of its card, else the licence alone."""
    rows = dict(re.findall(r"^\| *(\w[^|]*?) *\| *(.*?) *\|$", texts.get("card", ""), re.MULTILINE))
    facts = [(name, _plain(rows[name])) for name in ROWS if name in rows]
    if "Terms" not in rows and texts.get("licence"):
        facts.append(("Terms", texts["licence"]))
    return facts


def _plain(markdown: str) -> str:
    """A cell of a table without its marks: bold, code, links."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", re.sub(r"\*\*|`", "", markdown))
