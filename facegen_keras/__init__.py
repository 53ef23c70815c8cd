"""Generative models of human faces in Keras 3.

Every public name is imported when it is first used, so that `import facegen_keras` takes no time
and leaves Keras, SciPy and Matplotlib for later.
"""

from typing import TYPE_CHECKING

from facegen_keras.errors import UserError
from facegen_keras.lazy import lazy
from facegen_keras.registration import register_with_keras
from facegen_keras.version import __version__ as __version__

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from facegen_keras import exercises, figures, metrics
    from facegen_keras.data import FaceBatches, Faces, load_faces
    from facegen_keras.engine.callbacks import ImageGrid, LatentReport, RunLog
    from facegen_keras.engine.distribution import distribute
    from facegen_keras.engine.guards import CollapseAlarm
    from facegen_keras.export.write import save_generator
    from facegen_keras.figures import explorer
    from facegen_keras.generate.generator import Generator
    from facegen_keras.generate.loading import load_encoder, load_generator
    from facegen_keras.generate.runtimes import export_model
    from facegen_keras.generate.stylegan2 import StyleGAN2Generator
    from facegen_keras.hub.push import push_model
    from facegen_keras.models import stylegan2
    from facegen_keras.models.combined import Combined
    from facegen_keras.models.dcgan import DCGAN
    from facegen_keras.models.layer_table import layer_table
    from facegen_keras.models.stylegan2.family import StyleGAN2
    from facegen_keras.models.stylegan2.import_nvidia import import_nvidia
    from facegen_keras.models.vae import VAE
    from facegen_keras.pictures import save_grid
    from facegen_keras.reports.write import report
    from facegen_keras.runs.config import TrainConfig

__all__ = [
    "DCGAN",
    "VAE",
    "CollapseAlarm",
    "Combined",
    "FaceBatches",
    "Faces",
    "Generator",
    "ImageGrid",
    "LatentReport",
    "RunLog",
    "StyleGAN2",
    "StyleGAN2Generator",
    "TrainConfig",
    "UserError",
    "distribute",
    "exercises",
    "explorer",
    "export_model",
    "figures",
    "import_nvidia",
    "layer_table",
    "load_encoder",
    "load_faces",
    "load_generator",
    "metrics",
    "push_model",
    "report",
    "save_generator",
    "save_grid",
    "stylegan2",
]

# Where each name is defined. A name without a colon is that module itself.
_PLACES = {
    "CollapseAlarm": "engine.guards:CollapseAlarm",
    "Combined": "models.combined:Combined",
    "DCGAN": "models.dcgan:DCGAN",
    "FaceBatches": "data:FaceBatches",
    "Faces": "data:Faces",
    "Generator": "generate.generator:Generator",
    "ImageGrid": "engine.callbacks:ImageGrid",
    "LatentReport": "engine.callbacks:LatentReport",
    "RunLog": "engine.callbacks:RunLog",
    "StyleGAN2": "models.stylegan2.family:StyleGAN2",
    "StyleGAN2Generator": "generate.stylegan2:StyleGAN2Generator",
    "TrainConfig": "runs.config:TrainConfig",
    "VAE": "models.vae:VAE",
    "distribute": "engine.distribution:distribute",
    "exercises": "exercises",
    "explorer": "figures.explorer",
    "export_model": "generate.runtimes:export_model",
    "figures": "figures",
    "import_nvidia": "models.stylegan2.import_nvidia:import_nvidia",
    "layer_table": "models.layer_table:layer_table",
    "load_encoder": "generate.loading:load_encoder",
    "load_faces": "data:load_faces",
    "load_generator": "generate.loading:load_generator",
    "metrics": "metrics",
    "push_model": "hub.push:push_model",
    "report": "reports.write:report",
    "save_generator": "export.write:save_generator",
    "save_grid": "pictures:save_grid",
    "stylegan2": "models.stylegan2",
}

_import = lazy(__name__, _PLACES)
register_with_keras()


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for.

    Raises:
        UserError: Keras is configured for a backend that this package does not have.
    """
    if name in _PLACES:
        from facegen_keras.startup import check_backend

        check_backend()
    return _import(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
