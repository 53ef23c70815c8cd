"""Check a source of photos before training: a printed table, a JSON file and a contact sheet."""

import json
from pathlib import Path

from facegen_keras.data.contact_sheet import draw_contact_sheet
from facegen_keras.data.decode import Settings
from facegen_keras.data.doctor import Diagnosis, examine
from facegen_keras.data.faces import open_source, parse_crop
from facegen_keras.errors import UserError, printable
from facegen_keras.files.atomic import write_text
from facegen_keras.files.places import check_output_dir
from facegen_keras.resolution import check_resolution

NAMES_SHOWN = 3  # per line of the table; the JSON has all of them


def run_check(
    path: str,
    output_dir: str = "output",
    resolution: int = 64,
    crop: str | tuple[int, int, int, int] = "center",
    min_size: int | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> int:
    """Print a table of what is in a source; write `data_check.json` and `data_check.png`.

    Args:
        path: Anything that `load_faces` takes.
        output_dir: Folder for the two files. Its images are not counted, even below `path`.
        resolution: Side of the images of the intended training, in pixels.
        crop: As for `load_faces`.
        min_size: Shorter side below which an image is too small; by default half the resolution.
        workers: Processes that decode; by default one per core.
        progress: Show a progress bar.

    Returns:
        1 if a file is unusable, else 0. Duplicates and odd modes are usable.

    Raises:
        UserError: There is nothing to check, or the files cannot be written.
    """
    check_resolution(resolution)
    least = resolution // 2 if min_size is None else min_size
    settings = Settings(resolution, parse_crop(crop), least)
    check_output_dir(output_dir, path)
    source = open_source(path, without=[output_dir])
    diagnosis = examine(source, settings, workers, progress)
    print(table(diagnosis))
    folder = Path(output_dir)
    report, sheet = folder / "data_check.json", folder / "data_check.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(report, json.dumps(diagnosis.to_json(), indent=1) + "\n")
        draw_contact_sheet(source, diagnosis, sheet)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror or error}); give another output_dir"
        ) from error
    print(f"full lists: {report}; contact sheet: {sheet}")
    return 1 if diagnosis.unusable else 0


def table(diagnosis: Diagnosis) -> str:
    """A diagnosis as lines for the terminal."""
    rows = [("files", f"{diagnosis.files:,}", f"{diagnosis.bytes / 2**20:,.1f} MiB")]
    rows.append(("usable", f"{diagnosis.usable:,}", ""))
    for problem, findings in diagnosis.unusable.items():
        examples = [f"{printable(item.name)}: {item.detail}" for item in findings]
        rows.append((problem, f"{len(findings):,}", _some(examples, "; ")))
    if aside := diagnosis.set_aside:
        names = [printable(finding.name) for finding in aside]
        rows.append(("set aside", f"{len(aside):,}", _some(names)))
    for mode, findings in diagnosis.odd_modes.items():
        names = [printable(finding.name) for finding in findings]
        rows.append((f"mode {mode}", f"{len(findings):,}", f"become RGB: {_some(names)}"))
    if diagnosis.duplicates:
        copies = sum(len(group) - 1 for group in diagnosis.duplicates)
        pairs = [" = ".join(printable(name) for name in group) for group in diagnosis.duplicates]
        rows.append(("duplicates", f"{copies:,}", _some(pairs, "; ")))
    formats = [f"{name} {count:,}" for name, count in diagnosis.formats.items()]
    rows.append(("formats", "", ", ".join(formats)))
    sizes = [f"{size} ({count:,})" for size, count in diagnosis.sizes.items()]
    rows.append(("sizes", f"{len(sizes):,}", _some(sizes)))
    title_width = max(len(title) for title, _, _ in rows)
    count_width = max(len(count) for _, count, _ in rows)
    lines = [
        f"  {title:<{title_width}}  {count:>{count_width}}  {text}".rstrip()
        for title, count, text in rows
    ]
    unusable = diagnosis.files - diagnosis.usable
    verdict = f"{unusable:,} unusable: training skips them" if unusable else "all usable"
    return "\n".join([printable(diagnosis.source), *lines, f"  {verdict}"])


def _some(items: list[str], separator: str = ", ") -> str:
    more = [f"and {len(items) - NAMES_SHOWN:,} more"] if len(items) > NAMES_SHOWN else []
    return separator.join([*items[:NAMES_SHOWN], *more])
