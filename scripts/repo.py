"""Puts the address of your copy on GitHub into all links: `make repo NAME=owner/name`."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BADGE = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+)/actions/workflows/test\.yml")


def main(name: str) -> None:
    """Replace the `owner/name` that the README's first badge has now."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        sys.exit(f"NAME={name}: expected owner/name, as in make repo NAME=owner/name")
    now = BADGE.search((ROOT / "README.md").read_text(encoding="utf-8"))
    if now is None:
        sys.exit("README.md: its badge of the tests, which has the present address, is not there")
    files = [ROOT / "README.md", ROOT / "CITATION.cff", ROOT / "spaces/requirements.txt"]
    files += [*ROOT.glob("docs/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    for path in files:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if now[1] in text:
            path.write_text(text.replace(now[1], name), encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(*sys.argv[1:] or [""])
