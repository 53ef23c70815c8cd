"""The metrics by name; knowing them needs no Keras."""

from collections.abc import Iterable, Sequence

from facegen_keras.errors import UserError

METRICS = ("fid", "kid", "pr", "is", "ppl")
COMPARED = {"fid", "kid", "pr"}  # these need photos; `is` and `ppl` look at the samples alone
PER_PHOTO = {"kid", "pr"}  # these need the features of every photo, not only mean and covariance


def check_metrics(metrics: Sequence[str]) -> list[str]:
    """The metrics in lower case, without repetition; FD and KD are other names of fid and kid.

    Args:
        metrics: Names, or one text with names between commas or spaces.

    Raises:
        UserError: A metric does not exist, or none is given.
    """
    if isinstance(metrics, str):
        metrics = metrics.replace(",", " ").split()
    if not isinstance(metrics, Iterable):
        raise UserError(f"metrics {metrics!r}: expected names such as {', '.join(METRICS)}")
    names = list(dict.fromkeys(str(metric).lower() for metric in metrics))
    names = ["fid" if m == "fd" else "kid" if m == "kd" else m for m in names]
    unknown = [metric for metric in names if metric not in METRICS]
    if unknown or not names:
        given = ", ".join(unknown) or "nothing"
        raise UserError(f"metrics: {given} is not among {', '.join(METRICS)}")
    return list(dict.fromkeys(names))
