"""`report`: runs, sweeps and evaluations as figures, tables, captions and a LaTeX skeleton."""

from facegen_keras.cli.report_config import ReportConfig
from facegen_keras.reports.write import report


def run(config: ReportConfig) -> int:
    """Write the folder, and say what is in it."""
    folder = report(config.sources or [], config.output, config.data_path)
    print(f"figures, tables, captions.md, provenance.json and report.tex: {folder}")
    return 0
