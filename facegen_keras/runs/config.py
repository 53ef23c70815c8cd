"""The configuration of a training: one flat dataclass that flags, YAML files and the run's record
share.

What concerns the run is declared here. The options of the families are declared beside their
models, in `VAEOptions`, `DCGANOptions`, `CombinedOptions` and `StyleGAN2Options`; each of them
becomes a field of `TrainConfig` too.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

import yaml

from facegen_keras.engine import options as every_family
from facegen_keras.engine.options import AdamOptions, FaceModelOptions, Precision
from facegen_keras.errors import UserError
from facegen_keras.files.atomic import write_text
from facegen_keras.models.options import OPTIONS
from facegen_keras.runs.config_text import parse_duration, to_yaml
from facegen_keras.runs.family_options import families_with, family_fields, options_of

if TYPE_CHECKING:
    from facegen_keras.models.families import Family

# Options that may change when a run is resumed; the others decide its result. Those that decide the
# result of any training, of `fit(checkpoints=...)` too, are in `engine.options.MAY_CHANGE`.
MAY_CHANGE = {
    "epochs", "save_interval", "save_minutes", "time_limit", "on_nan", "output_dir",
    "saved_models_dir", "cache_dir", "data_path", "tensorboard", "wandb", "wandb_project",
    "wandb_group", "resume", "dry_run", "fid_every", "fid_images", "extractor",
    "inception_weights", "decay_from", "devices", "cluster", *every_family.MAY_CHANGE,
}  # fmt: skip
OF_ONE_CALL = (
    "resume",
    "dry_run",
    "time_limit",
    "devices",
    "cluster",
)  # given anew each time, never part of a record
_NEEDS_A_START = {
    "freeze_discriminator": "the layers of a trained discriminator are frozen; give its generator",
    "warm_up_images": "the others learn beside a trained generator; give it",
}  # options that mean something only with `init_from`


@dataclass
class _Training:
    """Family, data and optimization: the first fields of `TrainConfig`."""

    model: Literal["vae", "dcgan", "combined", "stylegan2"] | None = None
    """Family to train."""
    name: str | None = None
    """Name of the run's folder in output_dir; by default family, resolution and time."""

    data_path: str = "./dataset"
    """Folder, .zip, .npz, .npy or hf:owner/name[:split] with the photos."""
    resolution: int = FaceModelOptions.resolution
    """Height and width of the images: 32, 64, 128 ... pixels."""
    crop: str = "center"
    """center, none, or x0,y0,x1,y1 in pixels of the photo."""
    mirror: bool = False
    """Flip half of the photos at random."""
    limit: int | None = None
    """Use only the first photos, so many."""
    validation_split: float = 0.0
    """Fraction of the photos held out for the validation loss (vae)."""
    cache_dir: str | None = None
    """Where decoded photos are kept; by default the user's cache folder."""

    epochs: int = 1000
    """Passes over the data, in total."""
    batch_size: int = 128
    """Images per step."""
    decay_from: float | None = None
    """Decay the learning rate linearly to 0 from this fraction of the epochs on, such as 0.75;
    null on resume keeps the current rate."""
    precision: Precision = FaceModelOptions.precision
    """Arithmetic of the hidden layers; float16 scales the losses, auto is bfloat16 where it is
    faster and else float32."""
    seed: int = FaceModelOptions.seed
    """Seed of weights, latents and the order of the data."""
    deterministic: bool = False
    """Use kernels that give the same bits in every run; may be slower. JAX on a GPU needs a flag of
    XLA for it, and says so."""
    patience: int | None = None
    """Stop after this many epochs without a better validation loss, and keep the best model
    (vae)."""


_FAMILY_FIELDS = family_fields(without=[field.name for field in dataclasses.fields(_Training)])
_OF_ADAM = tuple(field.name for field in dataclasses.fields(AdamOptions))
_MEANINGS = [f"    {name}: {field.metadata['help']}" for name, _, field in _FAMILY_FIELDS]

# `Any` to type checkers: they cannot read fields that are made at run time, and take all of them.
_FamilyOptions: Any = dataclasses.make_dataclass(
    "_FamilyOptions",
    _FAMILY_FIELDS,
    bases=(_Training,),
    namespace={
        "__module__": __name__,
        "__doc__": "\n".join(["The options of all families.", "", "Attributes:", *_MEANINGS]),
    },
)


@dataclass
class TrainConfig(_FamilyOptions, _Training):
    """A training: data, family, optimization, guards and places.

    Options of a family that are left out take the value of its paper.
    """

    GROUPS: ClassVar[dict[str, tuple[str, ...]]] = {  # of the help
        "data": (
            "data_path", "resolution", "crop", "mirror", "limit", "validation_split", "cache_dir",
        ),
        "family": (
            "model", "init_from",
            *(name for name, _, _ in _FAMILY_FIELDS if name not in _OF_ADAM),
        ),
        "optimization": (
            "epochs", "batch_size", *_OF_ADAM, "decay_from", "precision", "seed", "deterministic",
            "patience", "on_nan",
        ),
        "run": (
            "name", "output_dir", "saved_models_dir", "save_interval", "save_minutes",
            "time_limit", "resume", "devices", "cluster", "dry_run",
        ),
        "tracking": (
            "fid_every", "fid_images", "extractor", "inception_weights", "tensorboard", "wandb",
            "wandb_project", "wandb_group",
        ),
    }  # fmt: skip

    init_from: str | None = None
    """Start from the weights of this generator, trained here, imported, or of the Hugging Face Hub
    as hf:owner/name[/file.h5][@revision]; networks beside it are taken too."""

    save_interval: int = 50
    """Epochs between grids, exports and checkpoints."""
    save_minutes: float = 10.0
    """Minutes between checkpoints within that interval, so that a lost job loses no more."""
    time_limit: str | None = None
    """Save and exit after this time, such as 90s, 30m or 2h."""
    on_nan: Literal["stop", "rollback"] = "stop"
    """When a loss is not a number: stop, or continue from the last checkpoint."""
    resume: str | None = None
    """Folder of a run to continue, or latest."""
    devices: int | None = None
    """Devices of this machine to train on, 0 for all; needs JAX."""
    cluster: str | None = None
    """Train in several processes: slurm (in tasks that srun starts), or HOST:PORT,N,K in process
    K of N."""
    dry_run: bool = False
    """Print the resolved configuration, sizes and expected time; train nothing."""
    fid_every: int | None = None
    """Measure the FID at this interval, in epochs, and keep the best model by it."""
    fid_images: int = 5000
    """Samples to generate, and photos to compare them with, at each measurement."""
    extractor: Literal["inception", "efficientnet-lite0", "face-descriptor"] = "inception"
    """Feature network of fid_every; only inception gives an FID, the others an FD."""
    inception_weights: str | None = None
    """The file pt_inception-2015-12-05-6726825d.pth; downloaded (91 MB) when left out."""
    tensorboard: bool = False
    """Log to TensorBoard in the run's folder."""
    wandb: bool = False
    """Log to Weights & Biases; offline without a key."""
    wandb_project: str = "facegen_keras"
    """Weights & Biases project."""
    wandb_group: str | None = None
    """Weights & Biases group."""
    output_dir: str = "./output"
    """Folder that holds the run folders."""
    saved_models_dir: str = "./saved_models"
    """Folder of the final models."""

    def __post_init__(self) -> None:
        """Refuse impossible values before anything is opened or written."""
        for name, lowest in (("epochs", 1), ("batch_size", 1), ("save_interval", 1)):
            if getattr(self, name) < lowest:
                raise UserError(f"{name} {getattr(self, name)}: expected {lowest} or more")
        if self.decay_from is not None and not 0 <= self.decay_from < 1:
            raise UserError(
                f"decay_from {self.decay_from}: expected a number from 0 to less than 1"
            )
        if not 0 <= self.validation_split < 1:
            raise UserError(f"validation_split {self.validation_split}: expected 0 to less than 1")
        if self.patience is not None and self.patience < 1:
            raise UserError(f"patience {self.patience}: expected 1 or more epochs")
        if self.patience is not None and not self.validation_split:
            raise UserError("patience: needs held-out photos; give validation_split, such as 0.1")
        if self.fid_every is not None and (self.fid_every < 1 or self.fid_images < 2):
            raise UserError(
                f"fid_every {self.fid_every}, fid_images {self.fid_images}: expected at least 1 "
                "and at least 2"
            )
        if self.fid_every is not None and self.patience is not None:
            raise UserError("fid_every and patience: both choose the best model; give one of them")
        if self.accumulate and self.batch_size % self.accumulate:
            raise UserError(
                f"accumulate {self.accumulate}: does not divide batch_size {self.batch_size} evenly"
            )
        if not self.save_minutes > 0:  # NaN is neither
            raise UserError(f"save_minutes {self.save_minutes}: expected a positive number")
        if self.name is not None and (self.name in ("", "..") or Path(self.name).name != self.name):
            raise UserError(
                f"name {self.name!r}: expected a folder name without slashes, such as faces_1"
            )
        self.time_limit_seconds  # noqa: B018 - a wrong one is refused now
        if self.model is not None:
            self.options()
            self.adam_options()
        for name, needs in _NEEDS_A_START.items():
            if getattr(self, name) and not self.init_from:
                raise UserError(f"{name}: {needs} as init_from")

    @staticmethod
    def defaults_of(family: str) -> tuple[dict[str, Any], list[str]]:
        """What the help of a family shows: its defaults, and the options that are not its own."""
        if family not in OPTIONS:
            return {}, []
        own = options_of(family)
        adam = OPTIONS[family].adam
        defaults = {
            name: getattr(adam, name, own[name].default) for name, _, _ in _FAMILY_FIELDS
            if name in own
        }  # fmt: skip
        return defaults, [name for name, _, _ in _FAMILY_FIELDS if name not in own]

    @property
    def time_limit_seconds(self) -> float | None:
        """`time_limit` in seconds, or None."""
        return None if self.time_limit is None else parse_duration(self.time_limit)

    @property
    def family(self) -> "Family":
        """The class of the family to train; imports Keras.

        Raises:
            UserError: No family is named.
        """
        from facegen_keras.models.families import FAMILIES

        return FAMILIES[self.options_type.family]

    @property
    def options_type(self) -> type[FaceModelOptions]:
        """The dataclass of the family's options.

        Raises:
            UserError: No family is named.
        """
        if self.model is None:
            raise UserError(f"model: say which family to train: {', '.join(OPTIONS)}")
        if self.model not in OPTIONS:
            raise UserError(f"model {self.model!r}: expected one of {', '.join(OPTIONS)}")
        return OPTIONS[self.model]

    def model_options(self) -> dict[str, Any]:
        """The arguments of the family's class that this configuration sets.

        Raises:
            UserError: No family is named, or an option is set that it does not have.
        """
        own = options_of(self.options_type.family)
        for name, _, _ in _FAMILY_FIELDS:
            if name not in own and getattr(self, name) is not None:
                self._refuse(name, families_with(name))
        having = [f for f, options in OPTIONS.items() if options.has_validation]
        if self.validation_split and self.model not in having:
            self._refuse("validation_split", having)
        names = sorted(f.name for f in dataclasses.fields(self.options_type))
        return {n: getattr(self, n) for n in names if getattr(self, n) is not None}

    def _refuse(self, name: str, families: list[str]) -> NoReturn:
        raise UserError(
            f"{name}: an option of {', '.join(families)}, not of {self.model}; leave it out"
        )

    def options(self) -> FaceModelOptions:
        """The options of the family, defaults included.

        Raises:
            UserError: As for `model_options`, or a value is out of its range.
        """
        return self.options_type(**self.model_options())

    def adam_options(self) -> AdamOptions:
        """Learning rate and β1, those of the family's paper where they are left out.

        Raises:
            UserError: A value is out of its range.
        """
        names = [field.name for field in dataclasses.fields(AdamOptions)]
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return dataclasses.replace(self.options_type.adam, **given)

    def resolved(self) -> "TrainConfig":
        """This configuration with every option of the family filled in; needs no model.

        Raises:
            UserError: As for `options`.
        """
        adam = dataclasses.asdict(self.adam_options())
        return dataclasses.replace(self, **self.options().as_dict(), **adam)

    def save(self, path: str | Path) -> None:
        """Write the configuration as YAML, without what concerns one call only."""
        write_text(path, self.record())

    def record(self) -> str:
        """The YAML that `save` writes."""
        values = dataclasses.asdict(self)
        return to_yaml({k: v for k, v in values.items() if k not in OF_ONE_CALL})


def load_config(path: str | Path) -> TrainConfig:
    """The configuration that a run wrote as `config.yaml`.

    Raises:
        UserError: The file is missing, is not YAML, or names something else than `TrainConfig`.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return TrainConfig(**values)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a configuration ({' '.join(str(error).split())})") from None
