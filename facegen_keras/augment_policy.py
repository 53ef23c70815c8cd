"""The names of the augmentations in `augment`; reading them needs no Keras."""

from facegen_keras.errors import UserError

POLICIES = ("color", "translation", "cutout")


def parse_policy(policy: str) -> tuple[str, ...]:
    """The augmentations in a text such as `"color,translation,cutout"`; `""` for none.

    Raises:
        UserError: A word is not one of `POLICIES`.
    """
    words = tuple(word.strip() for word in policy.split(",") if word.strip())
    for word in words:
        if word not in POLICIES:
            raise UserError(f"augment {word!r}: expected any of {', '.join(POLICIES)}")
    return words
