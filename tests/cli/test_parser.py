"""Flags and YAML files into a dataclass, and what a mistake is answered with."""

import errno
import importlib
import io
import os
import subprocess
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import pytest

from facegen_keras import cli
from facegen_keras.cli.demo_config import DemoConfig
from facegen_keras.cli.parser import parse
from facegen_keras.errors import UserError
from facegen_keras.runs.config import TrainConfig
from facegen_keras.runs.find import find_run

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Config:
    """A configuration."""

    model: Literal["vae", "dcgan"] | None = None
    """The family."""
    batch_size: int = 128
    learning_rate: float = 2e-4
    crop: str = "center"
    mirror: bool = False
    betas: tuple[float, float] = (0.5, 0.999)
    limit: int | None = None
    rows: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list, metadata={"positional": True})


def parsed(*argv: str) -> Config:
    return parse(Config, argv, "facegen test", "A test.")


def test_defaults_and_flags():
    assert parsed() == Config()
    config = parsed("--model", "vae", "--batch_size=8", "--learning_rate", "1e-3", "--limit", "5")
    expected = Config(model="vae", batch_size=8, learning_rate=1e-3, limit=5)
    assert config == expected
    assert parsed("--betas", "[0.1, 0.2]").betas == (0.1, 0.2)
    assert parsed("--crop", "0,10,20,30").crop == "0,10,20,30"


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    """Behind `=`, and in a file, the shell leaves the tilde for us."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "c.yaml").write_text("crop: ~/runs\nrows: [~/a, b~/c]\n")
    config = parsed("--config=~/c.yaml")
    assert config.crop == str(tmp_path / "runs")
    assert config.rows == [str(tmp_path / "a"), "b~/c"]
    assert parsed("--crop=~/x").crop == str(tmp_path / "x")
    (tmp_path / "runs/a").mkdir(parents=True)
    (tmp_path / "runs/a/config.yaml").touch()
    assert find_run("latest", "~/runs") == find_run("~/runs/a", "") == tmp_path / "runs/a"


def test_bool_flag_needs_no_value():
    assert parsed("--mirror").mirror
    assert parsed("--mirror", "--batch_size", "2").mirror
    assert parsed("--mirror", "true").mirror
    assert not parsed("--mirror", "false").mirror
    assert not parsed("--mirror=false").mirror


def test_lists_and_positional_values():
    config = parsed("a.yaml", "b c.yaml", "--rows", "x=1,2", "y=3", "--batch_size", "4")
    assert config.paths == ["a.yaml", "b c.yaml"]
    assert config.rows == ["x=1,2", "y=3"]
    assert parsed("--paths", "a: b", "[c").paths == ["a: b", "[c"]
    assert parsed("--rows", "7").rows == ["7"]


def test_flag_wins_over_file_wherever_it_stands(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("model: dcgan\nbatch_size: 64\nlearning_rate: 2e-4\nbetas: [0.7, 0.9]\n")
    expected = Config(model="dcgan", batch_size=10, learning_rate=2e-4, betas=(0.7, 0.9))
    assert parsed("--config", str(file), "--batch_size", "10") == expected
    assert parsed("--batch_size", "10", "--config", str(file)) == expected
    assert parsed(f"--config={file}").batch_size == 64


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--batchsize", "3"], "--batchsize: unknown flag; did you mean --batch_size?"),
        (["--batch-size", "3"], "--batch-size: unknown flag; did you mean --batch_size?"),
        (["--zzzz", "3"], "--zzzz: unknown flag"),
        (["--batch", "3"], "--batch: unknown flag; did you mean --batch_size?"),
        (["--batch_size", "many"], "--batch_size many: expected a whole number"),
        (["--batch_size", "3.5"], "--batch_size 3.5: expected a whole number"),
        (["--learning_rate", "x"], "--learning_rate x: expected a number"),
        (["--limit", "x"], "--limit x: expected a whole number"),
        (["--model", "dcgam"], "--model dcgam: expected one of vae, dcgan; did you mean dcgan?"),
        (["--batch_size"], "--batch_size: expected a value after it"),
        (["--batch_size", "--mirror"], "--batch_size: expected a value after it"),
        (["--mirror=maybe"], "--mirror maybe: expected true or false"),
        (["--betas", "0.5"], "--betas 0.5: expected 2 values such as [float, float]"),
        (["--config", "absent.yaml"], "--config absent.yaml: No such file or directory"),
    ],
)
def test_one_line_about_a_mistake(argv, message):
    with pytest.raises(UserError) as refusal:
        parsed(*argv)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batchsize: 3", "unknown key 'batchsize'; did you mean batch_size?"),
        ("batch_size: many", "--batch_size many: expected a whole number"),
        ("- 3", "expected lines of `name: value`"),
        ("a: [1", "not YAML at line"),
        ("model: gan", "--model gan: expected one of vae, dcgan; did you mean dcgan?"),
    ],
)
def test_one_line_about_a_mistake_in_a_file(tmp_path, text, message):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(UserError) as refusal:
        parsed("--config", str(file))
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["limit: 1e3", "limit: 1.0e+3", "limit: 1000"])
def test_a_power_of_ten_in_a_file_is_a_number(tmp_path, text):
    file = tmp_path / "c.yaml"
    file.write_text(f"{text}\nlearning_rate: 1e9\ncrop: 1e5\n")
    assert parsed("--config", str(file)) == Config(limit=1000, learning_rate=1e9, crop="1e5")
    assert parsed("--limit", "1e3").limit == 1000
    with pytest.raises(UserError, match=r"^--limit 1\.5: expected a whole number$"):
        parsed("--limit", "1.5e0")


def test_what_a_file_holds_is_read_as_it_stands(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(
        "crop: 'null: [x'\nrows: ['a: b', '7']\nlimit: null\nmirror: true\nmodel: vae\n"
    )
    expected = Config(crop="null: [x", rows=["a: b", "7"], mirror=True, model="vae")
    assert parsed("--config", str(file)) == expected


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("--kimg 3", "did you mean --epochs (passes over the photos, not thousands of images)?"),
        ("--gpus 2", "did you mean --devices?"),
        ("--snap 5", "did you mean --save_interval (in epochs)?"),
        ("--outdir x", "did you mean --output_dir?"),
        ("--workers 4", "photos are decoded by as many processes as there are cores; leave it out"),
        ("--out-dir x", "did you mean --output_dir?"),
    ],
)
def test_names_of_other_programs_are_answered_with_ours(given, answer):
    with pytest.raises(UserError) as refusal:
        parse(TrainConfig, given.split(), "facegen train", "")
    assert str(refusal.value) == f"{given.split()[0]}: unknown flag; {answer}"


def help_of(*argv, capsys):
    with pytest.raises(SystemExit):
        parse(TrainConfig, [*argv, "--help"], "facegen train", "")
    return " ".join(capsys.readouterr().out.split())


def test_the_help_is_grouped(capsys):
    names = [name for group in TrainConfig.GROUPS.values() for name in group]
    assert sorted(names) == sorted(field.name for field in fields(TrainConfig))
    text = help_of(capsys=capsys)
    places = [text.index(f" {title}: --") for title in TrainConfig.GROUPS]
    assert places == sorted(places)
    run, tracking = text.index(" run: --"), text.index(" tracking: --")
    assert run < text.index("--save_minutes SAVE") < tracking < text.index("--wandb_project W")
    assert "null)" not in text.replace("| null)", "")
    assert "[vae, stylegan2" in text or "[vae:" in text or "[dcgan" in text


def test_the_help_of_a_family_shows_its_own_defaults(capsys):
    text = help_of("--model", "dcgan", capsys=capsys)
    assert "Length of the latent z. (type: int | null, default: 100)" in text
    assert "Adam's β1. (type: float | null, default: 0.5)" in text
    assert "--beta BETA" not in text
    text = help_of("--model=stylegan2", capsys=capsys)
    assert "Length of the latent z. (type: int | null, default: 512)" in text
    assert "Adam's β1. (type: float | null, default: 0.0)" in text
    assert "--base_channels" not in text


def test_help_shows_text_and_default(capsys):
    with pytest.raises(SystemExit) as end:
        parsed("--help")
    text = capsys.readouterr().out
    assert end.value.code == 0
    assert "The family." in text
    assert "default: 128" in text
    assert "--config" in text


class TestMain:
    def test_mistakes_are_one_line_and_2(self, capsys):
        assert cli.main(["generat"]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: 'generat': unknown command")
        assert error.endswith("did you mean generate?\n")
        assert error.count("\n") == 1

    def test_an_unknown_backend_is_one_line_and_2(self):
        def run(*flags):
            environment = {**os.environ, "KERAS_BACKEND": "pytorch"}
            command = [sys.executable, *flags]
            return subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True
            )

        ended = run("-m", "facegen_keras.cli", "train", "--help")
        message = "KERAS_BACKEND pytorch: expected one of tensorflow, jax, torch\n"
        assert (ended.returncode, ended.stderr) == (2, f"error: {message}")
        ended = run("train.py", "--help")
        assert (ended.returncode, ended.stderr) == (2, f"error: {message}")
        python = (
            "import facegen_keras as fg\ntry: fg.VAE\nexcept fg.UserError as e: print(e)\n1 / 0"
        )
        caught = run("-c", python)
        assert caught.stdout == message
        assert "ZeroDivisionError" in caught.stderr

    def test_help_is_0(self, capsys):
        assert cli.main([]) == cli.main(["--help"]) == cli.main(["generate", "-h"]) == 0
        assert "num_images" in capsys.readouterr().out

    @pytest.fixture
    def generate_raises(self, monkeypatch):
        """Let the generate command raise an exception, and return main's answer."""

        def call(error: BaseException) -> int:
            def run(config):
                raise error

            monkeypatch.setattr(importlib.import_module("facegen_keras.cli.generate"), "run", run)
            return cli.main(["generate", "--model", "vae"])

        return call

    def test_ctrl_c_is_130(self, generate_raises, capsys):
        assert generate_raises(KeyboardInterrupt()) == 130
        assert capsys.readouterr().err == "interrupted\n"

    @pytest.mark.parametrize("number", [errno.EISDIR, errno.ENAMETOOLONG, errno.EPERM])
    def test_a_file_that_cannot_be_had_is_one_line_and_2(self, generate_raises, capsys, number):
        assert generate_raises(OSError(number, os.strerror(number), "x.png")) == 2
        assert capsys.readouterr().err == f"error: x.png: {os.strerror(number)}\n"

    def test_a_full_disk_is_told_without_a_name(self, generate_raises, capsys):
        assert generate_raises(OSError(errno.ENOSPC, "No space left on device")) == 2
        assert capsys.readouterr().err == "error: generate: No space left on device\n"
        with pytest.raises(OSError, match="a bug"):
            generate_raises(OSError("a bug"))

    def test_a_name_cannot_reach_the_terminal_as_a_command(self, generate_raises, capsys):
        assert generate_raises(UserError("a\nb\x1b[2J\udcff β ü.png")) == 2
        assert capsys.readouterr().err == "error: a\\nb\\x1b[2J\\udcff β ü.png\n"

    @pytest.mark.parametrize("flags", [["--help"], ["generate", "--help"]])
    def test_a_reader_who_has_gone_ends_it_quietly(self, monkeypatch, capsys, flags):
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "w") as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            assert cli.main(flags) == 141
        assert capsys.readouterr().err == ""

    def test_a_terminal_without_greek_letters_gets_the_help_too(self, monkeypatch):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", stdout)
        assert cli.main(["train", "--help"]) == 0
        assert b"Adam's ?1" in stdout.buffer.getvalue()


@pytest.mark.parametrize("name", ["[x].h5", "[a, b].h5", "[x]/y.h5"])
def test_a_name_may_begin_like_a_list(name):
    assert parse(DemoConfig, ["--model_path", name], "x", "y").model_path == [name]
