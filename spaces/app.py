"""The demo as a hosted Space.

`FACEGEN_MODELS`, a variable of the Space, names the models: `hf:owner/name hf:owner/other/x.h5@v1`,
separated by spaces. Without it, those in the folder `saved_models` beside this file are shown.
"""

import os
from pathlib import Path

from facegen_keras.demo.app import build_app, serve
from facegen_keras.demo.studio import Studio, models_in

HERE = Path(__file__).resolve().parent

models = os.environ.get("FACEGEN_MODELS", "").split() or models_in(HERE / "saved_models")
app = build_app(Studio(models))

if __name__ == "__main__":
    serve(app, host="0.0.0.0")  # in a container of its own
