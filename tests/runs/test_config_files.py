"""The configurations that come with the package, by name, also where `pip install` put them."""

import importlib.metadata
import tomllib
from pathlib import Path

import pytest

from facegen_keras.cli.parser import parse
from facegen_keras.errors import UserError
from facegen_keras.runs import config_files
from facegen_keras.runs.config import TrainConfig
from facegen_keras.runs.config_files import configurations, find_config, similar_config

ROOT = Path(__file__).resolve().parents[2]


def read(*argv):
    return parse(TrainConfig, list(argv), "facegen train", "")


def test_a_name_stands_for_its_file_wherever_one_is(monkeypatch, tmp_path):
    expected = read("--config", str(ROOT / "configs/dcgan_64.yaml"))
    monkeypatch.chdir(tmp_path)
    for given in ("dcgan_64", "dcgan_64.yaml", "configs/dcgan_64.yaml"):
        assert read("--config", given) == expected
    (tmp_path / "dcgan_64").write_text("model: vae\n")  # a file of one's own wins
    assert read("--config", "dcgan_64").model == "vae"
    assert find_config("elsewhere/dcgan_64.yaml") is None


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("configs/config_ld128_beta1.yaml", "vae_ld128_beta1"),
        ("configs/config_ld32_beta0.5.yaml", "dcgan_ld32_beta0.5"),
        ("dcgan64", "dcgan_64"),
    ],
)
def test_a_name_that_is_not_there_is_answered_with_ours(given, ours):
    with pytest.raises(UserError) as refusal:
        read("--config", given)
    told = f"--config {given}: No such file or directory; did you mean configs/{ours}.yaml?"
    assert str(refusal.value) == told
    assert similar_config("zzzzzzz") == ""


class Installed:
    """A file as `importlib.metadata` lists it."""

    def __init__(self, path: Path) -> None:
        self.path, self.suffix, self.parent = path, path.suffix, path.parent

    def locate(self) -> Path:
        return self.path


def test_an_installed_package_finds_its_own(monkeypatch, tmp_path):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (pattern,) = project["tool"]["setuptools"]["data-files"]["share/facegen_keras/configs"]
    assert set(ROOT.glob(pattern)) == set(configurations().values())
    share = tmp_path / "share/facegen_keras/configs"
    share.mkdir(parents=True)
    (share / "dcgan_64.yaml").write_text("model: dcgan\n")
    listed = [Installed(share / "dcgan_64.yaml"), Installed(share / "lost.yaml")]
    monkeypatch.setattr(config_files, "__file__", str(tmp_path / "lib/facegen_keras/runs/x.py"))
    monkeypatch.setattr(importlib.metadata, "files", lambda name: listed)
    assert configurations() == {"dcgan_64": share / "dcgan_64.yaml"}
    assert find_config("dcgan_64") == share / "dcgan_64.yaml"
