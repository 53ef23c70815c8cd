"""The Inception weights: one published file, checked by its hash, kept in a cache."""

from pathlib import Path

from facegen_keras.files.download import published
from facegen_keras.files.places import cache_folder

# Published by the authors of pytorch-fid; the file name carries the first digits of the hash.
INCEPTION_URL = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth"
)
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


def inception_file() -> Path:
    """Path of the published Inception weights, downloaded on first use (91 MB, progress bar).

    Returns:
        The cached file, after a check of its sha256.

    Raises:
        UserError: The file is neither there nor downloadable, or is not the published one. The
            message gives the address and the path for the file.
    """
    return published(
        INCEPTION_URL,
        cache_folder(None) / INCEPTION_URL.rsplit("/", 1)[1],
        INCEPTION_SHA256,
        "the Inception weights",
        "use the features of EfficientNet-Lite0, which are reported as FD, not FID",
    )
