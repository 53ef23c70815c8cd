"""The model card that a hub shows: metadata as YAML, the card beside the model, how to use it."""

import re
from pathlib import Path
from types import ModuleType

from facegen_keras.export.write import LICENCE
from facegen_keras.files.places import HUB_PREFIX
from facegen_keras.generate.generator import Generator
from facegen_keras.metrics.result import recorded

TASK = "unconditional-image-generation"
FACES = "faces.png"  # of a card that names no picture of its own
_PICTURE = re.compile(r"!\[[^\]]*\]\(([\w.-]+\.png)\)")


def hub_card(hub: ModuleType, generator: Generator, repository: str) -> str:
    """The README of a repository: front matter, the model's card, and how the model is opened.

    Args:
        hub: The package `huggingface_hub`.
        generator: As from `load_generator`.
        repository: `owner/name`.
    """
    return f"---\n{front_matter(hub, generator)}\n---\n\n{card_of(generator)}\n{_use(repository)}"


def front_matter(hub: ModuleType, generator: Generator) -> str:
    """The metadata that hubs read, as YAML without its fences.

    The licence is `other`: the terms of the photos bind the weights. Data set and measured values
    are there where the model's file has them; of a path, only the last part.
    """
    data_path = str((generator.metadata.get("training") or {}).get("data_path") or "")
    of_hub = data_path.startswith(HUB_PREFIX)
    data = data_path.removeprefix(HUB_PREFIX).partition(":")[0] if of_hub else Path(data_path).stem
    results = [
        hub.EvalResult(
            task_type=TASK,
            dataset_type=data or "unknown",
            dataset_name=data or "unknown",
            metric_type=key,
            metric_name=number.label,
            metric_value=number.value,
        )
        for key, number in recorded(generator.metadata).items()
    ]
    card = hub.ModelCardData(
        license="other",
        license_name="terms-of-the-training-photos",
        license_link="README.md",
        library_name="keras",
        pipeline_tag=TASK,
        tags=["facegen-keras", "human-faces", generator.family],
        datasets=[data] if of_hub else None,
        model_name=_title(generator) if results else None,
        eval_results=results or None,
    )
    return str(card.to_yaml())


def card_of(generator: Generator) -> str:
    """The card beside a model's file, or one made from what the file says of itself."""
    beside = generator.path.with_suffix(".md") if generator.path else None
    if beside and beside.is_file():
        return beside.read_text(encoding="utf-8", errors="replace")
    known = generator.metadata
    rows = {
        "Family": f"{generator.family}, {generator.resolution}×{generator.resolution}, latent of "
        f"{generator.latent_dim}",
        "Terms": known.get("licence") or LICENCE,
        "Images seen": f"{known['images_seen']:,}" if "images_seen" in known else "unknown",
        **{number.label: str(number) for number in recorded(known).values()},
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"# {_title(generator)}\n\n![Faces]({FACES})\n\n| | |\n|---|---|\n{table}\n"


def pictures_of(card: str) -> list[str]:
    """The names of the pictures beside a card that it shows."""
    return list(dict.fromkeys(_PICTURE.findall(card)))


def _title(generator: Generator) -> str:
    return generator.path.stem if generator.path else f"{generator.family}_generator"


def _use(repository: str) -> str:
    return (
        "## Use\n\nWith the package `facegen_keras` installed:\n\n"
        f"    python generate.py --model_path hf:{repository} --seeds 0-35 --grid 6x6\n\n"
        "```python\nimport facegen_keras as fg\n\n"
        f'images = fg.load_generator("hf:{repository}").sample(range(36))\n```\n'
    )
