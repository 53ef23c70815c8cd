"""Files that appear whole or not at all, and what a full disk is called."""

import errno
import os
import sys
from types import SimpleNamespace

import pytest

from facegen_keras.errors import UserError
from facegen_keras.files.atomic import replacing

STORY = "file write failed: time = now, errno = 28, error message = 'No space left on device'"


def test_a_full_disk_is_told_also_where_closing_the_file_fails_too(tmp_path):
    """What h5py raises from its `with` then names the second error alone."""

    def write():
        with replacing(tmp_path / "x.h5"):
            try:
                raise RuntimeError(f"Unable to flush file ({STORY})")
            finally:
                raise RuntimeError("Slist already enabled? (slist already enabled?)")

    with pytest.raises(UserError, match=rf"\({os.strerror(errno.ENOSPC)}\); nothing was written"):
        write()


def test_what_hdf5_cannot_flush_is_told_once(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    with replacing(tmp_path / "x.txt") as temporary:
        temporary.touch()
        for text in (f"Write through page buffer failed ({STORY})", "another"):
            sys.unraisablehook(SimpleNamespace(exc_value=OSError(text)))
    assert [str(found.exc_value) for found in told] == ["another"]
