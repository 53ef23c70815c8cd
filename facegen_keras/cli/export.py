"""`export`: a trained model for other runtimes."""

import shlex

from facegen_keras.cli.export_config import ExportConfig
from facegen_keras.cli.model_path import find_model_file
from facegen_keras.generate.runtimes import export_model


def run(config: ExportConfig) -> int:
    """Export, and print each file."""
    path = find_model_file(config.model_path or "")
    for file in export_model(path, config.output, config.format, config.parts, config.runtime):
        print(file)
    if config.format == "web":
        print(f"to see it: python -m http.server --directory {shlex.quote(config.output)}")
    return 0
