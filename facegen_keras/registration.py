"""Make our layers known to Keras, without importing Keras.

`keras.saving.load_model` opens a file of this package once `facegen_keras` is imported. Keras looks
classes up in its registry, and a class enters that by being defined, which needs Keras. So that
`import facegen_keras` need not wait seconds for Keras, the registry gets placeholders, as soon as
there is one: at once if Keras is imported already, or else when it is. Until then an entry in
`sys.meta_path` waits for that, which is all that importing the package leaves behind.
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGE = "facegen_keras"  # the first half of the registered names: "facegen_keras>ToRGB"
_EQUALIZED = "facegen_keras.models.stylegan2.equalized_layers"
_MODULATED = "facegen_keras.models.stylegan2.modulated_layers"
FAMILIES = {  # models in training, which Keras saves whole; no layers of a generator
    "Combined": "facegen_keras.models.combined",
    "DCGAN": "facegen_keras.models.dcgan",
    "StyleGAN2": "facegen_keras.models.stylegan2.family",
    "VAE": "facegen_keras.models.vae",
}
CLASSES = {
    **FAMILIES,
    "Adam": "facegen_keras.engine.adam",
    "BatchNormalization": "facegen_keras.layers",
    "EqualizedConv": _EQUALIZED,
    "EqualizedDense": _EQUALIZED,
    "FilteredDownsampling": _EQUALIZED,
    "FilteredUpsampling": _EQUALIZED,
    "LearnedConstant": _MODULATED,
    "MinibatchStddev": _EQUALIZED,
    "PixelNorm": _EQUALIZED,
    "Sampling": "facegen_keras.layers",
    "SpectralConv2D": "facegen_keras.layers",
    "SpectralDense": "facegen_keras.layers",
    "StyledConv": _MODULATED,
    "ToRGB": _MODULATED,
    "TruncatedStyles": _MODULATED,
}


def register_with_keras() -> None:
    """Put a placeholder for each class into Keras's registry, now or when Keras is imported."""
    if "keras" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _WaitForKeras())


def _register() -> None:
    import keras

    known = keras.saving.get_custom_objects()
    for name, module in CLASSES.items():
        known.setdefault(f"{PACKAGE}>{name}", _Placeholder(module, name))


class _Placeholder:
    """Stands for a class until its module is imported, which replaces it in the registry.

    Not the class itself: Keras may be imported by one of our own modules, half way through.
    """

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def from_config(self, config: dict[str, object]) -> object:
        """What Keras calls to make a layer of a file."""
        return getattr(importlib.import_module(self.module), self.name).from_config(config)


class _WaitForKeras:
    """A finder that finds nothing itself, and registers once Keras has been executed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "keras":
            return None
        sys.meta_path.remove(self)  # or it would be asked again
        try:
            spec = importlib.util.find_spec(name)
        finally:  # TensorFlow only looks for Keras, and imports it later
            sys.meta_path.insert(0, self)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _register()

        vars(spec.loader)["exec_module"] = execute_and_register  # of this loader, not of its class
        return spec
