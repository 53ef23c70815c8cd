"""One folder that a coursework report is written from: figures, tables, captions, LaTeX."""

import datetime
import functools
import hashlib
import json
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from facegen_keras import figures
from facegen_keras.data.faces import Faces, load_faces
from facegen_keras.errors import UserError
from facegen_keras.files.atomic import write_text
from facegen_keras.files.hashes import sha256_of
from facegen_keras.files.unused_name import numbered
from facegen_keras.metrics.result import Report
from facegen_keras.reports.drawing import Drawing, Photos, drawings
from facegen_keras.reports.sources import Run, by_family, collect
from facegen_keras.reports.tables import Table, evaluation_table, latex, runs_tables
from facegen_keras.version import __version__

SKELETON, PROVENANCE = "report.tex", "provenance.json"
WRITTEN = "report_tex_sha256"  # of the skeleton as it was written, in the provenance
FIGURES = "figures"  # their names, in the provenance
PHOTOS = 1000  # of a data set, in which the nearest are looked for
PHOTO_BYTES = 256e6  # that these may take: fewer above 256x256
PAPERS = {
    "vae": "a variational autoencoder (Kingma and Welling, 2014)",
    "dcgan": "a DCGAN (Radford et al., 2016)",
    "combined": "a VAE-GAN (Larsen et al., 2016)",
    "stylegan2": "a StyleGAN2 (Karras et al., 2020)",
}


def report(
    sources: Sequence[str | os.PathLike],
    output: str | os.PathLike = "report",
    data_path: str | os.PathLike | None = None,
) -> Path:
    """Collect runs, sweeps and evaluations into one folder to write a report from.

    The folder has `figures/` (PDF, and PNG at 300 dpi), `tables/` (CSV, Markdown, LaTeX with
    booktabs), `captions.md`, `provenance.json`, and `report.tex`, a skeleton that compiles.

    Args:
        sources: Folders of runs or of sweeps, and files `evaluation.json` or their folders.
        output: The folder; files of an earlier report are replaced, but a `report.tex` that was
            written in stays, and the new skeleton is `report_2.tex`.
        data_path: Photos, for reconstructions and the nearest photos: whatever `load_faces` reads;
            the first 1,000 are used, fewer above 256×256.

    Returns:
        The folder.

    Raises:
        UserError: A source is none of these, a run has no log, or numbers of one table were
            measured in different ways.
    """
    if not sources:
        raise UserError("report: name runs, sweeps or evaluations, such as output/vae_64")
    runs, evaluations = collect([os.fspath(source) for source in sources])
    folder = Path(output)
    drawn = enumerate(drawings(runs, evaluations, _photos(runs, data_path)), 1)
    captions = [(f"fig{number:02d}_{drawing.name}", drawing) for number, drawing in drawn]
    names = [name for name, _ in captions]
    earlier = _recorded(folder)
    listed = earlier.get(FIGURES)
    owned = {str(name) for name in listed} if isinstance(listed, list) else set()
    begun = earlier | {FIGURES: sorted(owned.union(names))}
    _write_record(folder, begun)  # what the next report finds if this one is cut off
    for name, drawing in captions:
        figures.save(drawing.draw(), name, folder=folder / "figures")
    _remove(folder / "figures", owned.difference(names))
    skeleton = _skeleton_file(folder, earlier.get(WRITTEN))
    tables = runs_tables(runs)
    tables += [evaluation_table(evaluations)] if evaluations.evaluations else []
    for table in tables:
        table.save(folder / "tables")
    write_text(folder / "captions.md", _captions(captions, tables))
    text = _skeleton(runs, captions, tables)
    write_text(skeleton, text)
    written = hashlib.sha256(text.encode()).hexdigest() if skeleton.name == SKELETON else ""
    _write_record(folder, _provenance(sources, runs, evaluations, names, written))
    return folder


def _skeleton_file(folder: Path, written: str | None) -> Path:
    """Where the skeleton goes: not over one that somebody has written in since its hash was
    `written`.
    """
    path = folder / SKELETON
    if not path.exists() or sha256_of(path) == written:
        return path
    free = next(name for name in numbered(path) if not name.exists())
    print(f"{path}: kept, since it was written in; the new skeleton: {free}")
    return free


def _remove(folder: Path, names: Collection[str]) -> None:
    """Remove figures of an earlier report, which would stand among those of this one."""
    for name in names:
        for suffix in (".pdf", ".png"):
            (folder / f"{Path(name).name}{suffix}").unlink(missing_ok=True)


def _recorded(folder: Path) -> dict[str, Any]:
    """The provenance of an earlier report in the folder; empty where there is none to be read."""
    try:
        record = json.loads((folder / PROVENANCE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write_record(folder: Path, record: Mapping[str, Any]) -> None:
    write_text(folder / PROVENANCE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def _photos(runs: Sequence[Run], data_path: str | os.PathLike | None) -> Photos | None:
    """The photos at a resolution, cropped as the first run's were."""
    if data_path is None or not runs:
        return None
    crop = runs[0].config.crop

    @functools.cache
    def photos(resolution: int) -> Faces:
        limit = min(PHOTOS, int(PHOTO_BYTES / (3 * resolution**2)))
        return load_faces(data_path, resolution, crop, limit=limit)

    return photos


def _captions(captions: Sequence[tuple[str, Drawing]], tables: Sequence[Table]) -> str:
    lines = ["# Captions", ""]
    for number, (name, drawing) in enumerate(captions, 1):
        lines += [f"**Figure {number}** (`figures/{name}.pdf`). {drawing.caption}", ""]
    for number, table in enumerate(tables, 1):
        lines += [f"**Table {number}** (`tables/{table.name}.tex`). {table.caption}", ""]
    return "\n".join(lines)


def _provenance(
    sources: Sequence,
    runs: Sequence[Run],
    evaluations: Report,
    names: Sequence[str],
    written: str,
) -> dict[str, Any]:
    """Where every number comes from: files with their hashes, data, machines, versions."""
    return {
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sources": [os.fspath(source) for source in sources],
        "facegen_keras": __version__,
        "python": sys.version.split()[0],
        "runs": [
            {
                "run": run.name,
                "folder": str(run.folder),
                "config": (run.folder / "config.yaml").read_text("utf-8"),
                "log_sha256": sha256_of(run.folder / "log.jsonl"),
                "model": str(run.model) if run.model else None,
                "model_sha256": sha256_of(run.model) if run.model else None,
                "images_seen": run.images_seen,
                "sessions": run.sessions,
            }
            for run in runs
        ],
        "evaluations": json.loads(evaluations.to_json()),
        FIGURES: names,
        WRITTEN: written,
    }


def _methods(runs: Sequence[Run]) -> list[str]:
    """A paragraph for each family, filled from the configurations."""
    paragraphs = []
    for family, of_it in by_family(runs).items():
        sides = sorted({run.config.resolution for run in of_it})
        versions = sorted({version for run in of_it for version in _versions(run)}) or [__version__]
        text = (
            f"We trained {PAPERS.get(family, family)} at {_either([f'{n}×{n}' for n in sides])} "
            f"pixels with facegen_keras {_either(versions)}. The latent had "
            f"{_values(of_it, 'latent_dim')} dimensions, the batch {_values(of_it, 'batch_size')} "
            f"images, and Adam a learning rate of {_values(of_it, 'learning_rate')} with β1 "
            f"{_values(of_it, 'beta_1')}."
        )
        if family == "vae":
            text += (
                f" The reconstruction loss was {_values(of_it, 'reconstruction')}, the weight β of "
                f"the Kullback-Leibler divergence {_values(of_it, 'beta')}."
            )
        seen = sorted({run.images_seen for run in of_it})
        text += f" Images seen: {_either([f'{count:,}' for count in seen])}."
        text += f" Training seed: {_values(of_it, 'seed')}."
        paragraphs.append(text)
    return paragraphs


def _versions(run: Run) -> set[str]:
    """The versions of this package that trained a run, as far as they are recorded."""
    found = (session.get("versions", {}).get("facegen-keras") for session in run.sessions)
    return {str(version) for version in found if version}


def _values(runs: Sequence[Run], name: str) -> str:
    found = {getattr(run.config, name) for run in runs}
    numbers = sorted(value for value in found if isinstance(value, int | float))
    return _either([*map(str, numbers), *sorted(str(v) for v in found if v not in numbers)])


def _either(values: Sequence[str]) -> str:
    """`32, 64 or 128`."""
    *first, last = values
    return f"{', '.join(first)} or {last}" if first else last


def _skeleton(
    runs: Sequence[Run], captions: Sequence[tuple[str, Drawing]], tables: Sequence[Table]
) -> str:
    """A report that compiles as it is, and waits for its sentences."""
    lines = [
        r"\documentclass[11pt,a4paper]{article}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage[margin=25mm]{geometry}",
        r"\usepackage{graphicx,booktabs}",
        r"\title{Generative models of human faces}",
        r"\author{}",
        r"\begin{document}",
        r"\maketitle",
        r"\section{Question}",
        "% What do you want to know, and which comparison would tell?",
        r"\section{Methods}",
    ]
    for paragraph in _methods(runs):
        lines += [latex(paragraph), ""]
    lines.append(r"\section{Results}")
    for table in tables:
        lines += [
            r"\begin{table}[htbp]",
            r"\centering\small",
            rf"\caption{{{latex(table.caption)}}}",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\input{{tables/{table.name}.tex}}}}",
            r"\end{table}",
            "",
        ]
    for name, drawing in captions:
        lines += [
            r"\begin{figure}[htbp]",
            r"\centering",
            rf"\includegraphics[width={drawing.width:g}\linewidth,height=0.8\textheight,"
            rf"keepaspectratio]{{figures/{name}.pdf}}",
            rf"\caption{{{latex(drawing.caption)}}}",
            r"\end{figure}",
            "",
        ]
    lines += [
        r"\section{What these numbers do not say}",
        "% One training each? Which photos? Which network measured?",
        r"\end{document}",
        "",
    ]
    return "\n".join(lines)
