"""What the precision "auto" stands for on a machine."""

import pytest

from facegen_keras import backend
from facegen_keras.backend import precision
from facegen_keras.models.vae import VAEOptions

AMX = "processor : 0\nflags : fpu amx_tile amx_bf16\n"
AVX512 = "processor : 0\nflags : fpu avx512_bf16\n"
PLAIN = "processor : 0\nflags : fpu avx512f\nbugs : amx_bf16\n"
NEITHER = "the processor has neither amx_bf16 nor avx512_bf16"


@pytest.mark.parametrize(
    ("name", "accelerator", "cpu", "chosen", "reason"),
    [
        ("tensorflow", None, AMX, "bfloat16", "the processor has amx_bf16"),
        ("tensorflow", None, AVX512, "bfloat16", "the processor has avx512_bf16"),
        ("torch", None, PLAIN, "float32", NEITHER),
        ("torch", None, None, "float32", NEITHER),
        ("jax", None, AMX, "float32", "jax is not known to use bfloat16 on a CPU"),
        ("jax", True, PLAIN, "bfloat16", "the accelerator computes in it"),
        ("tensorflow", False, AMX, "float32", "the accelerator does not compute in bfloat16"),
    ],
)
def test_the_fastest_precision(monkeypatch, tmp_path, name, accelerator, cpu, chosen, reason):
    (tmp_path / "cpuinfo").write_text(cpu or "")
    missing = tmp_path / "nowhere"
    monkeypatch.setattr(precision, "CPU_FLAGS", tmp_path / "cpuinfo" if cpu else missing)
    monkeypatch.setattr(backend, "NAME", name)
    monkeypatch.setattr(backend, "has_accelerator", lambda: accelerator is not None)
    monkeypatch.setattr(backend, "has_bfloat16", lambda: accelerator)
    assert precision.fastest_precision() == (chosen, reason)
    assert VAEOptions(precision="auto").as_dict()["precision"] == chosen
    assert VAEOptions().precision == "float32"
