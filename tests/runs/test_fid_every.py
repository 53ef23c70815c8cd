"""`fid_every`: the distance to the photos while training, and the model that it keeps."""

import itertools
import json

import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras import cli
from facegen_keras.engine import checkpoint
from facegen_keras.metrics import callback

FLAGS = (
    "--model vae --epochs 2 --save_interval 9 --validation_split 0.25 "
    "--fid_every 1 --fid_images 8 --extractor efficientnet-lite0"
)


@pytest.mark.filterwarnings("ignore:.*Fréchet distance:UserWarning")  # of so few images
def test_the_distance_keeps_the_best_model_and_the_validation_loss_is_only_logged(
    train, log_of, monkeypatch, tmp_path, capsys
):
    users_cache = tmp_path / "users_cache"
    monkeypatch.setenv("FACEGEN_CACHE", str(users_cache))
    losses = itertools.count(0, -1)  # better in every epoch, which the distance is not
    monkeypatch.setattr(fg.VAE, "validate", lambda model, faces: {"loss": float(next(losses))})
    evaluate, measured = callback.evaluate, []

    def once(*args, **kwargs):
        measured.append(measured[0] if measured else evaluate(*args, **kwargs))
        return measured[-1]

    monkeypatch.setattr(callback, "evaluate", once)
    folder = train("measured", f"{FLAGS} --cache_dir {tmp_path}/cache")

    lines = log_of(folder)
    distance = measured[0]["fd"]
    assert len(measured) == 2
    assert np.isfinite(distance)
    assert distance > 0
    assert [line["fd"] for line in lines] == [distance] * 2
    assert [line["val_loss"] for line in lines] == [0, -1]
    result = json.loads((folder / "result.json").read_text())
    assert (result["best_epoch"], result["best_value"]) == (1, distance)
    for path in (folder / "best_vae_decoder.h5", train.models / "vae_decoder.h5"):
        metadata = fg.load_generator(path).metadata
        assert metadata["images_seen"] == 32  # of the first epoch
        (record,) = metadata["metrics"]
        assert (record["value"], record["extractor"]) == (distance, "efficientnet-lite0")
    assert list((tmp_path / "cache" / "statistics").glob("*.npz"))  # of the photos
    assert not list((users_cache / "statistics").glob("*"))

    states = checkpoint.latest(folder / "checkpoints").state.callbacks
    (key,) = (key for key in states if key.startswith("MetricEvery fid efficientnet-lite0 "))
    assert states[key] == {"best": distance, "best_epoch": 1}
    assert states["BestModel"] == {"best": -1.0, "best_epoch": 2, "kept": False}

    # What the distance kept is not passed off as the best by the validation loss.
    train("measured", f"--resume {folder} --fid_every null")
    result = json.loads((folder / "result.json").read_text())
    assert (result["best_epoch"], result["best_value"]) == (0, None)
    published = fg.load_generator(train.models / "vae_decoder.h5").metadata
    assert published["images_seen"] == 64  # the last one

    # One column of the log holds values of one kind only.
    for flags in ("--extractor face-descriptor", "--fid_images 9"):
        arguments = f"train --resume {folder} --epochs 3 --fid_every 1 {flags}"
        assert cli.main(arguments.split()) == 2
        assert "which cannot change on resume" in capsys.readouterr().err
