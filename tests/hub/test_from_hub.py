"""`export.from_hub`: models by `hf:owner/name`, against a hub on 127.0.0.1."""

import sys

import h5py
import numpy as np
import pytest

from facegen_keras.cli import main
from facegen_keras.errors import UserError
from facegen_keras.export.from_hub import local_model, parse_hub_name
from facegen_keras.generate.loading import load_encoder, load_generator
from facegen_keras.generate.runtimes import export_model

PICKLE = b"\x80\x04cos\nsystem\n"


def test_a_name_has_parts():
    name = parse_hub_name("hf:me/my-faces.v2/sub/vae_decoder.h5@refs/pr/1")
    assert (name.repository, name.file) == ("me/my-faces.v2", "sub/vae_decoder.h5")
    assert name.revision == "refs/pr/1"
    assert parse_hub_name("hf:me/faces").file is None
    for text in ("hf:", "hf:me", "hf:me/faces@", "hf:me/../faces", "hf:me/faces/x.h5@a b"):
        with pytest.raises(UserError, match="expected hf:owner/name"):
            parse_hub_name(text)
    with pytest.raises(UserError, match=r"only \.h5 files are taken from the hub"):
        parse_hub_name("hf:me/faces/network.pkl")


def test_a_model_comes_with_what_belongs_to_it(hub, exported, cached, tmp_path):
    files = exported("vae")
    others = {"README.md": b"# Faces", "vae_decoder.md": b"# Card", "old.pkl": PICKLE}
    hub.add("me/faces", {**files, **others, "pytorch_model.bin": PICKLE})
    generator = load_generator("hf:me/faces")
    ours = load_generator(tmp_path / "here" / "vae_decoder.h5")
    np.testing.assert_array_equal(generator.sample(range(3)), ours.sample(range(3)))
    assert load_encoder("hf:me/faces").output_shape == (None, 12)
    assert cached() == {"vae_decoder.h5", "vae_encoder.h5", "vae_decoder.md"}
    assert sorted(hub.downloads()) == sorted(cached())  # each once, and no pickle
    (weights,) = export_model("hf:me/faces", tmp_path / "out", "safetensors")
    assert b"# Card" in weights.read_bytes()


def test_a_revision_is_a_tag_or_a_commit(hub, exported):
    old, new = exported(folder="old"), exported(folder="new")
    repository = hub.add("me/faces", old)
    first = repository.commit(old, "v1")
    repository.commit(new, "main")
    for revision, files in (("", new), ("@v1", old), (f"@{first}", old)):
        assert local_model(f"hf:me/faces{revision}").read_bytes() == files["dcgan_generator.h5"]


def test_several_models_need_a_name(hub, exported):
    model = exported()["dcgan_generator.h5"]
    hub.add("me/faces", {"a_generator.h5": model, "b_generator.h5": model})
    assert local_model("hf:me/faces/b_generator.h5").name == "b_generator.h5"
    with pytest.raises(UserError, match=r"holds a_generator\.h5, b_generator\.h5; name one: hf:me"):
        local_model("hf:me/faces")


def test_mistakes_are_one_line(hub, exported, cached, capsys):
    model = exported()["dcgan_generator.h5"]
    hub.add("me/faces", {"dcgan_generator.h5": model})
    hub.add("me/texts", {"model.bin": PICKLE})
    hub.add("me/secret", {"x.h5": model}, private=True)
    hub.add("me/gated", {"x.h5": model}, gated=True)
    for name, message in (
        ("me/nothing", "no such repository, or a private one; check the name, or log in (`hf auth"),
        ("me/secret", "no such repository, or a private one"),
        ("me/gated", "accept the repository's terms on its page"),
        ("me/faces@v9", "no such revision v9"),
        ("me/faces/y.h5", "no such file; the repository holds dcgan_generator.h5"),
        ("me/texts", "the repository holds no .h5 file"),
        ("me/texts/model.bin", "only .h5 files are taken from the hub"),
    ):
        assert main(["generate", "--model_path", f"hf:{name}"]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: hf:{name}: {message}")
        assert error.count("\n") == 1
    assert cached() == set()


def test_a_token_opens_what_is_private(hub, exported, monkeypatch):
    model = exported()["dcgan_generator.h5"]
    hub.add("me/secret", {"x.h5": model}, private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert local_model("hf:me/secret").read_bytes() == model


def test_a_wrong_file_is_refused_before_it_is_opened(hub, exported, tmp_path):
    path = tmp_path / "hostile.h5"
    path.write_bytes(exported()["dcgan_generator.h5"])
    with h5py.File(path, "r+") as file:
        config = file.attrs["model_config"]
        file.attrs["model_config"] = config.replace('"LeakyReLU"', '"Lambda"')
    page = b"<!doctype html><title>Sign in</title>"
    hub.add("me/faces", {"hostile.h5": path.read_bytes(), "page.h5": page, "pickle.h5": PICKLE})
    with pytest.raises(UserError, match=r"^hf:me/faces/hostile\.h5: refused, it holds a Lambda"):
        load_generator("hf:me/faces/hostile.h5")
    for name in ("page", "pickle"):
        with pytest.raises(UserError, match=f"^hf:me/faces/{name}.h5: not an HDF5 file"):
            load_generator(f"hf:me/faces/{name}.h5")


def test_a_broken_download_goes_on_or_is_given_up(hub, exported, cached):
    model = exported()["dcgan_generator.h5"]
    hub.add("me/faces", {"x.h5": model})
    hub.cut["x.h5"] = 100
    with pytest.raises(UserError, match=r"^hf:me/faces: the download of x\.h5 broke off \("):
        local_model("hf:me/faces")
    assert cached() == set()
    hub.cut["x.h5"] = 1  # a short break
    assert local_model("hf:me/faces").read_bytes() == model


def test_a_damaged_download_is_removed(hub, exported, cached):
    model = exported()["dcgan_generator.h5"]
    hub.add("me/faces", {"x.h5": model})
    hub.flipped.add("x.h5")
    with pytest.raises(UserError, match=r"x\.h5 arrived damaged and was removed; try again"):
        local_model("hf:me/faces")
    assert cached() == set()
    hub.flipped.clear()
    assert local_model("hf:me/faces").read_bytes() == model


@pytest.mark.parametrize("reason", ["no network", "HF_HUB_OFFLINE", "hub down"])
def test_the_cache_works_without_a_network(
    hub, exported, no_network, monkeypatch, capsys, tmp_path, reason
):
    files = exported("vae")
    hub.add("me/faces", files).commit(files, "v1")
    online = local_model("hf:me/faces")
    hub.down = True
    if reason == "no network":
        no_network()
    if reason == "HF_HUB_OFFLINE":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    capsys.readouterr()
    assert local_model("hf:me/faces") == online
    said = capsys.readouterr().err
    assert said.startswith("hf:me/faces: the hub cannot be reached; taken from the cache: ")
    assert said.count("\n") == 1
    assert load_encoder("hf:me/faces/vae_decoder.h5").output_shape == (None, 12)
    capsys.readouterr()
    for name in ("me/faces@v1", "me/others"):
        argv = ["generate", "--model_path", f"hf:{name}", "--output_dir", str(tmp_path / "out")]
        assert main(argv) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: hf:{name}: the hub cannot be reached (")
        assert "no copy is in the cache" in error
        assert error.count("\n") == 1


def test_every_command_reads_them(hub, exported, faces_zip, tmp_path, capsys):
    hub.add("me/faces", exported("vae"))
    out = str(tmp_path / "out")
    argv = ["generate", "--model_path", "hf:me/faces", "--seeds", "3", "--output_dir", out]
    assert main(argv) == 0
    assert (tmp_path / "out" / "vae_seed0003.png").is_file()
    assert main(["export", "hf:me/faces", "--format", "safetensors", "--output", out]) == 0
    assert (tmp_path / "out" / "vae_decoder.safetensors").is_file()
    capsys.readouterr()
    photos = ["--data_path", str(faces_zip)]
    assert main(["evaluate", "--model_path", "hf:me/faces", "--stamp", *photos]) == 2
    assert "stamp: a model of the hub is not changed" in capsys.readouterr().err
    argv = ["train", "--model", "stylegan2", "--init_from", "hf:me/faces", *photos]
    argv += ["--channel_base", "32", "--channel_max", "2", "--resolution", "32"]
    argv += ["--output_dir", out, "--saved_models_dir", out]
    assert main(argv) == 2  # after it was fetched
    assert "holds a vae model; expected stylegan2" in capsys.readouterr().err


def test_the_package_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"'huggingface_hub' is needed .* pip install '\.\[hub\]'"):
        local_model("hf:me/faces")
