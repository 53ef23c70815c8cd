"""What `import facegen_keras` brings along, and what it leaves for later."""

import re
from pathlib import Path

import facegen_keras

LAZY = ("facegen_keras.figures.explorer", "facegen_keras.figures", "facegen_keras.metrics")


def test_measuring_and_drawing_wait_until_they_are_asked_for(run_python):
    code = f"""
import sys
import facegen_keras as fg
print([name for name in {LAZY!r} if name in sys.modules])
print(fg.import_nvidia.__module__, fg.metrics.__name__)
print(hasattr(fg, "no_such_name"))
"""
    assert run_python(code, backend="tensorflow").split("\n")[:3] == [
        "[]",
        "facegen_keras.models.stylegan2.import_nvidia facegen_keras.metrics",
        "False",
    ]


def test_only_figures_draw():
    """Keras itself imports Matplotlib where it can, so this reads the source."""
    package = Path(facegen_keras.__file__).parent
    drawing = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        if re.search(r"^\s*(from|import) matplotlib", path.read_text(encoding="utf-8"), re.M)
    }
    assert drawing == {"figures"}
