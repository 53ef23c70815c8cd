"""What `import facegen_keras` brings along, and what it leaves for later."""

import ast
import re
from pathlib import Path

import keras
import pytest

import facegen_keras
from facegen_keras import registration

HEAVY = ("keras", "tensorflow", "numpy", "scipy", "matplotlib")
LAZY = ("facegen_keras.figures.explorer", "facegen_keras.figures", "facegen_keras.metrics")


def test_importing_changes_nothing_in_the_process(run_python):
    code = f"""
import os, signal, sys, threading
def process():
    return (
        dict(os.environ), sys.excepthook, sys.path[:], os.fstat(2).st_ino,
        signal.getsignal(signal.SIGINT), threading.active_count(), sys.stderr, sys.stdout,
    )
before = process()
import facegen_keras as fg
assert process() == before
print([name for name in {HEAVY!r} if name in sys.modules])
assert set(fg.__all__) <= set(dir(fg)) and fg.UserError and fg.__version__
print([name for name in {HEAVY!r} if name in sys.modules])
fg.VAE
print([name for name in {LAZY!r} if name in sys.modules])
print(fg.import_nvidia.__module__, fg.metrics.__name__)
print(hasattr(fg, "no_such_name"))
"""
    assert run_python(code, backend="jax", TF_CPP_MIN_LOG_LEVEL="").split("\n")[:5] == [
        "[]",
        "[]",
        "[]",
        "facegen_keras.models.stylegan2.import_nvidia facegen_keras.metrics",
        "False",
    ]


def test_every_public_name_is_there_and_the_same_for_a_type_checker():
    tree = ast.parse(Path(facegen_keras.__file__).read_text(encoding="utf-8"))
    (block,) = (
        node for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )  # fmt: skip
    shown = {
        alias.name: f"{statement.module}.{alias.name}"
        for statement in block.body
        for alias in statement.names
    }
    assert set(shown) | {"UserError"} == set(facegen_keras.__all__)
    for name, place in shown.items():
        module, _, attribute = f"facegen_keras.{facegen_keras._PLACES[name]}".partition(":")
        assert place == (f"{module}.{attribute}" if attribute else module)
        assert getattr(facegen_keras, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        facegen_keras.no_such_name  # noqa: B018


def test_every_registered_class_has_a_placeholder():
    for name in facegen_keras.__all__:
        getattr(facegen_keras, name)
    registered = {
        name.partition(">")[2]: kind.__module__
        for name, kind in keras.saving.get_custom_objects().items()
        if name.startswith("facegen_keras>") and kind.__module__.startswith("facegen_keras.")
    }
    assert registered == registration.CLASSES


PLAIN = """
import sys
{first}
{second}
from pathlib import Path
found = {{}}
for path in sorted(Path("saved_models").glob("*.h5")):
    model = keras.saving.load_model(path, compile=False)
    found |= {{type(x).__name__: type(x) for x in model.layers if "facegen" in type(x).__module__}}
print(sorted(found))
from facegen_keras.layers import BatchNormalization as ours
assert keras.saving.get_registered_object("facegen_keras>BatchNormalization") is ours
assert found["BatchNormalization"] is ours
assert not [f for f in sys.meta_path if "facegen" in type(f).__module__]
"""


LOOKED_FOR = """
import importlib.util, facegen_keras
assert importlib.util.find_spec("keras")  # TensorFlow looks for Keras before it imports it
"""


@pytest.mark.parametrize("order", [("import facegen_keras", "import keras"),
                                   (LOOKED_FOR, "import keras"),
                                   ("import keras", "import facegen_keras")])  # fmt: skip
def test_shipped_files_open_with_keras_alone_once_the_package_is_imported(run_python, order):
    names = ast.literal_eval(run_python(PLAIN.format(first=order[0], second=order[1])))
    assert {"EqualizedConv", "EqualizedDense", "MinibatchStddev", "TruncatedStyles"} <= set(names)


def test_keras_may_be_imported_by_one_of_our_own_modules_first(run_python):
    code = """
from facegen_keras.losses import kl_divergence
import keras
layer = keras.layers.deserialize({
    "class_name": "Sampling", "module": "facegen_keras.layers",
    "registered_name": "facegen_keras>Sampling", "config": {"name": "drawn"},
})
print(layer.name, type(layer).__module__)
"""
    assert run_python(code) == "drawn facegen_keras.layers\n"


def test_only_figures_draw():
    """Keras itself imports Matplotlib where it can, so this reads the source."""
    package = Path(facegen_keras.__file__).parent
    drawing = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        if re.search(r"^\s*(from|import) matplotlib", path.read_text(encoding="utf-8"), re.M)
    }
    assert drawing == {"figures", "labels.py"}  # which borrows its font
