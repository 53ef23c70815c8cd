"""Pictures that this package writes beside faces: marked when written, known when read.

A grid, a plot or a contact sheet in a folder of faces is not a face. What writes one gives it the
mark, a text chunk of PNG; what reads a folder leaves marked pictures out, and those of before the
mark by their names. Needs Pillow and no other package: workers that decode import it.
"""

import re

from PIL.PngImagePlugin import PngInfo

KEYWORD = "facegen"  # of the text chunk (PNG specification, 11.3.4.3)
MARK = {KEYWORD: "a picture beside faces"}
NOT_A_FACE = ("not a face", "a picture that facegen wrote beside faces")  # problem and detail

_NAMES = re.compile(
    r"(grid|reals|losses|evaluation(\..+)?|data_check|sweep|fakes_(init|stopped|epoch\d+)"
    r"|.+_memorisation"
    r"|(vae|dcgan|combined|stylegan2|unknown)"
    r"_(reconstruction|interpolation|style_mix|truncation|directions_[a-z]+|projection))(_\d+)?\.png"
)


def marked() -> PngInfo:
    """The mark, for `Image.save(path, pnginfo=)`; Matplotlib takes `savefig(metadata=MARK)`."""
    info = PngInfo()
    for keyword, text in MARK.items():
        info.add_text(keyword, text)
    return info


def is_own_name(name: str) -> bool:
    """Whether a file name, in small letters and without folders, is one of this package's."""
    return _NAMES.fullmatch(name) is not None
