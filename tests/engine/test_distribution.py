"""What is asked for: devices, processes, batches; refused before it begins."""

import pytest

from facegen_keras import cli
from facegen_keras.engine import distribution
from facegen_keras.engine.cluster import Member
from facegen_keras.errors import UserError


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--devices", "2"], "devices 2: several devices need JAX, and Keras runs on tensorflow"),
        (["--cluster", "h:1,2,0"], "cluster h:1,2,0: several devices need JAX"),
        (["--devices", "-1"], "devices -1: expected 0 for all"),
        (["--devices", "2", "--cluster", "slurm"], "give one of them"),
    ],
)
def test_impossible_wishes_are_one_line(flags, message, faces_zip, tmp_path, capsys):
    start = ["train", "--model", "vae", "--data_path", str(faces_zip)]
    assert cli.main([*start, "--output_dir", str(tmp_path), *flags]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert message in errors[0]
    assert not list(tmp_path.iterdir())


def test_one_device_is_nothing_new():
    distribution.distribute(devices=1)
    distribution.distribute()
    assert distribution.device_count() == 1
    assert distribution.member() == Member(0, 1)
    image = object()
    assert distribution.split(image) is image


def test_alone_everything_is_the_callers_own():
    assert distribution.gather({"a": 1}) == [{"a": 1}]
    assert distribution.in_first(lambda: 3) == 3
    assert distribution.every(lambda: 4) == 4
    assert distribution.broadcast(b"x") == b"x"
    assert distribution.share_of(12) == slice(0, 12)


def test_a_batch_has_to_fill_all_devices_evenly(monkeypatch):
    monkeypatch.setattr(distribution, "device_count", lambda: 4)
    distribution.check_batch_size(16, 2, "halves")
    with pytest.raises(UserError, match=r"12: 4 devices need a multiple of 8 \(halves\)"):
        distribution.check_batch_size(12, 2, "halves")
    with pytest.raises(UserError, match="such as 4 or 8"):
        distribution.check_batch_size(2, 1, "")
