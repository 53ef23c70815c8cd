"""The flags of `generate`, and which of them go together."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from facegen_keras import pictures
from facegen_keras.cli.values import generator_options, parse_grid, parse_seeds
from facegen_keras.data.faces import parse_crop
from facegen_keras.errors import UserError

if TYPE_CHECKING:
    from facegen_keras.generate.generator import StyleOptions

Family = Literal["vae", "dcgan", "combined", "stylegan2"]
_FACES = 16  # without num_images, seeds or a grid
STYLEGAN2_FLAGS = ("style_mix", "truncation_sweep", "directions", "project")
_FLAGS = ("interpolate", "reconstruct", *STYLEGAN2_FLAGS)
# The options that each mode reads, without those that all modes read. Plain faces are the mode
# "faces", a walk through photos is "interpolate photos".
_STYLES = {"truncation_cutoff", "noise_mode"}
_READS = {
    "faces": {"num_images", "seeds", "seed", "grid", "prior", "truncation_psi", *_STYLES},
    "interpolate": {"frames", "format", "prior", "truncation_psi", *_STYLES},
    "interpolate photos": {"frames", "format"},
    "reconstruct": {"num_images", "grid", "crop"},
    "style_mix": {"truncation_psi", *_STYLES},
    "truncation_sweep": {"num_images", "seeds", "seed", *_STYLES},
    "directions": {"num_directions", "seeds", "seed", "truncation_psi", *_STYLES},
    "project": {"project_steps", "seed", "crop"},
}


@dataclass(frozen=True)
class Resolved:
    """The options that are None in `GenerateConfig` where they are not given, with their defaults.

    They are None there so that one that no mode reads is refused only where it is given.
    """

    seed: int = 0
    frames: int = 48
    format: Literal["gif", "mp4", "png"] = "gif"
    num_directions: int = 8
    project_steps: int = 500


@dataclass
class GenerateConfig:
    """What to draw, from which model, and where to write it."""

    model: Family | None = None
    """Family; read from the file when left out."""
    model_path: str | None = None
    """Generator (.h5 or .keras), or hf:owner/name[/file.h5][@revision] of the Hugging Face Hub; by
    default <family>_generator.h5 or _decoder.h5 in saved_models_dir."""
    num_images: int | None = None
    """Number of faces, or of photos to reconstruct; by default as many as `grid` has places,
    else 16."""
    seeds: str | None = None
    """Seeds of the faces, such as 0-35,100; by default num_images of them from `seed` on."""
    seed: int | None = None
    """First seed when `seeds` is left out; by default 0."""
    grid: str | None = None
    """Columns x rows of grid.png or of the reconstructions, such as 6x6, or none; by default the
    squarest."""
    interpolate: str | None = None
    """Walk through the faces of these seeds, such as 0,7,12; or through the photos of
    `reconstruct` with the word photos."""
    frames: int | None = None
    """Frames of the walk; by default 48."""
    format: Literal["gif", "mp4", "png"] | None = None
    """File of the walk: a looping gif (the default), an mp4, or a png strip."""
    reconstruct: str | None = None
    """A photo, folder or archive to send through encoder and decoder (vae and combined)."""
    prior: Literal["normal", "mixture"] | None = None
    """Where new faces come from: N(0, I), or the mixture that is fitted to the codes of photos; by
    default what the file holds (vae and combined)."""
    crop: str | None = None
    """Of photos that are given: center, none, or x0,y0,x1,y1 in pixels of the photo; by default
    the crop option of the model's training; photos cropped before it need theirs here."""
    truncation_psi: float | None = None
    """Truncation ψ: 1 (the default) changes nothing, 0 gives the mean face (stylegan2)."""
    truncation_cutoff: int | None = None
    """Number of layers that truncation_psi reaches (stylegan2)."""
    noise_mode: Literal["const", "random", "none"] | None = None
    """Noise of the fine detail: const (the default, kept in the file), random (new for every image)
    or none (stylegan2)."""
    style_mix: list[str] | None = None
    """Matrix of mixed styles, as rows=1,2,3 cols=4,5,6 layers=0-3 (stylegan2)."""
    truncation_sweep: str | None = None
    """The faces of the seeds at several truncations, such as 0,0.5,0.7,1 (stylegan2)."""
    directions: Literal["pca", "sefa"] | None = None
    """One face moved along unsupervised directions of w (stylegan2)."""
    num_directions: int | None = None
    """How many directions; by default 8 (stylegan2)."""
    project: str | None = None
    """A photo to find in w by optimisation (stylegan2)."""
    project_steps: int | None = None
    """Steps of that optimisation; by default 500 (stylegan2)."""
    output_dir: str = "./output"
    """Folder for the pictures; a grid, film or matrix that is there already is kept: the next is
    grid_2.png."""
    saved_models_dir: str = "./saved_models"
    """Folder of the trained models."""
    force: bool = False
    """Draw also from a file that is damaged: with another checksum, or weights that are not
    numbers."""

    def __post_init__(self) -> None:
        """Refuse impossible values before anything is opened or written."""
        for name, value in vars(self).items():
            if value == "":
                raise UserError(f"{name}: empty; give it a value, or leave it out")
        for name in ("num_images", "frames", "num_directions", "project_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} {value}: expected 1 or more")
        if not self.model and not self.model_path:
            raise UserError("model: say which family (vae, dcgan, ...) or give model_path a file")
        if self.crop:
            parse_crop(self.crop)
        if self.seed is not None and self.seeds:
            raise UserError("seed and seeds: both say which faces; give one of them")
        self._check_faces()
        self._check_walk()
        self._check_used()

    def _check_used(self) -> None:
        """Refuse options that none of the requested modes reads."""
        given = {name for name, value in vars(self).items() if value is not None}
        flags = [name for name in _FLAGS if getattr(self, name)]
        modes = flags or ["faces"]
        if self.interpolate == "photos":
            modes = ["interpolate photos", *modes[1:]]
        limited, read = set().union(*_READS.values()), set().union(*(_READS[m] for m in modes))
        unused = [name for name in vars(self) if name in given & limited - read]
        if unused and flags:
            them = "it" if len(unused) == 1 else "them"
            raise UserError(
                f"{', '.join(unused)}: not used by {' and '.join(modes)}; leave {them} out"
            )
        for name in unused:
            readers = " or ".join(flag for flag in _FLAGS if name in _READS[flag])
            raise UserError(f"{name}: only used by {readers}; leave it out, or give {readers}")
        if self.reconstruct:
            self._check_pairs()
        if flags == ["directions"] and self.seeds and len(self.seed_list()) > 1:
            raise UserError(f"seeds {self.seeds}: directions moves one face; give one seed")

    def _check_pairs(self) -> None:
        shape = self.shape()
        if shape and self.count() > shape[0] * shape[1]:
            raise UserError(f"num_images {self.num_images}: more than grid {self.grid} has places")
        if self.grid and not shape and self.interpolate != "photos":
            raise UserError(
                f"grid {self.grid}: reconstruct writes nothing but a grid; leave it out, or give "
                "columns x rows"
            )

    def _check_faces(self) -> None:
        if self.num_images and self.seeds:
            raise UserError("num_images and seeds: both say how many faces; give one of them")
        if self.num_images and self.num_images > pictures.MAX_FACES:
            raise UserError(
                f"num_images {self.num_images}: expected at most {pictures.MAX_FACES:,}"
            )
        last_first = 2**32 - self.count()
        first = self.resolved().seed
        if not 0 <= first <= last_first:
            raise UserError(f"seed {first}: expected 0 to {last_first}")
        seeds, shape = self.seed_list(), self.shape()
        if shape and not self.reconstruct:
            pictures.check_grid(shape, len(seeds))

    def _check_walk(self) -> None:
        if self.interpolate == "photos" and not self.reconstruct:
            raise UserError("interpolate photos: give reconstruct the photos to walk through")
        frames, stops = self.resolved().frames, self.stops()
        if stops and not 2 <= len(stops) <= frames:
            raise UserError(
                f"interpolate {self.interpolate}: expected from 2 seeds to as many as frames "
                f"({frames})"
            )

    def resolved(self) -> Resolved:
        """The options with a default, as given or else by default."""
        given = {field.name: getattr(self, field.name) for field in fields(Resolved)}
        return Resolved(**{name: value for name, value in given.items() if value is not None})

    def shape(self) -> tuple[int, int] | None:
        """Columns and rows of the grid; None without one."""
        return parse_grid(self.grid) if self.grid else None

    def count(self) -> int:
        """Number of faces or photos if no seeds are given."""
        columns, rows = self.shape() or (_FACES, 1)
        return self.num_images or columns * rows

    def seed_list(self) -> list[int]:
        """The seeds of the faces."""
        if self.seeds:
            return parse_seeds(self.seeds)
        first = self.resolved().seed
        return list(range(first, first + self.count()))

    def stops(self) -> list[int]:
        """The seeds of the walk; none without one, or where it goes through photos."""
        if not self.interpolate or self.interpolate == "photos":
            return []
        return parse_seeds(self.interpolate, "interpolate")

    def options(self) -> "StyleOptions":
        """The options that were given, as keyword arguments for the generator."""
        return generator_options(self)


CONFIG = GenerateConfig
