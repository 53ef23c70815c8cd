"""`docs/python.md` describes every public name, and is what `make docs` writes."""

import dataclasses
import importlib.util
import inspect
import re
from pathlib import Path

import pytest

import facegen_keras

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "python.md").read_text(encoding="utf-8")
HEADINGS = set(re.findall(r"^###+ `([\w.]+)`$", PAGE, re.MULTILINE))


@pytest.fixture(scope="module")
def make_reference():
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_has_an_entry():
    assert set(facegen_keras.__all__) - HEADINGS == set()
    for module in ("figures", "metrics"):
        names = {f"{module}.{name}" for name in getattr(facegen_keras, module).__all__}
        assert names - HEADINGS == set()


@pytest.mark.parametrize(
    "name",
    ["FaceModel.fit", "Trainer.compile", "Generator.sample", "StyleGAN2Generator.synthesis"],
)
def test_methods_have_an_entry_where_they_are_defined(name):
    assert name in HEADINGS
    assert f"DCGAN.{name.split('.')[1]}" not in HEADINGS


def test_what_keras_defines_is_not_repeated():
    assert not {"DCGAN.summary", "DCGAN.load_weights", "ImageGrid.set_model"} & HEADINGS


def test_the_page_is_up_to_date(make_reference):
    assert make_reference.page(PAGE) == PAGE, "docs/python.md is out of date: run `make docs`"


def test_a_new_public_name_has_to_be_placed(make_reference, monkeypatch):
    monkeypatch.setattr(facegen_keras, "__all__", [*facegen_keras.__all__, "new_name"])
    with pytest.raises(SystemExit, match="differ in new_name"):
        make_reference.page(PAGE)


def test_a_docstring_becomes_markdown(make_reference):
    docstring = """One line.

    Args:
        image: uint8 `(height, width, 3)`, or
            a <file> name.

    Returns:
        A * B.
    """
    assert make_reference._prose(docstring) == [
        "One line.",
        "**Args**",
        "- `image`: uint8 `(height, width, 3)`, or a &lt;file> name.",
        "**Returns**",
        r"A \* B.",
    ]


def test_an_option_is_described_by_the_text_below_it_or_its_metadata(make_reference):
    fields = make_reference._fields(facegen_keras.TrainConfig)
    name, meaning = fields["epochs"]
    assert name == "epochs: int = 1000"
    assert meaning
    made = dataclasses.make_dataclass(
        "Made", [("rate", float, dataclasses.field(default=0.1, metadata={"help": "Step size."}))]
    )
    made.__module__ = "facegen_keras.made"
    assert make_reference._fields(made) == {"rate": ("rate", "Step size.")}


def test_a_signature_that_is_made_at_run_time_is_shown(make_reference):
    def made(self, **options):
        """Docstring."""

    made.__signature__ = inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for name in ("self", "beta")
        ]
    )
    assert make_reference._signature(made, bound=True) == "(beta)"
