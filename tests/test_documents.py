"""What the documents tell a reader to type is understood, and what they point at is there."""

import importlib
import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from facegen_keras.cli import COMMANDS
from facegen_keras.cli.parser import parse

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
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


def text_of(document: Path) -> str:
    text = document.read_text(encoding="utf-8")
    if document.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return re.sub(r"\\\n\s*", "", text)


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
    return {name: importlib.import_module(f"facegen_keras.cli.{name}") for name in COMMANDS}


@pytest.mark.parametrize("command", commands())
def test_every_command_is_understood(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    name, *flags = shlex.split(command)
    module = modules()[name]
    if hasattr(module, "main") or ONLY_WITH_A_RUN in flags:
        pytest.skip("reads its flags itself, or those of a run that is there")
    flags = [str(path) for flag in flags for path in (sorted(ROOT.glob(flag)) or [flag])]
    parse(module.CONFIG, flags, prog=f"facegen {name}", description="")


def test_the_commands_of_the_readme_are_among_them():
    found = commands()
    assert "train --model dcgan --data_path ./dataset --epochs 1000 --batch_size 128" in found
    assert "train --config configs/vae_ld128_beta1.yaml --epochs 10" in found
    assert "generate --model_path saved_models/vae_decoder.h5" in found
    assert len(found) > 25


def test_every_flag_that_is_named_exists():
    known = {
        field.name for m in modules().values() if hasattr(m, "CONFIG") for field in fields(m.CONFIG)
    }
    for document in DOCUMENTS:
        named = set(FLAG.findall(text_of(document)))
        assert named - known - {"config", "help", "version"} == set(), document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_points_at_is_there(document):
    text = text_of(document)
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    files = re.findall(
        r"`((?:configs|facegen_keras|benchmarks|notebooks)/[\w/]+\.(?:yaml|py|ipynb))`", text
    )
    missing = [link for link in links if not (document.parent / link).exists()]
    missing += [file for file in files if not (ROOT / file).exists()]
    assert missing == []
