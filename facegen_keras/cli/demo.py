"""`demo`: trained models in a browser."""

import os
import signal
import tempfile

from facegen_keras.cli.demo_config import DemoConfig
from facegen_keras.data.sources import check_there
from facegen_keras.demo.app import build_app, serve
from facegen_keras.demo.studio import Studio, models_in
from facegen_keras.errors import UserError, require


def run(config: DemoConfig) -> int:
    """Open the page, say where it is, and serve it until Ctrl-C."""
    require("gradio", "demo")
    if config.data_path is not None:
        check_there(config.data_path)
    models = config.model_path or models_in(config.saved_models_dir)
    if not models:
        raise UserError(
            f"saved_models_dir {config.saved_models_dir}: no model; train one first, or give "
            "model_path a file"
        )
    studio = Studio(models, config.crop, config.data_path)
    print(f"models: {', '.join(studio.paths)}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, and cleans up
    with tempfile.TemporaryDirectory(prefix="facegen_demo_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = (
            folder  # uploads and pictures: nobody else's, gone at the end
        )
        serve(build_app(studio, config.output_dir), config.host, config.port, config.share)
    return 0
