"""`evaluate` from the command line: models and folders, statistics both ways, one-line errors."""

import json
import warnings
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image

from facegen_keras.cli import evaluate as command
from facegen_keras.cli import main
from facegen_keras.data.image_files import comparison_warnings, format_and_side
from facegen_keras.export.write import write_model
from facegen_keras.generate.loading import load_generator
from facegen_keras.metrics import FeatureExtractor, Statistics


class TinyFeatures(FeatureExtractor):
    """A fixed linear map of 4x4 pixels: quick, and enough to tell images apart."""

    name, dim = "tiny", 8

    def __init__(self) -> None:
        inputs = keras.Input((4, 4, 3))
        network = keras.Model(inputs, keras.layers.Dense(8)(keras.layers.Flatten()(inputs)))
        random = np.random.default_rng(0)
        network.set_weights([random.standard_normal(w.shape) for w in network.weights])
        super().__init__(
            network,
            weights_sha256="0" * 64,
            filter="bicubic",
            offset=127.5,
            scale=127.5,
            resize="tiny",
            batch_size=16,
        )


def smooth(count, seed, side=32):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, 4, 4, 3))
    return np.kron(coarse, np.ones((1, side // 4, side // 4, 1))).astype(np.uint8)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of 40 photos, a zip of 30 samples with one broken, and a model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(command, "make_extractor", lambda config: TinyFeatures())
    (tmp_path / "photos").mkdir()
    for i, image in enumerate(smooth(40, 0)):
        Image.fromarray(image).save(tmp_path / "photos" / f"{i}.png")
    with zipfile.ZipFile(tmp_path / "samples.zip", "w") as archive:
        for i, image in enumerate(smooth(30, 1)):
            Image.fromarray(image).save(tmp_path / "one.png")
            archive.write(tmp_path / "one.png", f"{i}.png")
        archive.writestr("broken.png", (tmp_path / "one.png").read_bytes()[:100])
    (tmp_path / "one.png").unlink()
    inputs = keras.Input((4,))
    x = keras.layers.Dense(48, activation="tanh")(inputs)
    x = keras.layers.UpSampling2D(8)(keras.layers.Reshape((4, 4, 3))(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = keras.Model(inputs, x)
        write_model(model, tmp_path / "g.h5", {"family": "dcgan", "part": "generator"})
    return tmp_path


def read(place):
    return json.loads((place / "output" / "evaluation.json").read_text())


def test_a_decoder_is_found_under_the_name_of_a_generator(place, capsys):
    (place / "g.h5").rename("vae_decoder.h5")
    flags = ["--data_path", "photos", "--num_images", "30", "--metrics", "fid"]
    assert main(["evaluate", "--model_path", "vae_generator.h5", *flags]) == 0
    out = capsys.readouterr().out
    assert "vae_generator.h5: no such file; opening vae_decoder.h5" in out
    assert read(place)[0]["model"] == "vae_decoder.h5"


def test_models_and_a_zip_in_two_calls(place, capsys):
    flags = ["--data_path", "photos", "--num_images", "30"]
    assert main(["evaluate", "--model_path", "g.h5", "g.h5", *flags, "--stamp"]) == 0
    shown = capsys.readouterr()
    assert "FD (tiny, weights 00000000)" in shown.out
    assert "FID" not in shown.out
    assert "warning: g.h5: 30 images: the Fréchet distance is biased" in shown.err
    results = read(place)
    assert [r["model"] for r in results] == ["g.h5", "g.h5"]
    assert results[0]["numbers"] == results[1]["numbers"]
    assert results[0]["warnings"]
    assert {p.name for p in (place / "output").iterdir()} == {
        "evaluation.json",
        "evaluation.csv",
        "evaluation.png",
    }
    stamped = load_generator(place / "g.h5").metadata["metrics"]
    assert stamped[0]["value"] == results[0]["numbers"]["fd"]["value"]

    assert main(["evaluate", "--images", "samples.zip", "--data_path", "photos"]) == 0
    assert "skipped 1 truncated (broken.png)" in capsys.readouterr().out
    (result,) = read(place)
    assert result["protocol"]["num_images"] == result["protocol"]["num_reference"] == 30
    assert result["protocol"]["resolution"] == 32


def test_statistics_both_ways(place, capsys):
    assert main(["evaluate", "--data_path", "photos", "--save_stats", "photos.npz"]) == 0
    stats = Statistics.load(place / "photos.npz")
    assert stats.n == 40
    assert stats.protocol["extractor"] == "tiny"
    flags = ["--images", "samples.zip", "--metrics", "fid"]
    assert main(["evaluate", "--stats", "photos.npz", *flags]) == 0
    by_file = read(place)[0]["numbers"]["fd"]["value"]
    assert main(["evaluate", "--data_path", "photos", "--num_reference", "0", *flags]) == 0
    assert read(place)[0]["numbers"]["fd"]["value"] == pytest.approx(by_file, rel=1e-9)
    with np.load(place / "photos.npz") as data:
        np.savez(place / "theirs.npz", mu=data["mu"], sigma=data["sigma"])
    assert main(["evaluate", "--stats", "theirs.npz", *flags]) == 0
    assert read(place)[0]["numbers"]["fd"]["value"] == pytest.approx(by_file, rel=1e-9)
    assert main(["evaluate", "--images", "samples.zip", "--save_stats", "s.npz"]) == 0
    assert Statistics.load(place / "s.npz").n == 30


def test_metrics_that_statistics_cannot_give_are_refused_by_name(place, capsys):
    Statistics(np.zeros(8), np.eye(8), 40).save(place / "s.npz")
    given = ["evaluate", "--images", "samples.zip", "--stats", "s.npz"]
    assert main([*given, "--metrics", "fid", "kid", "pr"]) == 2
    error = capsys.readouterr().err
    assert "metrics kid, pr: statistics are enough for fid only; leave them out" in error
    assert error.count("\n") == 1
    assert not (place / "output").exists()
    assert main(given) == 0  # by default, what statistics can give
    assert list(read(place)[0]["numbers"]) == ["fd"]


def test_path_length_needs_no_photos(place):
    flags = ["--metrics", "ppl", "--num_images", "16"]
    assert main(["evaluate", "--model_path", "g.h5", *flags]) == 0
    assert list(read(place)[0]["numbers"]) == ["ppl"]


def test_intervals_are_had_for_repeats(place):
    flags = ["--data_path", "photos", "--num_images", "30", "--metrics", "fid", "pr"]
    assert main(["evaluate", "--model_path", "g.h5", *flags, "--repeats", "3"]) == 0
    numbers = read(place)[0]["numbers"]
    assert all(numbers[key]["error"] is not None for key in ("fd", "precision", "recall"))
    assert numbers["fd"]["protocol"]["error_from"] == "3 halves"


def test_memorisation(place, capsys):
    flags = ["--data_path", "photos", "--num_images", "20", "--metrics", "fid", "--memorisation"]
    assert main(["evaluate", "--model_path", "g.h5", *flags]) == 0
    out = capsys.readouterr().out
    assert "of 20 samples are closer to a photo" in out
    assert "20.6 % by chance" in out  # only four photos are held out
    assert (place / "output" / "g_memorisation.png").stat().st_size > 1000


def test_photos_of_the_memorisation_check_are_measured_once(place, monkeypatch):
    measured = []

    class Counting(TinyFeatures):
        def stream(self, images, progress=False):
            measured.append(len(images))
            return super().stream(images, progress)

    monkeypatch.setattr(command, "make_extractor", lambda config: Counting())
    (place / "h.h5").write_bytes((place / "g.h5").read_bytes())
    flags = ["--data_path", "photos", "--num_images", "20", "--metrics", "ppl", "--memorisation"]
    assert main(["evaluate", "--model_path", "g.h5", "h.h5", *flags]) == 0
    assert sorted(measured) == [4, 20, 20, 36]  # held out, the samples of two models, training
    assert (place / "output" / "h_memorisation.png").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data_path", "photos"], "say what to measure"),
        (["--model_path", "g.h5"], "give data_path the photos"),
        (["--model_path", "none.h5", "--data_path", "photos"], "none.h5"),
        (["--images", "none", "--data_path", "photos"], "images none: no such"),
        (["--images", "photos", "--data_path", "photos", "--metrics", "fod"], "fod is not among"),
        (["--images", "photos", "--stats", "none.npz", "--metrics", "fid"], "none.npz"),
        (["--images", "photos", "--stats", "x", "--data_path", "photos"], "give one of them"),
        (["--images", "photos", "--stats", "x", "--metrics", "kid"], "enough for fid only"),
        (["--images", "photos", "--data_path", "photos", "--num_images", "1"], "expected 2 or"),
        (["--images", "photos", "--data_path", "photos", "--repeats", "1"], "expected 0, or 2"),
        (["--images", "photos", "--stats", "x", "--save_stats", "y"], "statistics of one set"),
        (
            ["--model_path", "g.h5", "--extractor", "face-descriptor", "--metrics", "ppl"],
            "face-descriptor: cannot measure ppl",
        ),
        (["--model_path", "g.h5", "--save_stats", "y"], "save_stats: writes the statistics of"),
        (["--images", "photos", "--metrics", "ppl"], "ppl: walks through a latent space"),
        (["--images", "photos", "--data_path", "photos", "--stamp"], "stamp: writes into the file"),
        (
            ["--model_path", "g.h5", "--save_stats", "y", "--metrics", "is"],
            "save_stats: writes the statistics of",
        ),
    ],
)
def test_mistakes_are_one_line(place, capsys, flags, message):
    assert main(["evaluate", *flags]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_missing_weights_are_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i, image in enumerate(smooth(2, 0)):
        Image.fromarray(image).save(tmp_path / "photos" / f"{i}.png")
    flags = ["--images", "photos", "--data_path", "photos", "--inception_weights", "none.pth"]
    assert main(["evaluate", *flags]) == 2
    assert "none.pth: no such file" in capsys.readouterr().err
    monkeypatch.setenv("FACEGEN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "pt_inception-2015-12-05-6726825d.pth").write_bytes(b"damaged")
    assert main(["evaluate", *flags[:4]]) == 2
    error = capsys.readouterr().err
    assert "the file is damaged or a different one" in error
    assert error.count("\n") == 1
    assert "flags: --inception_weights FILE, or --extractor efficientnet-lite0" in error


def test_what_files_say_about_themselves(place):
    assert format_and_side("photos") == ("PNG", 32)
    assert format_and_side("samples.zip") == (
        "PNG",
        32,
    )
    (place / "jpeg").mkdir()
    for i, image in enumerate(smooth(3, 0, side=16)):
        Image.fromarray(image).save(place / "jpeg" / f"{i}.jpg")
    assert format_and_side("jpeg") == ("JPEG", 16)
    assert comparison_warnings(format_and_side("photos"), format_and_side("samples.zip"), 32) == []
    size, format = comparison_warnings(format_and_side("photos"), format_and_side("jpeg"), 32)
    assert "photos are only 16 pixels wide" in size
    assert "JPEG on one side" in format


def test_copies_in_a_folder_are_found_too(place, capsys):
    flags = ["--images", "photos", "--data_path", "photos", "--metrics", "fid", "--memorisation"]
    assert main(["evaluate", *flags]) == 0
    assert "% of 40 samples are closer to a photo" in capsys.readouterr().out
    assert (place / "output" / "photos_memorisation.png").exists()
    assert "closer" in read(place)[0]["memorisation"]


def test_what_this_package_wrote_beside_the_samples_is_left_out(place, capsys):
    flags = ["--images", "photos", "--data_path", "samples.zip", "--metrics", "fid"]
    assert main(["evaluate", *flags]) == 0
    Image.fromarray(smooth(1, 5)[0]).save(place / "photos" / "grid.png")
    assert main(["evaluate", *flags, "--output_dir", "again"]) == 0
    assert "skipped 1 not a face (grid.png)" in capsys.readouterr().out
    numbers = [
        json.loads((place / folder / "evaluation.json").read_text())[0]["numbers"]
        for folder in ("output", "again")
    ]
    assert numbers[0] == numbers[1]


def test_an_interrupted_evaluation_goes_on_and_loses_only_the_one_under_way(
    place, capsys, monkeypatch
):
    flags = ["--data_path", "photos", "--num_images", "20", "--metrics", "fid"]
    (place / "h.h5").write_bytes((place / "g.h5").read_bytes())
    evaluate, measured = command.evaluate, []

    def cut_off(*args, name, **kwargs):
        if name == "h.h5":
            raise KeyboardInterrupt
        measured.append(name)
        return evaluate(*args, name=name, **kwargs)

    monkeypatch.setattr(command, "evaluate", cut_off)
    call = ["evaluate", "--model_path", "g.h5", "h.h5", *flags]
    assert main(call) == 130
    assert [entry["model"] for entry in read(place)] == ["g.h5"]
    assert (place / "output" / "evaluation.csv").exists()
    monkeypatch.setattr(command, "evaluate", evaluate)
    before = read(place)[0]
    assert main(call) == 0
    assert measured == ["g.h5"]
    assert "g.h5: measured before" in capsys.readouterr().out
    assert [entry["model"] for entry in read(place)] == ["g.h5", "h.h5"]
    assert read(place)[0] == before

    assert main(["evaluate", "--model_path", "h.h5", *flags, "--seed", "7"]) == 0
    (kept,) = (place / "output").glob("evaluation.2*.json")  # never over another evaluation
    assert str(kept.relative_to(place)) in capsys.readouterr().out
    assert [entry["model"] for entry in json.loads(kept.read_text())] == ["g.h5", "h.h5"]
    assert kept.with_suffix(".csv").exists()
    assert [entry["model"] for entry in read(place)] == ["h.h5"]


def test_a_finding_belongs_to_its_photos(place, capsys):
    def found(*flags):
        assert main(["evaluate", "--model_path", "g.h5", "--memorisation", *common, *flags]) == 0
        (line,) = (x for x in capsys.readouterr().out.splitlines() if "closer to a photo" in x)
        return line.partition(";")[0]

    common = ["--num_images", "20", "--metrics", "ppl"]
    first = found("--data_path", "photos")
    assert "20.6 % by chance" in first  # four are held out
    assert "5.7 % by chance" in found("--data_path", "photos", "--held_out", "0.5")  # twenty
    assert found("--data_path", "photos") == first
    other = found("--data_path", "samples.zip")
    assert other == found("--data_path", "samples.zip", "--output_dir", "fresh") != first


def test_a_stamp_keeps_what_other_metrics_wrote(place):
    common = ["evaluate", "--model_path", "g.h5", "--num_images", "20", "--stamp", "--metrics"]
    for metrics in (["fid", "kid"], ["ppl"], ["fid"]):
        assert main([*common, *metrics, "--data_path", "photos"]) == 0
    stamped = load_generator(place / "g.h5").metadata["metrics"]
    assert sorted(record["metric"] for record in stamped) == ["fd", "kd", "ppl"]


def test_an_evaluation_that_is_refused_leaves_the_one_before(place, capsys):
    flags = ["evaluate", "--model_path", "g.h5", "--data_path", "photos", "--num_images", "20"]
    assert main([*flags, "--metrics", "fid"]) == 0
    before = read(place)
    assert main([*flags, "--truncation_psi", "0.5"]) == 2
    assert "truncation_psi: not an option of a dcgan generator" in capsys.readouterr().err
    assert read(place) == before
    assert len(list((place / "output").glob("evaluation*.json"))) == 1


def test_one_image_is_named_and_not_taken_for_the_photos(place, capsys):
    assert main(["evaluate", "--images", "photos/0.png", "--data_path", "photos"]) == 2
    assert "error: images photos/0.png: 1 usable image; expected 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output_dir", "taken/x"], "output_dir taken/x: "),
        (["--save_stats", "taken/x.npz"], "save_stats taken: "),
        (["--save_stats", "photos"], "save_stats photos: a folder"),
    ],
)
def test_where_nothing_can_be_written_nothing_is_measured(
    place, capsys, monkeypatch, flags, message
):
    def measured(*_):
        raise AssertionError("measured")

    monkeypatch.setattr(command, "_measure", measured)
    (place / "taken").touch()
    assert main(["evaluate", "--model_path", "g.h5", "--data_path", "photos", *flags]) == 2
    assert f"error: {message}" in capsys.readouterr().err
