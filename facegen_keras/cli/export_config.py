"""The flags of `export`."""

from dataclasses import dataclass, field

from facegen_keras.errors import UserError
from facegen_keras.export.formats import Format


@dataclass
class ExportConfig:
    """Which model, in which format, and where to."""

    model_path: str | None = field(default=None, metadata={"positional": True})
    """A generator (.h5 or .keras, or hf:owner/name[/file.h5][@revision])."""
    format: Format = "onnx"
    """onnx, litert (a .tflite), tf_saved_model (a folder), safetensors (weights alone), web (a
    page that draws faces in a browser) or h5 (the model again, its weights as float16)."""
    output: str = "./exported"
    """Folder for the files; earlier ones there are kept under another name. For web,
    the folder of the page."""
    parts: bool = False
    """Also each part in a file of its own: mapping and synthesis (stylegan2), encoder (vae,
    combined)."""
    runtime: str | None = None
    """For web: a folder with the files of ONNX Runtime Web; otherwise they are downloaded once."""

    def __post_init__(self) -> None:
        """Refuse a missing model before Keras opens anything."""
        if not self.model_path:
            raise UserError("export: give it a model: export saved_models/dcgan_generator.h5")


CONFIG = ExportConfig
