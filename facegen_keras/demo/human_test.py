"""Real or drawn: how often a person tells a photo from a generated face, and how sure that is.

Each pair shows a photo and a face of a model, and the person says which one is the photo
(two-alternative forced choice). Half right is what guessing gives: then the faces cannot be told
from photos. With 20 pairs, the 95 % interval is still about ±20 percentage points wide.
"""

import datetime
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

import numpy as np
from scipy.stats import binomtest

from facegen_keras.errors import UserError
from facegen_keras.files.atomic import write_text
from facegen_keras.generate.generator import Generator, SamplingOptions

PAIRS = 20
FEWEST_PAIRS = 5
CONFIDENCE = 0.95


@dataclass
class HumanTest:
    """A test that is under way.

    Attributes:
        model: Its name.
        photos: uint8 `(pairs, height, width, 3)`.
        drawn: The model's faces, of the same shape.
        photo_left: For each pair, whether the photo is on the left.
        seeds: Of the drawn faces.
        answers: For each pair so far, whether the person took the left one for the photo.
    """

    model: str
    photos: np.ndarray
    drawn: np.ndarray
    photo_left: list[bool]
    seeds: list[int]
    answers: list[bool] = field(default_factory=list)

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return len(self.photos)

    @property
    def finished(self) -> bool:
        """Whether all pairs are answered."""
        return len(self.answers) == self.pairs

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """The next pair: left and right, uint8 `(height, width, 3)`."""
        index = len(self.answers)
        photo, drawn = self.photos[index], self.drawn[index]
        return (photo, drawn) if self.photo_left[index] else (drawn, photo)

    def answer(self, left_is_photo: bool) -> None:
        """Note which side the person takes for the photo; nothing once the test is finished."""
        if not self.finished:
            self.answers.append(left_is_photo)

    def result(self) -> "HumanResult":
        """The score so far.

        Raises:
            UserError: No pair is answered.
        """
        if not self.answers:
            raise UserError("human test: answer at least one pair")
        right = [a == truth for a, truth in zip(self.answers, self.photo_left, strict=False)]
        return score(self.model, sum(right), len(right), self.seeds[: len(right)])


@dataclass(frozen=True)
class HumanResult:
    """The score of a test.

    Attributes:
        model: Its name.
        correct: Pairs in which the photo was recognised.
        pairs: Pairs that were answered.
        share: `correct / pairs`; 0.5 is what guessing gives.
        low: Lower end of the 95 % interval of the share (Wilson 1927).
        high: Upper end.
        p_value: Probability of a score at least as far from half under guessing.
        seeds: Of the drawn faces.
    """

    model: str
    correct: int
    pairs: int
    share: float
    low: float
    high: float
    p_value: float
    seeds: list[int]

    @property
    def differs(self) -> bool:
        """Whether guessing is unlikely to give such a score, by the exact test."""
        return self.p_value < 1 - CONFIDENCE

    def __str__(self) -> str:
        told = (
            "the faces can be told from photos"
            if self.differs and self.share > 0.5
            else "drawn faces are taken for photos more often than photos are"
            if self.differs
            else "this does not differ from guessing; more pairs would say more"
        )
        return (
            f"{self.correct} of {self.pairs} photos recognised: {100 * self.share:.0f} %, "
            f"95 % interval {100 * self.low:.0f} to {100 * self.high:.0f} %. "
            f"Guessing gives 50 %: {told}."
        )

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the result as JSON into a folder, under a name of its own.

        Raises:
            UserError: It cannot be written.
        """
        now = datetime.datetime.now(datetime.UTC)
        name = f"human_test_{now:%Y%m%d_%H%M%S}_{secrets.token_hex(2)}.json"
        path = Path(folder) / name
        about = {"time": now.isoformat(timespec="seconds"), "confidence": CONFIDENCE}
        write_text(path, json.dumps({**vars(self), **about}, indent=1) + "\n")
        return path


def new_test(
    model: str,
    generator: Generator,
    photos: np.ndarray,
    seed: int | None = None,
    pairs: int = PAIRS,
    **options: Unpack[SamplingOptions],
) -> HumanTest:
    """Draw the faces of a test and shuffle it.

    Args:
        model: Name for the result.
        generator: Draws one face per photo.
        photos: uint8 `(n, height, width, 3)` of the generator's resolution.
        seed: Of the choice, the sides and the faces; None: another test every time.
        pairs: How many, at most as many as photos.
        **options: Of `generator.sample`.

    Raises:
        UserError: Fewer than 5 photos or pairs, or photos of another size.
    """
    side = generator.resolution
    if min(len(photos), pairs) < FEWEST_PAIRS or photos.shape[1:] != (side, side, 3):
        raise UserError(
            f"human test: {pairs} pairs and photos of shape {photos.shape}; expected at least "
            f"{FEWEST_PAIRS} of ({side}, {side}, 3), better {PAIRS}"
        )
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(photos))[:pairs]
    seeds = [int(value) for value in random.choice(2**31, len(chosen), replace=False)]
    drawn = generator.sample(seeds, **options)
    left = [bool(value) for value in random.integers(0, 2, len(chosen))]
    return HumanTest(model, photos[chosen], drawn, left, seeds)


def score(model: str, correct: int, pairs: int, seeds: list[int]) -> HumanResult:
    """The share of correct answers with its interval.

    Args:
        model: Name for the result.
        correct: Pairs in which the photo was recognised.
        pairs: Pairs that were answered, at least 1.
        seeds: Of the drawn faces.
    """
    test = binomtest(correct, pairs, 0.5)
    interval = test.proportion_ci(CONFIDENCE, method="wilson")
    low, high = float(interval.low), float(interval.high)
    return HumanResult(model, correct, pairs, correct / pairs, low, high, float(test.pvalue), seeds)
