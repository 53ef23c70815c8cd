"""A model as a web page: what is in the folder, and what is refused. The page runs in
`tests/test_web_page.py`."""

import http.client
import io
import json
import os
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import onnx
import pytest

from facegen_keras.cli import main
from facegen_keras.errors import UserError
from facegen_keras.export import half_weights
from facegen_keras.export.half_weights import with_half_weights
from facegen_keras.export.web_runtime import URL
from facegen_keras.export.write import write_model
from facegen_keras.generate import web
from facegen_keras.generate.loading import load_generator
from facegen_keras.generate.runtimes import export_model
from facegen_keras.inference import latents
from facegen_keras.models import stylegan2

ROOT = Path(__file__).resolve().parents[2]
CARD = """# A card

| | |
|---|---|
| Family | **DCGAN** of [a paper](https://example.org), `64×64` |
| Data | made up, 12 faces |
| Secret | not shown |
"""


@pytest.fixture
def runtime(tmp_path):
    """A folder that looks like ONNX Runtime Web."""
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "ort.wasm.bundle.min.mjs").write_text("export default 1;")
    (folder / "ort-wasm-simd-threaded.wasm").write_bytes(b"\0asm and so on")
    return folder


def test_a_page_has_what_it_needs(saved, runtime, tmp_path, capsys):
    _, path = saved
    path.with_suffix(".md").write_text(CARD, encoding="utf-8")
    page = tmp_path / "page"
    page.mkdir()
    (page / "CNAME").write_text("faces.example.org")
    (page / "synthesis.onnx").write_bytes(b"of the model that was here before")
    flags = ["--format", "web", "--output", str(page), "--runtime", str(runtime)]
    assert main(["export", str(path), *flags]) == 0
    *files, advice = capsys.readouterr().out.splitlines()
    assert files[0] == str(page / "index.html")
    assert "http.server" in advice
    found = {str(file) for file in page.rglob("*") if file.is_file()}
    assert found == {*files, str(page / "CNAME")}
    about = json.loads((page / "model.json").read_text(encoding="utf-8"))
    assert about["facts"] == [
        ["Family", "DCGAN of a paper, 64×64"],
        ["Data", "made up, 12 faces"],
        ["Terms", load_generator(path).metadata["licence"]],
    ]
    assert about["weights"] == "float16"
    assert all(about["sizes"][name] == (page / name).stat().st_size for name in about["sizes"])
    assert (page / "runtime/ort.wasm").read_bytes() == b"\0asm and so on"


def test_a_stylegan2_comes_in_two_parts_and_keeps_its_mapping_exact(runtime, tmp_path):
    model = stylegan2.build_generator(8, latent_dim=32, w_dim=32, mapping_layers=2,
                                      channels={4: 16, 8: 16})  # fmt: skip
    path = tmp_path / "stylegan2_generator.h5"
    write_model(model, path, {"family": "stylegan2", "part": "generator"})
    index, *files = export_model(path, tmp_path / "page", "web", runtime=runtime)
    graphs = {file.stem: onnx.load(file) for file in files if file.suffix == ".onnx"}
    half = {
        name: {w.name for w in graph.graph.initializer if w.data_type == onnx.TensorProto.FLOAT16}
        for name, graph in graphs.items()
    }
    assert half.keys() == {"mapping", "synthesis"}
    assert not half["mapping"]
    assert half["synthesis"]
    about = json.loads((index.parent / "model.json").read_text(encoding="utf-8"))
    assert (about["layers"], about["w_dim"], about["weights"]) == (4, 32, "float16")


def test_half_weights_are_rounded_and_computed_with_as_float32(tmp_path, run_exported):
    kernel = np.random.RandomState(0).standard_normal((32, 64)).astype("float32")
    z, bias = latents(range(4), 32), np.full(64, 1 / 3, "float32")
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("MatMul", ["z", "kernel"], ["product"]),
            onnx.helper.make_node("Add", ["product", "bias"], ["sum"]),
        ],
        "dense",
        [onnx.helper.make_tensor_value_info("z", float32, ["n", 32])],
        [onnx.helper.make_tensor_value_info("sum", float32, ["n", 64])],
        [
            onnx.numpy_helper.from_array(kernel, "kernel"),
            onnx.numpy_helper.from_array(bias, "bias"),
        ],
    )
    opsets = [onnx.helper.make_opsetid("", 15)]
    halved = with_half_weights(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8))
    onnx.checker.check_model(halved)
    onnx.save(halved, tmp_path / "half.onnx")
    found = run_exported(tmp_path / "half.onnx", z=z)["sum"]
    np.testing.assert_allclose(found, z @ kernel.astype("float16").astype("float32") + bias, 1e-4)
    assert np.abs(found - (z @ kernel + bias)).max() > 1e-4
    assert (tmp_path / "half.onnx").stat().st_size < 0.65 * kernel.nbytes


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_weights_stay_float32_where_float16_would_be_seen(
    scale, saved, runtime, tmp_path, monkeypatch
):
    monkeypatch.setattr(half_weights, "SMALLEST", 1)
    generator = load_generator(saved[1])
    dense, norm = generator.model.layers[1], generator.model.layers[3]
    dense.kernel.assign(dense.kernel * scale)  # which float16 cannot hold; the next layer undoes it
    norm.moving_variance.assign(norm.moving_variance * scale**2)
    texts = {"facegen_keras_version": "1"}
    index, *_ = web.write_page(generator, tmp_path / "page", texts, runtime)
    about = json.loads((index.parent / "model.json").read_text(encoding="utf-8"))
    assert about["weights"] == ("float16" if scale == 1 else "float32")
    graph = onnx.load(index.parent / "generator.onnx").graph
    half = onnx.TensorProto.FLOAT16 in {w.data_type for w in graph.initializer}
    assert half == (scale == 1)


def test_what_is_refused_leaves_the_folder_as_it_was(saved, runtime, tmp_path, capsys):
    path, page = str(saved[1]), tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("<p>mine")
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in os.listdir(runtime):
        (broken / name).write_text("nothing")
    flags = ["export", path, "--output"]
    for argv, message in (
        ([*flags, str(page), "--format", "web", "--runtime", str(runtime)], "of another program"),
        (
            [*flags, str(page / "x"), "--format", "web", "--runtime", str(tmp_path)],
            "bundle.min.mjs",
        ),
        ([*flags, str(page / "x"), "--format", "web", "--runtime", str(broken)], "not WebAssembly"),
        ([*flags, str(page / "x"), "--format", "onnx", "--runtime", str(runtime)], "only for the"),
        ([*flags, str(page / "x"), "--format", "web", "--parts"], "parts: not for the format web"),
    ):
        assert main(argv) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert [file.name for file in page.rglob("*")] == ["index.html"]
    assert (page / "index.html").read_text() == "<p>mine"


def test_without_a_network_and_a_cache(saved, tmp_path, monkeypatch, capsys):
    def refuse(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.delenv("FACEGEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    flags = ["--format", "web", "--output", str(tmp_path / "page")]
    assert main(["export", str(saved[1]), *flags]) == 2
    error = capsys.readouterr().err
    assert "no route to host" in error
    assert f"put it at {tmp_path}/xdg/facegen_keras/onnxruntime-web-" in error
    assert "--runtime" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("broken_off", [False, True])
def test_a_download_that_is_not_the_published_one(broken_off, saved, tmp_path, monkeypatch, capsys):
    class Answer(io.BytesIO):
        headers = {"Content-Length": "40"}  # noqa: RUF012

        def read(self, size=-1):
            if broken_off:
                raise http.client.IncompleteRead(b"", 40)
            return super().read(size)

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Answer(b"an error page"))
    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path / "cache"))
    flags = ["--format", "web", "--output", str(tmp_path / "page")]
    assert main(["export", str(saved[1]), *flags]) == 2
    error = capsys.readouterr().err
    assert ("IncompleteRead" if broken_off else "sha256") in error
    assert error.count("\n") == 1
    assert not [*(tmp_path / "cache").iterdir()]
    assert not (tmp_path / "page").exists()


def test_a_damaged_cache_is_named(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path))
    kept = tmp_path / URL.rsplit("/", 1)[1]
    kept.write_bytes(b"cut short")
    with pytest.raises(UserError, match=r"sha256 .* delete it and fetch"):
        export_model(saved[1], tmp_path / "page", "web")


def test_the_page_comes_with_the_package_and_asks_for_nothing_else():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["facegen_keras"]
    files = [*(ROOT / "facegen_keras/generate/page").iterdir()]
    assert {"index.html", "page.css", "app.js", "worker.js"} <= {file.name for file in files}
    for file in files:
        name = str(file.relative_to(ROOT / "facegen_keras"))
        assert any(fnmatch(name, pattern) for pattern in patterns), name
        addresses = re.findall(r"\w+://[^\s\"']+", file.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, name  # a name, not a place
