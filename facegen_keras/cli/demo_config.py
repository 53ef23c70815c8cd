"""The flags of `demo`."""

from dataclasses import dataclass

from facegen_keras.data.faces import parse_crop
from facegen_keras.errors import UserError


@dataclass
class DemoConfig:
    """Which models, and at which address."""

    model_path: list[str] | None = None
    """Generators (.h5 or .keras, or hf:owner/name[/file.h5][@revision]); by default all in
    saved_models_dir."""
    saved_models_dir: str = "./saved_models"
    """Folder of the trained models."""
    data_path: str | None = None
    """Photos for "real or drawn": folder, .zip, .npy, .npz or hf:owner/name[:split]; by default
    visitors bring their own."""
    crop: str = "center"
    """Of photos: center, none, or x0,y0,x1,y1 in pixels of the photo."""
    output_dir: str = "./output"
    """Folder for the scores of "real or drawn"."""
    host: str = "127.0.0.1"
    """Address to bind to; 0.0.0.0 lets other machines in."""
    port: int = 7860
    """Port of the address."""
    share: bool = False
    """Also open a public address through Gradio's servers, for a week at most."""

    def __post_init__(self) -> None:
        """Refuse impossible values before anything is opened."""
        if not 1 <= self.port <= 65535:
            raise UserError(f"port {self.port}: expected 1 to 65535")
        parse_crop(self.crop)


CONFIG = DemoConfig
