"""The flags of `report`."""

from dataclasses import dataclass, field

from facegen_keras.data.sources import check_there
from facegen_keras.errors import UserError


@dataclass
class ReportConfig:
    """What to report on, and where to."""

    sources: list[str] | None = field(default=None, metadata={"positional": True})
    """Folders of runs or sweeps, and evaluation.json files or their folders."""
    data_path: str | None = None
    """Photos, for reconstructions and the nearest photos: folder, .zip, .npy, .npz or
    hf:owner/name[:split]."""
    output: str = "./report"
    """Folder for figures, tables, captions.md, provenance.json and report.tex."""

    def __post_init__(self) -> None:
        """Refuse a report on nothing."""
        if not self.sources:
            raise UserError("report: name runs, sweeps or evaluations: report output/vae_64")


CONFIG = ReportConfig


def check(config: ReportConfig) -> None:
    """Refuse photos that are not there before figures of an earlier report are replaced."""
    if config.data_path:
        check_there(config.data_path)
