"""Every option of every family is a field, a flag and a key, with its meaning and its defaults."""

import dataclasses
import typing

import pytest

from facegen_keras.cli.parser import parse
from facegen_keras.engine.options import FaceModelOptions
from facegen_keras.errors import UserError
from facegen_keras.models import FAMILIES
from facegen_keras.runs.config import TrainConfig
from facegen_keras.runs.family_options import families_with, family_fields, options_of

OPTIONS = {name for family in FAMILIES for name in options_of(family)}
FIELDS = {field.name: field for field in dataclasses.fields(TrainConfig)}


def test_no_option_is_missing():
    assert set(FIELDS) >= OPTIONS
    types = typing.get_type_hints(TrainConfig)
    for family, model in FAMILIES.items():
        for name, kind in typing.get_type_hints(model.options_type).items():
            if name in options_of(family):
                assert types[name] in (kind, kind | None, float | None), name


@pytest.mark.parametrize("name", ["resolution", "precision", "seed"])
def test_what_all_families_share_has_their_default(name):
    defaults = {options_of(family)[name].default for family in FAMILIES}
    assert defaults == {FIELDS[name].default} == {getattr(FaceModelOptions, name)}


def test_the_same_name_means_the_same_in_every_family():
    for name in OPTIONS:
        found = [options_of(family)[name].metadata for family in families_with(name)]
        assert len({(meta["help"], meta["allowed"]) for meta in found}) == 1, name


def test_the_help_names_families_and_defaults():
    told = {name: field.metadata["help"] for name, _, field in family_fields(without=())}
    assert told["latent_dim"].endswith("[vae, combined: 128; dcgan: 100; stylegan2: 512].")
    assert told["beta"].endswith("[vae, combined: 1.0].")
    assert told["beta_1"].endswith("[vae: 0.9; dcgan, combined: 0.5; stylegan2: 0.0].")
    assert told["r1_gamma"].endswith("[dcgan: 0.0; stylegan2: 0.0002 · resolution² / batch_size].")
    assert told["augment"].endswith("[dcgan, combined, stylegan2: none].")
    assert told["spectral_norm"].endswith("[dcgan, combined: false].")


def test_the_help_of_the_command_shows_them(capsys):
    with pytest.raises(SystemExit):
        parse(TrainConfig, ["--help"], "facegen train", "")
    text = " ".join(capsys.readouterr().out.split())
    for name, _, field in family_fields(without=("resolution", "precision", "seed")):
        assert f"--{name}" in text
        assert field.metadata["help"].removesuffix(".") in text


@pytest.mark.parametrize("family", FAMILIES)
def test_resolved_fills_in_every_option_and_no_other(family):
    config = TrainConfig(model=family, latent_dim=5, beta_1=0.25).resolved()
    options = FAMILIES[family].options_type(latent_dim=5)
    for name, value in options.as_dict().items():
        assert getattr(config, name) == value
    assert (config.learning_rate, config.beta_1) == (FAMILIES[family].adam.learning_rate, 0.25)
    assert all(getattr(config, name) is None for name in OPTIONS - set(options_of(family)))
    assert config.resolved() == config


def test_impossible_options_are_refused_before_anything_is_opened():
    with pytest.raises(UserError, match="latent_dim 0: expected a whole number from 1 on"):
        TrainConfig(model="vae", latent_dim=0)
    with pytest.raises(UserError, match="the hinge loss has no labels"):
        TrainConfig(model="combined", loss="hinge", label_smoothing=0.1)
    with pytest.raises(UserError, match="validation_split: an option of vae, not of dcgan"):
        TrainConfig(model="dcgan", validation_split=0.1)
    assert TrainConfig(model="dcgan", init_from="x.h5").resolved().init_from == "x.h5"
