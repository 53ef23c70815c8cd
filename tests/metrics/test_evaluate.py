"""The way from images to numbers: names, protocol, warnings, caching, refusals."""

import csv
import json
import warnings

import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras.errors import UserError
from facegen_keras.export.write import save_generator, write_model
from facegen_keras.generate.reconstruction import reconstruct
from facegen_keras.metrics import Reference, Report, Statistics, evaluate
from facegen_keras.mixture import fit_mixture


def quietly(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return evaluate(*args, progress=False, **kwargs)


def test_everything_at_once(generator, photos, tiny):
    result = quietly(generator, photos, ["fid", "kid", "pr", "is", "ppl"], 40, extractor=tiny)
    keys = ["fd", "kd", "precision", "recall", "density", "coverage", "is", "ppl"]
    assert list(result.numbers) == keys
    assert all(np.isfinite(result[key]) for key in keys)
    assert result["fd"] > 0
    assert 0 <= result["precision"] <= 1
    assert result["is"] >= 1
    for number in result.numbers.values():
        assert number.protocol["weights_sha256"] == "0" * 64
        assert number.protocol["num_images"] == number.protocol["num_reference"] == 40
        assert len(number.protocol["reference"]) == 64
        assert number.protocol["versions"]["keras"]
    walked = result.numbers["ppl"]
    assert walked.label == "PPL in z (tiny distance)"
    assert (walked.protocol["options"], walked.protocol["position"]) == ("", "anywhere")
    assert result.name == "dcgan"


def test_only_the_published_inception_is_called_fid(generator, photos, tiny, monkeypatch):
    result = quietly(generator, photos, ["fid", "kid"], 20, extractor=tiny)
    assert result.numbers["fd"].label == "FD (tiny, weights 00000000)"
    assert "FID" not in result.table()
    assert "KID" not in result.to_csv()
    with pytest.raises(KeyError, match="there are fd, kd"):
        result["fid"]
    monkeypatch.setattr(type(tiny), "canonical", True)
    result = quietly(generator, photos, ["fid", "kid"], 20, extractor=tiny)
    assert [n.label for n in result.numbers.values()] == ["FID", "KID"]


def test_same_images_are_at_distance_zero(photos, tiny):
    result = quietly(photos, photos, ["fid", "pr"], extractor=tiny)
    assert result["fd"] < 1e-6
    assert result["precision"] == result["recall"] == result["coverage"] == 1


def test_agrees_with_the_parts_taken_one_by_one(generator, photos, tiny):
    result = quietly(generator, photos, ["fid", "kid"], 60, extractor=tiny, seed=5)
    features = tiny(generator.sample(range(5, 65)))
    a, b = Statistics.from_features(features), Statistics.from_images(tiny, photos)
    assert result["fd"] == pytest.approx(fg.metrics.frechet_distance(a, b), rel=1e-9)
    kid = fg.metrics.kernel_distance(tiny(photos), features, seed=5)
    assert result["kd"] == pytest.approx(float(kid), rel=1e-9)
    assert result.numbers["kd"].error == pytest.approx(kid.error)


def test_the_way_of_the_photos_does_not_matter(generator, photos, tiny, tmp_path):
    """From the images, from kept features, from a file of statistics: one number."""
    run = lambda faces: quietly(generator, faces, ["fid"], 60, extractor=tiny)["fd"]  # noqa: E731
    first = run(photos)
    assert run(photos) == pytest.approx(first, rel=1e-9)
    Statistics.from_images(tiny, photos).save(tmp_path / "x.npz")
    assert run(Statistics.load(tmp_path / "x.npz")) == pytest.approx(first, rel=1e-9)
    assert run(Reference(tiny, photos)) == pytest.approx(first, rel=1e-9)


def test_features_of_photos_are_kept(generator, photos, tiny, monkeypatch):
    calls = []
    run = tiny._run
    monkeypatch.setattr(tiny, "_run", lambda batch: (calls.append(len(batch)), run(batch))[1])
    quietly(generator, photos, ["kid"], 60, extractor=tiny)
    both = sum(calls)
    quietly(generator, photos, ["kid"], 60, extractor=tiny)
    assert (both, sum(calls) - both) == (120, 60)
    quietly(generator, photos + 1, ["kid"], 60, extractor=tiny)  # other photos, other features
    assert sum(calls) - both - 60 == 120


def test_a_path_is_opened(generator, photos, tiny, tmp_path):
    path = tmp_path / "dcgan_generator.h5"
    write_model(generator.model, path, {"family": "dcgan", "part": "generator"})
    a = quietly(str(path), photos, ["fid"], 30, extractor=tiny)
    b = quietly(generator, photos, ["fid"], 30, extractor=tiny)
    assert a["fd"] == pytest.approx(b["fd"], rel=1e-6)
    assert a.name == str(path)


def test_reconstructions_beside_samples(photos, tiny, tiny_family, tmp_path):
    path = save_generator(tiny_family("vae"), tmp_path / "vae_decoder.h5")
    result = quietly(path, photos, ["fid", "kid"], 50, extractor=tiny)
    assert list(result.numbers) == ["fd", "fd_reconstructions", "kd"]
    number = result.numbers["fd_reconstructions"]
    assert number.label == "FD of reconstructions (tiny, weights 00000000)"
    assert "FD of reconstructions" in result.table()
    assert number.protocol == {**result.protocol, "num_images": 50}
    reference = Reference(tiny, photos, 50)
    generator, encoder = fg.load_generator(path), fg.load_encoder(path)
    again = tiny(reconstruct(generator, encoder, reference.photos[:]))
    a, b = Statistics.from_features(again), reference.statistics()
    assert number.value == pytest.approx(fg.metrics.frechet_distance(a, b), rel=1e-6)
    # Other sizes, statistics alone, and a model whose encoder is not there.
    large = np.repeat(np.repeat(photos, 2, 1), 2, 2)
    assert list(quietly(path, large, ["fid"], 50, extractor=tiny).numbers) == ["fd"]
    stats = Statistics.from_images(tiny, photos)
    assert list(quietly(path, stats, ["fid"], 50, extractor=tiny).numbers) == ["fd"]
    (tmp_path / "vae_encoder.h5").unlink()
    assert list(quietly(path, photos, ["fid"], 50, extractor=tiny).numbers) == ["fd"]


def test_a_network_of_the_training_is_no_judge(photos, tiny, tiny_family, tmp_path, monkeypatch):
    def judge(**network):
        model = tiny_family("dcgan")
        model.trained_with = (network,)
        path = save_generator(model, tmp_path / "dcgan_generator.h5")
        return quietly(path, photos, ["fid"], 50, extractor=tiny).warnings

    for network in ({"network": "tiny"}, {"network": "x", "weights_sha256": "0" * 64}):
        with pytest.raises(UserError, match="tiny took part in the training of this model"):
            judge(**network)
    monkeypatch.setattr(type(tiny), "pretrained_on", "imagenet")
    other = {"weights_sha256": "1" * 64}
    known, *_ = judge(network="vgg16", pretrained_on="imagenet", **other)
    assert known == (
        "vgg16 took part in the training, and like the extractor knows imagenet: the numbers "
        "may flatter the model"
    )
    kind, *_ = judge(network="tiny-b", **other)
    assert kind.startswith("tiny-b took part in the training, a network of the extractor's kind")
    assert not any("took part" in text for text in judge(network="hog", **other))
    assert fg.metrics.EfficientNetLite0Features.pretrained_on == "imagenet"


def test_the_prior_is_part_of_the_protocol(photos, tiny, tiny_family, tmp_path):
    model, prior = tiny_family("vae"), fit_mixture(np.random.default_rng(0).random((9, 6)), 2)
    model.latent_prior = lambda: prior
    path = save_generator(model, tmp_path / "vae_decoder.h5")
    generators = fg.load_generator(path), fg.load_generator(path, prior="normal")
    mixture, normal = (
        quietly(generator, photos, ["fid", "ppl"], 50, extractor=tiny) for generator in generators
    )
    assert mixture.protocol["prior"] == "mixture of 2"
    assert normal.protocol["prior"] == "normal"
    assert mixture["fd"] != normal["fd"]
    assert mixture["ppl"] != normal["ppl"]
    assert mixture["fd_reconstructions"] == normal["fd_reconstructions"]


def test_equal_numbers_on_both_sides_unless_told(generator, photos, tiny):
    counts = [
        quietly(generator, photos, ["fid"], 30, extractor=tiny, **k).protocol["num_reference"]
        for k in ({}, {"num_reference": 0}, {"num_reference": 10})
    ]
    assert counts == [30, 60, 10]


def test_warnings_say_why(generator, photos, tiny):
    def said(samples, faces, count=60):
        with pytest.warns(UserWarning, match="\\w") as caught:
            result = evaluate(samples, faces, ["fid"], count, extractor=tiny, progress=False)
        assert tuple(str(w.message) for w in caught) == result.warnings
        return " ".join(result.warnings)

    assert "biased upward below 10000" in said(generator, photos)
    assert "20 images for 24 features" in said(generator, photos, 20)
    large = np.repeat(np.repeat(photos, 2, 1), 2, 2)
    assert "photos are 16 pixels wide and the samples 8" in said(generator, large)
    same = np.repeat(photos[:1], 60, 0)
    assert "collapsed?" in said(same, photos)
    assert "collapsed?" not in said(photos, photos)


def test_refusals(generator, photos, tiny):
    refused = {
        "fidd is not among fid, kid": (generator, photos, ["fidd"]),
        "nothing is not among": (generator, photos, []),
        "give some as faces": (generator, None, ["fid"]),
        "needs a model": (photos, photos, ["ppl"]),
        "1 image": (photos[:1], photos, ["fid"]),
        "at least 2": (generator, photos[:1], ["fid"]),
        "ask for fid alone": (generator, Statistics.from_images(tiny, photos), ["kid"]),
        "features do not compare": (generator, Statistics(np.zeros(3), np.eye(3)), ["fid"]),
    }
    for message, (samples, faces, metrics) in refused.items():
        with pytest.raises(UserError, match=message):
            quietly(samples, faces, metrics, 20, extractor=tiny)
    with pytest.raises(UserError, match="num_images=1"):
        quietly(generator, photos, ["fid"], 1, extractor=tiny)
    other = Statistics(np.zeros(24), np.eye(24), 9, {**tiny.protocol, "resize": "legacy"})
    with pytest.raises(UserError, match="'legacy' in one and 'tiny'"):
        quietly(generator, other, ["fid"], 20, extractor=tiny)


def test_an_error_in_the_middle_reaches_the_caller(photos, tiny):
    class Broken:
        family, resolution, latent_dim = "dcgan", 8, 4

        def sample(self, seeds):
            if 64 in seeds:
                raise MemoryError("no more")
            return photos[: len(seeds)]

    with pytest.raises(MemoryError, match="no more"):
        quietly(Broken(), photos, ["fid"], 128, extractor=tiny)


def test_written_down(generator, photos, tiny, tmp_path):
    a = quietly(generator, photos, ["fid", "kid"], 30, extractor=tiny, name="saved/a.h5")
    b = quietly(photos, photos, ["fid", "pr"], 30, extractor=tiny, name="b")
    report = Report([a, b])
    content = json.loads(report.to_json(tmp_path / "x.json"))
    assert json.loads((tmp_path / "x.json").read_text()) == content
    assert content[0]["numbers"]["fd"]["value"] == a["fd"]
    assert content[0]["numbers"]["fd"]["protocol"]["num_images"] == 30
    rows = list(csv.DictReader(report.to_csv(tmp_path / "x.csv").splitlines()))
    assert [row["metric"] for row in rows] == list(a.numbers) + list(b.numbers)
    assert float(rows[0]["value"]) == a["fd"]
    assert rows[0]["resize"] == "tiny"
    table = report.table().splitlines()
    assert "saved/a.h5" in table[1]
    assert "–" in table[1]
    assert "recall ↑" in table[0]
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["x.csv", "x.json"]


@pytest.mark.parametrize("metric", ["fid", "kid", "pr"])
def test_photos_of_another_extractor_are_refused(generator, photos, tiny, metric):
    other = type(tiny)()
    other.resize = "legacy"
    with pytest.raises(UserError, match="'legacy' in one and 'tiny'"):
        quietly(generator, Reference(other, photos), [metric], 20, extractor=tiny)


def test_an_encoder_of_another_model_is_refused_before_the_samples(
    photos, tiny, tiny_family, tmp_path, monkeypatch
):
    path = save_generator(tiny_family("vae"), tmp_path / "vae_decoder.h5")
    other = save_generator(tiny_family("vae"), tmp_path / "other" / "vae_decoder.h5")
    other.with_name("vae_encoder.h5").replace(tmp_path / "vae_encoder.h5")
    monkeypatch.setattr(fg.generate.Generator, "sample", lambda *a, **k: pytest.fail("drawn"))
    with pytest.raises(UserError, match="exported from another model"):
        quietly(path, photos, ["fid"], 50, extractor=tiny)
