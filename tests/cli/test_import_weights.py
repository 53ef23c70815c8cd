"""`facegen import`: what it writes, says and refuses."""

import hashlib
from pathlib import Path

import numpy as np

from facegen_keras.cli import main
from facegen_keras.export.read import discriminator_path
from facegen_keras.generate.loading import load_generator

REFERENCE = Path(__file__).parent.parent / "fixtures" / "stylegan2_reference.npz"


def test_the_command_line_imports(same_images, tmp_path, capsys):
    target = tmp_path / "stylegan2_generator.h5"
    assert main(["import", str(REFERENCE), str(target)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [f"generator: {target}", f"discriminator: {discriminator_path(target)}"]
    same_images(target)
    assert main(["import", str(tmp_path / "none.pkl"), str(target)]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["import", str(REFERENCE), str(tmp_path / "x.onnx")]) == 2
    assert "x.onnx: a generator is saved as .h5 or .keras" in capsys.readouterr().err


def test_the_file_is_hashed_without_being_read_whole(tmp_path, monkeypatch):
    def never(self):
        raise AssertionError(f"{self} was read whole")

    expected = hashlib.sha256(REFERENCE.read_bytes()).hexdigest()
    monkeypatch.setattr(Path, "read_bytes", never)
    assert main(["import", str(REFERENCE), str(tmp_path / "x.h5")]) == 0
    assert load_generator(tmp_path / "x.h5").metadata["imported_sha256"] == expected


def test_official_files_are_read_without_scipy_and_metrics(run_python, tmp_path):
    code = f"""
import sys
import keras
before = set(sys.modules)
from facegen_keras.cli import main
assert main(["import", {str(REFERENCE)!r}, {str(tmp_path / "x.h5")!r}]) == 0
added = set(sys.modules) - before
print(sorted(name for name in added if name.startswith(("scipy", "facegen_keras.metrics"))))
"""
    assert run_python(code).splitlines()[-1] == "[]"


def test_what_was_there_is_kept_and_a_foreign_discriminator_left_out(
    stylegan2_reference, same_images, tmp_path, capsys
):
    """Official configuration "cifar" has a discriminator without skip connections."""
    source, target = tmp_path / "cifar.npz", tmp_path / "my_generator.h5"
    np.savez(source, **{k: v for k, v in stylegan2_reference.items() if "skip" not in k})
    target.write_bytes(b"older")
    discriminator_path(target).write_bytes(b"its discriminator")
    assert main(["import", str(source), str(target)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == f"generator: {target}"
    assert out.count("the model that was there is kept as") == 2
    assert "discriminator was left out (it has no skip tensors" in err
    assert len(err.splitlines()) == 1
    assert not discriminator_path(target).exists()
    kept = {path.read_bytes() for path in tmp_path.glob("my_*.*.h5")}
    assert kept == {b"older", b"its discriminator"}
    same_images(target)
