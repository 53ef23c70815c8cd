"""What `import facegen_keras` brings along, and what it leaves for later."""

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
