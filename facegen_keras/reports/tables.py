"""Tables for a report: CSV, Markdown, and LaTeX with booktabs."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facegen_keras.figures.curves import printed_name
from facegen_keras.figures.distances import INTERVAL
from facegen_keras.files.atomic import write_text
from facegen_keras.metrics.result import Report, error_text, number_text, shortened
from facegen_keras.reports.sources import Run, by_family

MOST_OPTIONS = 6  # that a table of runs shows
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
SPECIAL |= {character: f"\\{character}" for character in "&%$#_{}"}
LETTERS = {"β": r"$\beta$", "ψ": r"$\psi$", "±": r"$\pm$", "×": r"$\times$", "–": "--"}
LAST_LATIN = 0x17F  # what `inputenc` and the T1 fonts know
LETTERS |= {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "−": "$-$"}


@dataclass(frozen=True)
class Table:
    """A table of words.

    Attributes:
        name: Of its files.
        caption: A sentence or two.
        head: Names of the columns.
        rows: The cells.
    """

    name: str
    caption: str
    head: list[str]
    rows: list[list[str]]

    def save(self, folder: Path) -> list[Path]:
        """Write `<name>.csv`, `.md` and `.tex`."""
        written = {".csv": self.csv(), ".md": self.markdown(), ".tex": self.latex()}
        for suffix, text in written.items():
            write_text(folder / f"{self.name}{suffix}", text)
        return [folder / f"{self.name}{suffix}" for suffix in written]

    def csv(self) -> str:
        """The table as CSV."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.head, *self.rows])
        return text.getvalue()

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [self.head, ["---"] * len(self.head), *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"

    def latex(self) -> str:
        """The table as LaTeX; needs the package booktabs."""
        body = [" & ".join(map(latex, cells)) + r" \\" for cells in (self.head, *self.rows)]
        return "\n".join(
            [
                rf"\begin{{tabular}}{{l{'r' * (len(self.head) - 1)}}}",
                r"\toprule",
                body[0],
                r"\midrule",
                *body[1:],
                r"\bottomrule",
                r"\end{tabular}",
                "",
            ]
        )


def latex(text: str) -> str:
    """A text with LaTeX's own characters written so that they are printed, and a question mark for
    those of alphabets that its standard fonts do not have.
    """
    return "".join(SPECIAL.get(c, LETTERS.get(c, c if ord(c) <= LAST_LATIN else "?")) for c in text)


def runs_tables(runs: Sequence[Run]) -> list[Table]:
    """What was trained: a table per family, with the options that differ within it."""
    return [_runs_table(family, of_it) for family, of_it in by_family(runs).items()]


def _runs_table(family: str, runs: Sequence[Run]) -> Table:
    options = differing(runs)
    judged = any(run.best is not None for run in runs)
    head = ["run", *options, "images seen", "hours", "seed"]
    rows = []
    for run in runs:
        cells = [run.name]
        cells += [_word(getattr(run.config, name)) for name in options]
        cells += [f"{run.images_seen:,}", f"{run.hours[-1]:.2g}", str(run.config.seed)]
        if judged:
            best = run.best
            label = printed_name(run.judged_by or "")
            cells.append(f"{label} {number_text(best)}" if best is not None else "–")
        rows.append(cells)
    caption = f"The {family} trainings. Hours are of training alone, at the speed in the log."
    if judged:
        head.append("best")
        caption += " Best is the smallest value that the log has."
    return Table(f"runs_{family}", caption, head, rows)


def differing(runs: Sequence[Run]) -> list[str]:
    """The options of models and optimizers that are not the same in all runs, six at most."""
    leave_out = {"name", "seed", "output_dir", "saved_models_dir", "resume", "wandb_group"}
    leave_out |= {"data_path", "model", "cache_dir", "devices", "cluster", "time_limit"}
    names = [name for name in vars(runs[0].config) if name not in leave_out] if runs else []
    varied = [n for n in names if len({_word(getattr(run.config, n)) for run in runs}) > 1]
    return varied[:MOST_OPTIONS]


def evaluation_table(report: Report) -> Table:
    """What was measured: a line per model, a column per number, with 95 % intervals."""
    keys = report.keys
    rows = []
    for name, evaluation in zip(report.short_names, report.evaluations, strict=True):
        cells = [name]
        for key in keys:
            number = evaluation.numbers.get(key)
            if number is None:
                cells.append("–")
                continue
            text = number_text(number.value, number.error)
            bar = f" ± {error_text(INTERVAL * number.error)}" if number.error else ""
            cells.append(text + bar)
        rows.append(cells)
    caption = protocol_of(report)
    if any(number.error for e in report.evaluations for number in e.numbers.values()):
        caption += " ± is a 95 % interval over the choice of images (of PPL: of walks)."
    return Table("evaluation", caption, ["model", *(report.label(key) for key in keys)], rows)


def protocol_of(report: Report) -> str:
    """How the numbers of a report were measured, and what is not the same for all of them."""
    protocol, varied = report.protocol
    facts = ", ".join(
        f"{key.replace('_', ' ')} {shortened(value)}"
        for key, value in protocol.items()
        if isinstance(value, str | int | float) and value != ""
    )
    caption = f"The protocol: {facts}."
    if varied:
        names = ", ".join(name.replace("_", " ") for name in varied)
        caption += f" Not the same for all: {names}."
    return caption


def _word(value: object) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
