"""The formats of other runtimes, by name; knowing them needs no Keras."""

from typing import Literal, get_args

Format = Literal["onnx", "litert", "tf_saved_model", "safetensors", "web", "h5"]
FORMATS: tuple[Format, ...] = get_args(Format)
