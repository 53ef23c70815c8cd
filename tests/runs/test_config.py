"""One configuration behind flags, YAML and code: what it takes, and what it refuses in one line."""

import dataclasses
import inspect
from pathlib import Path

import pytest
import yaml

from facegen_keras import cli
from facegen_keras.cli.parser import parse
from facegen_keras.errors import UserError
from facegen_keras.models import FAMILIES
from facegen_keras.runs.config import OF_ONE_CALL, TrainConfig, load_config
from facegen_keras.runs.config_text import parse_duration, to_yaml

CONFIGS = sorted((Path(__file__).parent.parent.parent / "configs").glob("*.yaml"))


def parsed(*argv):
    return parse(TrainConfig, argv, prog="facegen train", description="")


@pytest.fixture
def refused(tmp_path, capsys, monkeypatch):
    """Run `facegen train` and return the one line it answers; nothing may be written."""
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        before = sorted(tmp_path.rglob("*"))
        code = cli.main(["train", *argv])
        out, err = capsys.readouterr()
        assert code == 2
        assert out == ""
        assert err.count("\n") == 1
        assert err.startswith("error: ")
        assert sorted(tmp_path.rglob("*")) == before
        return err.removeprefix("error: ").rstrip()

    return run


def test_defaults_are_those_of_the_readme():
    config = TrainConfig(model="dcgan")
    assert (config.epochs, config.batch_size, config.save_interval) == (1000, 128, 50)
    assert (config.resolution, config.seed, config.on_nan) == (64, 0, "stop")
    assert config.model_options() == {"resolution": 64, "precision": "float32", "seed": 0}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_configuration_can_be_used(path):
    config = parsed("--config", str(path))
    assert config.model == path.stem.split("_")[0]
    inspect.signature(FAMILIES[config.model]).bind(**config.model_options())
    words = dict.fromkeys(path.stem.split("_"))
    for word in words:
        if word.startswith("ld"):
            assert config.latent_dim == int(word[2:])
        elif word.startswith("beta"):  # the study: the VAE's β, but Adam's β1 of the DCGAN
            assert float(word[4:]) == (config.beta if config.model == "vae" else config.beta_1)


def test_the_study_s_grid_is_complete():
    names = {path.stem for path in CONFIGS}
    grid = {f"vae_ld{d}_beta{b}" for d in (32, 64, 128) for b in (1, 2)}
    grid |= {f"dcgan_ld{d}_beta{b}" for d in (32, 64, 128) for b in (0.5, 0.7)}
    assert grid <= names
    for name in sorted(name for name in grid if name.startswith("vae")):
        config = parsed("--config", f"{CONFIGS[0].parent}/{name}.yaml")
        assert (config.batch_size, config.learning_rate, config.epochs) == (64, 2e-4, 200)
        assert config.patience == 20
        assert config.validation_split == 0.1


def test_a_flag_wins_over_the_file(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("model: vae\nepochs: 7\nbeta: 2.0\n")
    config = parsed("--epochs", "3", "--config", str(file))
    assert (config.model, config.epochs, config.beta) == ("vae", 3, 2.0)


def test_it_is_the_same_after_writing_and_reading(tmp_path):
    config = TrainConfig(model="dcgan", r1_gamma=0.5, mirror=True, name="x")
    config.save(tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    assert parsed("--config", str(tmp_path / "config.yaml")) == config
    assert list(yaml.safe_load((tmp_path / "config.yaml").read_text())) == [
        field.name
        for field in dataclasses.fields(config)
        if getattr(config, field.name) is not None and field.name not in OF_ONE_CALL
    ]
    assert to_yaml({"b": None, "a": 1}) == "a: 1\n"


def test_what_concerns_one_call_is_not_recorded(tmp_path):
    config = TrainConfig(model="vae", resume="latest", dry_run=True, time_limit="2h")
    config.save(tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == TrainConfig(model="vae")


@pytest.mark.parametrize("name", ["1e5", "-1e5", ".5e3", "1_0", "12", "0x1f", "no", "2026-01-01"])
def test_a_name_that_looks_like_something_else_stays_text(tmp_path, name):
    TrainConfig(model="vae", name=name).save(tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml").name == name
    assert parsed("--config", str(tmp_path / "config.yaml")).name == name


def test_a_file_that_is_no_configuration(tmp_path):
    path = tmp_path / "config.yaml"
    with pytest.raises(UserError, match="No such file"):
        load_config(path)
    for text in ("- a\n- b\n", "model: [", "colour: 1\n", ""):
        path.write_text(text)
        with pytest.raises(UserError, match="not a configuration") as raised:
            load_config(path)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5d", 129600), ("45", 45), (" 2 h ", 7200)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "2 weeks", "-3s", "0s", "1h30m"])
def test_other_durations_are_refused(text):
    with pytest.raises(UserError, match="expected a duration such as 90s, 30m or 2h"):
        TrainConfig(model="vae", time_limit=text)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--epochs 0", "epochs 0: expected 1 or more"),
        ("--batch_size 0", "batch_size 0: expected 1 or more"),
        ("--save_interval 0", "save_interval 0: expected 1 or more"),
        ("--seed -1", "seed -1: expected 0 to 4294967295"),
        ("--seed 4294967296", "seed 4294967296: expected 0 to 4294967295"),
        ("--learning_rate 0", "learning_rate 0"),
        ("--beta_1 1", "beta_1 1"),
        ("--decay_from 1", "decay_from 1.0: expected a number from 0 to less than 1"),
        ("--save_minutes 0", "save_minutes 0"),
        ("--validation_split 1", "validation_split 1"),
        ("--patience 0", "patience 0: expected 1 or more epochs"),
        ("--patience 3", "patience: needs held-out photos; give validation_split, such as 0.1"),
        ("--name a/b", "name 'a/b': expected a folder name without slashes, such as faces_1"),
        ("--name ..", "name '..': expected a folder name"),
        ("--name .", "name '.': expected a folder name"),
        ("--name=", "name '': expected a folder name"),
        ("--time_limit soon", "time_limit 'soon': expected a duration such as 90s, 30m or 2h"),
        ("--spectral_norm", "spectral_norm: an option of dcgan, combined, not of vae"),
        ("--r1_gamma 1", "r1_gamma: an option of dcgan"),
        ("--epoch 3", "--epoch: unknown flag; did you mean --epochs?"),
        ("--epochs many", "--epochs many: expected a whole number"),
        ("--precision half", "--precision half: expected one of float32, bfloat16, float16, auto"),
        ("--on_nan halt", "--on_nan halt: expected one of stop, rollback"),
    ],
)
def test_impossible_values(refused, flags, message):
    assert refused("--model", "vae", *flags.split()).startswith(message)


@pytest.mark.parametrize("option", ["save_minutes", "learning_rate"])
def test_what_is_no_number_at_all(option):
    with pytest.raises(UserError, match=f"{option} nan: expected a positive number"):
        TrainConfig(model="vae", **{option: float("nan")})


def test_options_of_another_family(refused):
    assert "kl_warmup: an option of vae, not of dcgan" in refused(
        "--model", "dcgan", "--kl_warmup", "100"
    )
    assert "validation_split: an option of vae, not of dcgan" in refused(
        "--model", "dcgan", "--validation_split", "0.1"
    )
    assert refused("--model", "gan").startswith("--model gan: expected one of vae, dcgan")
    assert "say which family to train: vae, dcgan, combined" in refused()


def test_files_are_judged_by_name_and_key(refused, tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("model: vae\nlatent_dims: 3\n")
    assert refused("--config", "a.yaml") == (
        "a.yaml: unknown key 'latent_dims'; did you mean latent_dim?"
    )
    file.write_text("model: vae\nepochs: [")
    assert refused("--config", "a.yaml").startswith("--config a.yaml: not YAML at line")
    assert refused("--config", "b.yaml") == "--config b.yaml: No such file or directory"


def test_data_that_is_not_there(refused, faces_zip):
    assert "nowhere" in refused("--model", "vae", "--data_path", "nowhere")
    assert "resolution 48: expected a power of two" in refused(
        "--model", "vae", "--resolution", "48", "--data_path", str(faces_zip)
    )
    assert "not the folder of a run" in refused("--resume", "output/none")
    assert "no run in" in refused("--resume", "latest")
    assert refused("--resume") == "--resume: expected a value after it"


def test_a_family_that_does_not_exist_is_one_line_in_python_too():
    with pytest.raises(UserError, match="model 'd': expected one of vae, dcgan"):
        TrainConfig(model="d")


def test_a_batch_that_cannot_be_split_is_told_before_a_folder_is_made(refused):
    flags = "--model stylegan2 --batch_size 16 --accumulate 3"
    assert refused(*flags.split()) == "accumulate 3: does not divide batch_size 16 evenly"


def test_what_is_wrong_anyway_is_told_before_what_is_missing(refused):
    flags = ("--warm_up_images", "5")
    assert "an option of combined, not of dcgan" in refused("--model", "dcgan", *flags)
    assert "init_from" not in refused("--model", "combined", "--warm_up_images", "-5")


@pytest.mark.parametrize(
    ("family", "option"), [("stylegan2", "freeze_discriminator"), ("combined", "warm_up_images")]
)
def test_what_needs_a_trained_model_to_start_from(family, option):
    with pytest.raises(UserError, match=f"{option}: .*give .* as init_from"):
        TrainConfig(model=family, **{option: 2})
