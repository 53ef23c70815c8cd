"""What the documents tell a reader to type is understood, and what they point at is there."""

import ast
import importlib
import json
import re
import shlex
import tomllib
from collections import Counter
from dataclasses import fields
from itertools import product
from pathlib import Path

import pytest

from facegen_keras.cli import COMMANDS, MODULES
from facegen_keras.cli.parser import parse

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("saved_models/*.md")),
    *sorted(ROOT.glob("dataset/*.md")),
    *sorted(ROOT.glob("notebooks/*.ipynb")),
]
COMMAND = re.compile(
    r"(?:python (?P<script>train|generate|evaluate)\.py|"
    r"(?:facegen|python -m facegen_keras\.cli) (?P<name>[a-z]+))(?P<flags>(?: [^\n`#)]*)?)"
)
FLAG = re.compile(r"(?<![\w-])--([a-z]\w*)")
ONLY_WITH_A_RUN = "--resume"  # its flags are read together with the run's own file
# Of the parser, of git, of pytest, of three benchmarks, of Slurm and of XLA.
ELSEWHERE = {"family", "config", "help", "version", "depth", "long", "minutes", "features"}
ELSEWHERE |= {"bandwidth", "gpus", "nodes", "ntasks", "signal", "time"}
ELSEWHERE |= {"xla_backend_optimization_level", "xla_cpu_max_isa", "xla_gpu_deterministic_ops"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(
    r"`((?:configs|facegen_keras|benchmarks|notebooks|docs|tests|saved_models|dataset)/"
    r"[\w./{},]+\.(?:yaml|py|ipynb|md|h5|zip|png))`"
)
# A folder of the package, or a module in it, as docs/design.md names them: `models/vae.py`.
ROOM = re.compile(
    r"`((?:cli|runs|figures|metrics|generate|models|engine|data|export|files)/(?:[\w/]+\.py|\w+/)?)`"
)


def text_of(document: Path) -> str:
    text = document.read_text(encoding="utf-8")
    if document.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return re.sub(r"\\\n\s*", "", text)


def expanded(pattern: str) -> list[str]:
    """The names that a pattern such as `vae_ld{32,64}_beta{1,2}.yaml` stands for."""
    pieces = re.split(r"\{([^}]*)\}", pattern)
    choices = [p.split(",") if k % 2 else [p] for k, p in enumerate(pieces)]
    return ["".join(choice) for choice in product(*choices)]


def anchors_of(document: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them, and Jupyter those of a notebook."""
    seen: Counter[str] = Counter()
    anchors = set()
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(document)), re.MULTILINE)
    if document.suffix == ".ipynb":
        return {heading.replace(" ", "-") for heading in headings}
    for heading in headings:
        anchor = re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        anchors.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return anchors


def python_blocks() -> list[tuple[str, str]]:
    """Every Python block of a document that imports the package, with the document's name."""
    return [
        (document.name, code)
        for document in DOCUMENTS
        if document.suffix == ".md"
        for language, code in FENCE.findall(text_of(document))
        if language == "python" and "import facegen_keras" in code
    ]


def commands() -> list[str]:
    """Every whole command of the documents, as `train --flag value`."""
    found = set()
    for document in DOCUMENTS:
        for match in COMMAND.finditer(text_of(document)):
            flags = " ".join(match["flags"].split())
            if flags not in ("", "--help") and "..." not in flags:
                found.add(f"{match['script'] or match['name']} {flags}")
    return sorted(found)


def modules() -> dict:
    return {
        name: importlib.import_module(f"facegen_keras.cli.{MODULES.get(name, name)}_config")
        for name in COMMANDS
    }


@pytest.mark.parametrize("command", commands())
def test_every_command_is_understood(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    name, *flags = shlex.split(command)
    module = modules()[name]
    if ONLY_WITH_A_RUN in flags:
        pytest.skip("needs a run that is there")
    flags = [str(path) for flag in flags for path in (sorted(ROOT.glob(flag)) or [flag])]
    if hasattr(module, "read"):
        module.read(flags)
        return
    parse(module.CONFIG, flags, prog=f"facegen {name}", description="")


def test_the_commands_that_readers_start_with_are_among_them():
    found = commands()
    assert "train --model dcgan --data_path ./dataset --epochs 1000 --batch_size 128" in found
    assert "train --config configs/vae_ld128_beta1.yaml --epochs 10" in found
    assert "generate --model_path saved_models/vae_decoder.h5" in found
    assert len(found) > 25


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_and_extra_that_is_named_exists(document):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    named = re.findall(r"(?:`|^ {4})make (\w+)", text_of(document), re.MULTILINE)
    assert set(named) <= targets
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.findall(r"pip install ['\"]\.\[(.*?)\]", text_of(document))
    assert {name for group in extras for name in group.split(",")} <= set(
        project["optional-dependencies"]
    )


def test_the_documents_hold_what_these_tests_read():
    assert {name for name, _ in python_blocks()} == {
        "python.md", "evaluating.md", "stylegan2.md", "export.md", "hub.md"
    }  # fmt: skip
    design = text_of(ROOT / "docs" / "design.md")
    assert len(set(ROOM.findall(design))) > 20
    assert len(expanded("configs/vae_ld{32,64,128}_beta{1,2}.yaml")) == 6


@pytest.mark.parametrize(("name", "code"), python_blocks())
def test_the_names_in_python_blocks_exist(name, code):
    chains = re.findall(r"\bfg((?:\.[A-Za-z]\w*)+)", ast.unparse(ast.parse(code)))
    assert chains, name
    for chain in chains:
        thing = importlib.import_module("facegen_keras")
        for attribute in chain.split(".")[1:]:
            thing = getattr(thing, attribute)


def test_every_flag_that_is_named_exists():
    known = {
        field.name for m in modules().values() if hasattr(m, "CONFIG") for field in fields(m.CONFIG)
    }
    for document in DOCUMENTS:
        named = set(FLAG.findall(text_of(document)))
        assert named - known - ELSEWHERE == set(), document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_points_at_is_there(document):
    text = text_of(document)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)  # f[x](y) is a call in code
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", prose)
    named = [f"{document.parent}/{link}" for link in links]
    named += [f"{ROOT}/{file}" for pattern in FILE.findall(text) for file in expanded(pattern)]
    named += [f"{ROOT}/facegen_keras/{room}" for room in ROOM.findall(text)]
    assert [path for path in named if not Path(path).exists()] == []


def test_the_files_that_the_code_cites_exist():
    cited = {
        (source.name, file)
        for source in ROOT.glob("facegen_keras/**/*.py")
        for file in FILE.findall(source.read_text(encoding="utf-8"))
    }
    assert cited
    assert [(source, file) for source, file in cited if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_heading_finds_it(document):
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", text_of(document))
    for file, anchor in links:
        target = document.parent / file if file else document
        assert anchor in anchors_of(target), f"{file}#{anchor}"


def test_the_table_of_batches_follows_from_its_formula():
    """That of benchmarks/scaling.py: 90 % where the exchange takes a ninth of the computation."""
    text = text_of(ROOT / "docs" / "cluster.md")
    rows = re.findall(r"\| ([\d.]+) \| ([\d.]+) MB \| ([\d,]+) \| ([\d,]+) \|", text)
    assert len(rows) == 4
    for gflop, megabytes, *images in rows:
        for (count, bandwidth), given in zip(((8, 150e9), (16, 10e9)), images, strict=True):
            exchange = 2 * (count - 1) / count * float(megabytes) * 1e6 / bandwidth
            needed = 9 * exchange * 0.4 * 156e12 / (float(gflop) * 1e9)
            assert abs(int(given.replace(",", "")) - needed) < max(1, 0.02 * needed)
