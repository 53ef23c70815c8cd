"""`facegen push`: what arrives on a hub, and what is refused."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from facegen_keras.cli import main
from facegen_keras.export.write import update_metadata
from facegen_keras.files.safetensors_file import read_safetensors
from facegen_keras.generate.loading import load_encoder, load_generator

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model(exported, tmp_path):
    exported("vae")
    return tmp_path / "here" / "vae_decoder.h5"


def matter(readme: str) -> dict:
    _, text, _ = readme.split("---\n", 2)
    return yaml.safe_load(text)


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # of the library's upload
def test_what_is_pushed_can_be_opened(hub, model, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    metrics = [{"metric": "fid", "label": "FID", "value": 12.5, "error": None}]
    update_metadata(model, metrics=metrics, training={"data_path": "hf:you/photos:train"})
    assert main(["push", str(model), "me/new", "--private"]) == 0
    *names, last = capsys.readouterr().out.splitlines()
    assert last.startswith("uploaded: http://127.0.0.1:")
    assert last.endswith("/me/new")
    repository = hub.repositories["me/new"]
    files = repository.commits[repository.refs["main"]]
    weights = "vae_decoder.safetensors"
    assert set(names) == set(files)
    assert set(files) == {"vae_decoder.h5", "vae_encoder.h5", weights, "faces.png", "README.md"}
    assert repository.private
    about = matter(files["README.md"].decode())
    assert (about["license"], about["library_name"]) == ("other", "keras")
    assert about["datasets"] == ["you/photos"]
    assert {"vae", "human-faces"} <= set(about["tags"])
    (result,) = about["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "fid", "value": 12.5, "name": "FID"}]
    assert "hf:me/new" in files["README.md"].decode()
    there, here = load_generator("hf:me/new"), load_generator(model)
    np.testing.assert_array_equal(there.sample([5]), here.sample([5]))
    assert load_encoder("hf:me/new").input_shape == (None, 8, 8, 3)
    (tmp_path / weights).write_bytes(files[weights])
    tensors, _ = read_safetensors(tmp_path / weights)
    assert sum(t.size for t in tensors.values()) == here.model.count_params()
    hub.add("me/open", {})
    assert main(["push", str(model), "me/open", "--private"]) == 2
    assert "there already, and public" in capsys.readouterr().err
    assert list(hub.repositories["me/open"].commits.values()) == [{}]


def test_a_card_comes_along(hub, model, tmp_path, capsys):
    card = (ROOT / "saved_models" / "vae_decoder.md").read_text(encoding="utf-8")
    assert main(["push", str(model), "me/new", "--output", str(model.parent)]) == 2
    assert "holds files already, and none is replaced" in capsys.readouterr().err
    model.with_suffix(".md").write_text(card, encoding="utf-8")
    shutil.copy(ROOT / "saved_models" / "vae_faces.png", model.parent)
    folder = tmp_path / "look"
    assert main(["push", str(model), "me/new", "--output", str(folder)]) == 0
    assert capsys.readouterr().out.endswith("nothing was uploaded; leave output out for that\n")
    assert hub.asked == []
    assert {"vae_decoder.md", "vae_faces.png"} <= {file.name for file in folder.iterdir()}
    assert not (folder / "faces.png").exists()
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert card in readme
    assert "datasets" not in matter(readme)  # nobody knows
    assert "model-index" not in matter(readme)


def test_mistakes_are_one_line(hub, model, no_network, monkeypatch, capsys):
    wrong = model.with_name("faces.keras")
    for argv, message in (
        ([], "push: give it a model and a repository"),
        ([str(model)], "push: give it a model and a repository"),
        ([str(model), "new"], "repository 'new': expected owner/name"),
        ([str(wrong), "me/new"], "faces.keras: only .h5 files are read back from the hub"),
        ([str(model.with_name("vae_encoder.h5")), "me/new"], "not a generator"),
        ([str(model), "me/new"], "me/new: no right to write there; log in with a token that has"),
    ):
        assert main(["push", *argv]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    no_network()
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert main(["push", str(model), "me/new"]) == 2
    error = capsys.readouterr().err
    assert "me/new: the upload failed (" in error
    assert error.endswith("; nothing was uploaded\n")
    assert hub.repositories == {}
