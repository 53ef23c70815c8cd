"""`facegen export`: what it prints and refuses."""

import numpy as np

from facegen_keras.cli import main
from facegen_keras.files.safetensors_file import read_safetensors
from facegen_keras.generate.loading import load_generator


def test_the_files_are_named(saved, tmp_path, monkeypatch, capsys):
    _, path = saved
    monkeypatch.chdir(tmp_path)
    assert main(["export", path.name, "--format", "safetensors"]) == 0
    assert capsys.readouterr().out == "exported/dcgan_generator.safetensors\n"
    tensors, texts = read_safetensors("exported/dcgan_generator.safetensors")
    assert texts["family"] == "dcgan"
    size = sum(np.prod(w.shape) for w in load_generator(path).model.weights)
    assert sum(value.size for value in tensors.values()) == size


def test_a_mistake_is_one_line(saved, tmp_path, capsys):
    path, out = str(saved[1]), str(tmp_path / "out")
    (tmp_path / "a_file").write_text("")
    for argv, message in (
        ([], "give it a model"),
        ([path, "--format", "onxx"], "--format onxx: expected one of onnx, litert"),
        ([str(tmp_path / "a_file"), "--output", out], "not a model file"),
        ([path, "--parts", "--output", out], "a dcgan generator has none"),
        ([path, "--format", "safetensors", "--output", str(tmp_path / "a_file")], "could not be"),
    ):
        assert main(["export", *argv]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
