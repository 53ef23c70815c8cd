"""Which arithmetic this machine is fast at: what `precision: auto` stands for."""

from pathlib import Path
from typing import Literal

from facegen_keras import backend

CPU_FLAGS = Path("/proc/cpuinfo")  # of Linux; elsewhere nobody says
ONEDNN = ("tensorflow", "torch")  # these leave their convolutions to it, which uses these:
INSTRUCTIONS = ("amx_bf16", "avx512_bf16")


def fastest_precision() -> tuple[Literal["float32", "bfloat16"], str]:
    """The faster of float32 and bfloat16 for a training here, and the reason in a few words.

    On a server CPU with AMX, bfloat16 made a DCGAN step nearly twice as fast, and 1.5 times on one
    with AVX-512's instructions for it; on one with neither, it is slower than float32.
    """
    if backend.has_accelerator():
        if backend.has_bfloat16():
            return "bfloat16", "the accelerator computes in it"
        return "float32", "the accelerator does not compute in bfloat16"
    if backend.NAME not in ONEDNN:
        return "float32", f"{backend.NAME} is not known to use bfloat16 on a CPU"
    flags = _cpu_flags()
    if there := [name for name in INSTRUCTIONS if name in flags]:
        return "bfloat16", f"the processor has {there[0]}"
    return "float32", f"the processor has neither {' nor '.join(INSTRUCTIONS)}"


def _cpu_flags() -> set[str]:
    try:
        lines = CPU_FLAGS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.split()}
