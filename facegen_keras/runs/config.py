"""What a training is told: one flat dataclass that flags, YAML files and the run's record share."""

import dataclasses
import inspect
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from facegen_keras.engine import resume
from facegen_keras.errors import UserError
from facegen_keras.files.atomic import write_text
from facegen_keras.models import FAMILIES

# Options that may change when a run is resumed; the others decide its result. Those that decide the
# result of any training, of `fit(checkpoints=...)` too, are in `resume.MAY_CHANGE`.
MAY_CHANGE = {
    "epochs", "save_interval", "save_minutes", "time_limit", "on_nan", "output_dir",
    "saved_models_dir", "cache_dir", "data_path", "tensorboard", "wandb", "wandb_project",
    "wandb_group", "resume", "dry_run", "fid_every", "fid_images", "extractor",
    "inception_weights", "decay_from", *resume.MAY_CHANGE,
}  # fmt: skip
OF_ONE_CALL = ("resume", "dry_run", "time_limit")  # said anew each time, never part of a record
LARGEST_SEED = 2**32 - 1  # NumPy's


@dataclass
class TrainConfig:
    """A training: data, family, optimization, guards and places.

    Options of a family that are left out take the value of its paper.
    """

    model: Literal["vae", "dcgan", "combined", "stylegan2"] | None = None
    """Family to train."""
    name: str | None = None
    """Name of the run's folder in output_dir; by default family, resolution and time."""

    data_path: str = "./dataset"
    """Folder, .zip, .npz, .npy or hf:owner/name[:split] with the photos."""
    resolution: int = 64
    """Height and width of the images: 32, 64, 128 ... pixels."""
    crop: str = "center"
    """center, none, or x0,y0,x1,y1 in pixels of the photo."""
    mirror: bool = False
    """Flip half of the photos at random."""
    limit: int | None = None
    """Use the first so many photos only."""
    validation_split: float = 0.0
    """Part of the photos held out for the validation loss (vae)."""
    cache_dir: str | None = None
    """Where decoded photos are kept; by default the user's cache folder."""

    epochs: int = 1000
    """Passes over the data, in all."""
    batch_size: int = 128
    """Images a step."""
    learning_rate: float | None = None
    """Adam's learning rate."""
    beta_1: float | None = None
    """Adam's β1."""
    decay_from: float | None = None
    """Let the learning rate fall linearly to 0 from this part of the epochs on, such as 0.75;
    null when resuming leaves it where it has come to."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Arithmetic of the hidden layers; float16 scales the losses."""
    seed: int = 0
    """Of weights, latents and the order of the data."""
    deterministic: bool = False
    """Ask for kernels that repeat bit for bit."""
    patience: int | None = None
    """Stop after so many epochs without a better validation loss, and keep the best model."""

    latent_dim: int | None = None
    """Length of the latent z."""
    base_channels: int | None = None
    """Channels of the convolution next to the image."""
    beta: float | None = None
    """Weight of the KL divergence (vae, combined)."""
    kl_warmup: int | None = None
    """Images over which that weight grows from 0 (vae)."""
    reconstruction: Literal["mse", "bce"] | None = None
    """Reconstruction loss, summed over pixels (vae)."""
    feature_weight: float | None = None
    """Weight of the feature reconstruction in the generator's loss (combined)."""
    loss: Literal["non_saturating", "hinge"] | None = None
    """Adversarial loss (dcgan, combined)."""
    label_smoothing: float | None = None
    """How far from 1 the label of a photo is (dcgan, combined)."""
    r1_gamma: float | None = None
    """Weight of the R1 penalty, 0 for none (dcgan, stylegan2)."""
    r1_interval: int | None = None
    """Steps from one R1 penalty to the next (dcgan, stylegan2)."""
    spectral_norm: bool | None = None
    """Spectral instead of batch normalization in the discriminator (dcgan, combined)."""
    augment: str | None = None
    """DiffAugment: any of color,translation,cutout (dcgan, combined, stylegan2)."""
    ema_half_life: float | None = None
    """Half-life of the averaged weights, in images (dcgan, combined, stylegan2)."""
    ema_rampup: float | None = None
    """That half-life is at most this part of the images seen (dcgan, combined, stylegan2)."""

    w_dim: int | None = None
    """Length of the intermediate latent w (stylegan2)."""
    mapping_layers: int | None = None
    """Depth of the mapping network (stylegan2)."""
    channel_base: int | None = None
    """Channels are this over the resolution, up to channel_max (stylegan2)."""
    channel_max: int | None = None
    """Most channels of a layer (stylegan2)."""
    path_weight: float | None = None
    """Weight of path length regularization, 0 for none (stylegan2)."""
    path_interval: int | None = None
    """Steps from one path length regularization to the next (stylegan2)."""
    style_mixing: float | None = None
    """Part of the images that mix two styles (stylegan2)."""
    ada_target: float | None = None
    """Adapt the probability of augmenting to this mean sign of logits, such as 0.6 (stylegan2)."""
    ada_images: float | None = None
    """Images in which that probability can go from 0 to 1 (stylegan2)."""
    accumulate: int | None = None
    """Parts a batch is split into, one after the other, to save memory (stylegan2)."""
    progressive: str | None = None
    """Progressive growing: kimg per resolution below the last, such as 8:60,16:120 (stylegan2)."""
    progressive_fade: float | None = None
    """Part of the previous resolution's kimg over which a new one fades in (stylegan2)."""
    freeze_discriminator: int | None = None
    """Layers of the discriminator next to the image that are not trained (stylegan2)."""
    low_precision_blocks: int | None = None
    """How many of the highest resolutions use `precision` (stylegan2)."""
    init_from: str | None = None
    """Start from the weights of this generator, ours or imported (stylegan2)."""

    save_interval: int = 50
    """Epochs from one grid, export and checkpoint to the next."""
    save_minutes: float = 10.0
    """Minutes from one checkpoint to the next within that, so that a lost job loses no more."""
    time_limit: str | None = None
    """Save and end after so long, such as 90s, 30m or 2h."""
    on_nan: Literal["stop", "rollback"] = "stop"
    """When a loss is not a number: stop, or go on from the last checkpoint."""
    resume: str | None = None
    """Folder of a run to go on with, or latest."""
    dry_run: bool = False
    """Print the resolved configuration, sizes and expected time; train nothing."""
    fid_every: int | None = None
    """Measure the FID every so many epochs and keep the best model by it."""
    fid_images: int = 5000
    """Samples generated, and photos compared with, each time."""
    extractor: Literal["inception", "efficientnet-lite0"] = "inception"
    """Feature network of fid_every; only inception gives an FID, the other an FD."""
    inception_weights: str | None = None
    """The file pt_inception-2015-12-05-6726825d.pth; downloaded (91 MB) when left out."""
    tensorboard: bool = False
    """Log to TensorBoard in the run's folder."""
    wandb: bool = False
    """Log to Weights & Biases; offline where there is no key."""
    wandb_project: str = "facegen_keras"
    """Project there."""
    wandb_group: str | None = None
    """Group there."""
    output_dir: str = "./output"
    """Folder of the runs."""
    saved_models_dir: str = "./saved_models"
    """Folder of the final models."""

    def __post_init__(self) -> None:
        """Refuse impossible values before anything is opened or written."""
        for name, lowest in (("epochs", 1), ("batch_size", 1), ("save_interval", 1)):
            if getattr(self, name) < lowest:
                raise UserError(f"{name} {getattr(self, name)}: expected {lowest} or more")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise UserError(f"seed {self.seed}: expected 0 to {LARGEST_SEED}")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise UserError(f"learning_rate {self.learning_rate}: expected a positive number")
        if self.beta_1 is not None and not 0 <= self.beta_1 < 1:
            raise UserError(f"beta_1 {self.beta_1}: expected a number from 0 to less than 1")
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
        if not self.save_minutes > 0:  # NaN is neither
            raise UserError(f"save_minutes {self.save_minutes}: expected a positive number")
        if self.name is not None and (self.name in ("", "..") or Path(self.name).name != self.name):
            raise UserError(
                f"name {self.name!r}: expected a folder name without slashes, such as faces_1"
            )
        self.time_limit_seconds  # noqa: B018 - a wrong one is refused now
        if self.model is not None:
            self.model_options()

    @property
    def time_limit_seconds(self) -> float | None:
        """`time_limit` in seconds, or None."""
        return None if self.time_limit is None else parse_duration(self.time_limit)

    def model_options(self) -> dict[str, Any]:
        """The arguments of the family's class that this configuration sets.

        Raises:
            UserError: No family is named, or an option is set that it does not have.
        """
        if self.model is None:
            raise UserError(f"model: say which family to train: {', '.join(FAMILIES)}")
        own = _arguments(self.model)
        for option, families in _families_by_option().items():
            if getattr(self, option, None) is not None and option not in own:
                if option in _SHARED:
                    continue
                raise UserError(
                    f"{option}: an option of {', '.join(families)}, not of {self.model}; "
                    "leave it out"
                )
        if self.validation_split and self.model != "vae":
            raise UserError(f"validation_split: an option of vae, not of {self.model}")
        names = own & {field.name for field in dataclasses.fields(self)}
        return {n: getattr(self, n) for n in sorted(names) if getattr(self, n) is not None}

    def resolved(self) -> "TrainConfig":
        """This configuration with every option of the family filled in; needs no model.

        Raises:
            UserError: No family is named, or an option is set that it does not have.
        """
        given = self.model_options()
        family = FAMILIES[self.model]
        own = _defaults(family.default_optimizers)
        own = {name: value for name, value in own.items() if getattr(self, name) is None}
        own |= {**_defaults(family.__init__), **given}
        names = {field.name for field in dataclasses.fields(self)}
        return dataclasses.replace(self, **{k: v for k, v in own.items() if k in names})

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
    except (yaml.YAMLError, TypeError) as error:
        raise UserError(f"{path}: not a configuration ({' '.join(str(error).split())})") from None


_SHARED = {"resolution", "seed", "precision"}


def parse_duration(text: str) -> float:
    """Seconds of `"90s"`, `"30m"`, `"2h"` or `"1.5d"`; a bare number is seconds.

    Raises:
        UserError: Anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", str(text))
    if not match or not float(match[1]):
        raise UserError(f"time_limit {text!r}: expected a duration such as 90s, 30m or 2h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def to_yaml(values: dict[str, Any]) -> str:
    """A mapping as YAML in its own order, without the entries that are None."""
    kept = {name: value for name, value in values.items() if value is not None}
    return yaml.dump(kept, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Quotes text that begins like a number: 1e5 is text to PyYAML and a float to others."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        style = '"' if re.match(r"[-+.]?\d", text) else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)


def _defaults(function: Any) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _arguments(family: str) -> set[str]:
    return set(inspect.signature(FAMILIES[family].__init__).parameters) - {"self"}


def _families_by_option() -> dict[str, list[str]]:
    """Which families have an option, for every option of any family that is a field here."""
    found: dict[str, list[str]] = {}
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    for family in FAMILIES:
        for name in sorted(_arguments(family) & names):
            found.setdefault(name, []).append(family)
    return found
