"""Invented command lines, configurations and names: a mistake is one line and exit code 2.

Nothing here can train or draw: the photos or the model are never there. So whatever is made up, the
answer is that one line, about what was made up or about what is missing.
"""

import dataclasses
import string

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from facegen_keras.cli import evaluate, main, train  # noqa: F401 - Keras comes now, not in an example
from facegen_keras.cli.evaluate_config import EvaluateConfig
from facegen_keras.cli.generate_config import GenerateConfig
from facegen_keras.cli.values import parse_grid, parse_layers, parse_psis, parse_seeds
from facegen_keras.errors import UserError
from facegen_keras.runs.config import TrainConfig

CONFIGS = {"train": TrainConfig, "generate": GenerateConfig, "evaluate": EvaluateConfig}
ABSENT = {
    "train": ["--model", "vae", "--data_path", "no/such/photos"],
    "generate": ["--model_path", "no/such/model.h5"],
    "evaluate": ["--images", "no/such/images", "--data_path", "no/such/photos"],
}
# Flags that would change what is absent, or do something else than train, draw and measure.
LEFT_OUT = {"data_path", "model_path", "images", "model", "resume", "cluster", "stats"}
TRICKY = [
    "",
    " ",
    "-1",
    "0",
    "1e9",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "null",
    "true",
    "[]",
    "{}",
    "--",
]
TRICKY += [
    "0x10",
    "1_000",
    "1,2",
    "a=b",
    "ψ",
    "٣",
    "\\",
    "'",
    '"',
    "#",
    "%s",
    "$HOME",
    "~",
    "..",
    "/",
]
values = st.one_of(
    st.sampled_from(TRICKY),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder of its own: nothing may be written, here or elsewhere."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(argv, capsys, folder):
    """Run a line that cannot succeed; returns the one line that it ends with."""
    code = main(argv)
    said = capsys.readouterr()
    assert code == 2, (argv, said)
    errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, (argv, said.err)
    assert "Traceback" not in said.err
    assert len(errors[0]) < 1000, errors
    assert not list(folder.iterdir()), (argv, list(folder.iterdir()))
    return errors[0]


def names(command):
    return sorted(f.name for f in dataclasses.fields(CONFIGS[command]) if f.name not in LEFT_OUT)


@pytest.mark.parametrize("command", CONFIGS)
@given(data=st.data())
def test_any_value_of_any_flag(command, data, capsys, elsewhere):
    name = data.draw(st.sampled_from(names(command)))
    value = data.draw(values)
    refused([command, *ABSENT[command], f"--{name}={value}"], capsys, elsewhere)


@pytest.mark.parametrize("command", CONFIGS)
@given(flag=st.text(string.ascii_lowercase + "_-", min_size=1, max_size=12), value=values)
def test_any_flag(command, flag, value, capsys, elsewhere):
    known = {f.name for f in dataclasses.fields(CONFIGS[command])}
    if any(name.startswith(flag.lstrip("-")) for name in {*known, "config", "help", "version"}):
        return
    refused([command, *ABSENT[command], f"--{flag}", value], capsys, elsewhere)


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
documents = st.one_of(
    st.dictionaries(st.one_of(st.sampled_from(names("train")), st.text(max_size=8)), scalars),
    st.lists(scalars, max_size=3),
    scalars,
)


@example(document={"epochs": None})
@example(document={"validation_split": None})
@given(document=documents)
def test_any_configuration(document, capsys, tmp_path_factory, elsewhere):
    path = tmp_path_factory.mktemp("yaml") / "config.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    refused(["train", "--config", str(path), *ABSENT["train"]], capsys, elsewhere)


@given(content=st.binary(max_size=60))
def test_any_bytes_as_a_configuration(content, capsys, tmp_path_factory, elsewhere):
    path = tmp_path_factory.mktemp("yaml") / "config.yaml"
    path.write_bytes(content)
    refused(["train", "--config", str(path), *ABSENT["train"]], capsys, elsewhere)


def parsed(parse, text):
    """What a parser makes of a text; None where it refuses it, and says what it expects."""
    try:
        return parse(text)
    except UserError as error:
        if not any(word in str(error) for word in ("expected", "range", "more than")):
            raise
        return None


@given(text=st.one_of(values, st.from_regex(r"[0-9 ,\-]{0,12}", fullmatch=True)))
def test_seeds_and_ranges(text):
    for parse, limit in ((parse_seeds, 2**32), (lambda t: parse_layers(t, 18), 18)):
        found = parsed(parse, text)
        assert found is None or (found and all(0 <= number < limit for number in found))


@given(text=st.one_of(values, st.from_regex(r"[0-9]{1,6}[x×][0-9]{1,6}", fullmatch=True)))
def test_grids_and_truncations(text):
    for parse in (parse_grid, parse_psis):
        parsed(parse, text)


@example(text="~0")
@given(text=values)
def test_a_name_that_is_no_file_is_refused_whole(text, capsys, elsewhere):
    """Names end up in messages: no character of them breaks the line."""
    for argv in (
        ["generate", f"--model_path={text or 'x'}"],
        ["train", "--model", "vae", f"--data_path={text or 'x'}", "--epochs", "1"],
        ["train", f"--resume={text or 'x'}"],
    ):
        if text.strip() in ("", ".", "..", "/", "~", "$HOME", "latest"):
            continue
        refused(argv, capsys, elsewhere)
