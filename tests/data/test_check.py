"""`data check`: what it prints, writes, returns and refuses."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from facegen_keras.cli.data import run
from facegen_keras.cli.data_config import DataConfig, check
from facegen_keras.cli.parser import parse
from facegen_keras.data.check import run_check, table
from facegen_keras.data.contact_sheet import SIDE
from facegen_keras.data.decode import Settings
from facegen_keras.data.doctor import examine
from facegen_keras.data.faces import open_source
from facegen_keras.errors import UserError

SETTINGS = Settings(32, min_size=16)


def test_check_writes_and_returns_one_if_anything_is_unusable(mixed, tmp_path, capsys):
    out = tmp_path / "out"
    assert run_check(str(mixed), str(out), resolution=32, progress=False) == 1
    printed = capsys.readouterr().out
    for line in ("files", "22", "truncated", "cut.jpg", "= more/again.png", "6 unusable"):
        assert line in printed
    assert (
        printed.strip()
        in table(examine(open_source(mixed), SETTINGS, progress=False))
        + f"\nfull lists: {out / 'data_check.json'}; contact sheet: {out / 'data_check.png'}"
    )
    report = json.loads((out / "data_check.json").read_text())
    assert [finding["name"] for finding in report["unusable"]["too small"]] == ["small.png"]
    assert report["usable"] == 16
    with Image.open(out / "data_check.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.width > 8 * SIDE


def test_duplicates_and_odd_modes_alone_are_usable(folder, tmp_path, photo):
    shutil.copy(folder / "00.png", folder / "again.png")
    photo(23).convert("L").save(folder / "grey.png")
    assert run_check(str(folder), str(tmp_path / "out"), resolution=32, progress=False) == 0


def test_command_line(folder, tmp_path, capsys):
    flags = ["check", str(folder), "--output_dir", str(tmp_path / "out"), "--resolution", "32"]
    config = parse(DataConfig, flags, "facegen data", "")
    assert run(config) == 0
    assert "all usable" in capsys.readouterr().out
    with pytest.raises(UserError, match="workers -1: must be 1 or more"):
        run(parse(DataConfig, [*flags, "--workers", "-1"], "facegen data", ""))
    with pytest.raises(UserError, match="an empty path"):
        run(parse(DataConfig, ["check", ""], "facegen data", ""))
    with pytest.raises(UserError, match="this is the folder of the photos"):
        run_check(str(folder), str(folder), resolution=32, progress=False)
    for _ in range(2):  # what the first writes below the photos, the second leaves out
        assert run_check(str(folder), str(folder / "o"), resolution=32, progress=False) == 0
    for words in (["my photos"], ["--resolution", "32", "my photos"], ["chekc", "my photos"]):
        with pytest.raises(UserError, match=r"say: facegen data check 'my photos'$"):
            parse(DataConfig, words, "facegen data", "")
    with pytest.raises(UserError, match="give it a folder"):
        check(DataConfig())
    with pytest.raises(UserError, match="give another output_dir"):
        run_check(str(folder), str(folder / "00.png" / "x"), resolution=32, progress=False)


def test_an_array_outside_the_crop_is_unusable_as_in_training(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.zeros((3, 32, 32, 3), np.uint8))
    source, out = str(tmp_path / "x.npy"), str(tmp_path / "out")
    assert run_check(source, out, resolution=32, progress=False) == 0
    assert run_check(source, out, resolution=32, crop="0,0,99,99", progress=False) == 1
    assert "outside the crop" in capsys.readouterr().out
