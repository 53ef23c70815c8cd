"""What the precision "auto" stands for on a machine."""

from types import SimpleNamespace

import pytest

from facegen_keras import backend
from facegen_keras.backend import precision
from facegen_keras.errors import UserError
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


@pytest.fixture
def gpu(monkeypatch):
    """`gpu(capability)`: JAX's implementation, on a GPU that calls itself so."""
    jax = pytest.importorskip("jax")
    from facegen_keras.backend import jax as ours

    def make(capability):
        device = SimpleNamespace(compute_capability=capability)
        monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
        monkeypatch.setattr(jax, "devices", lambda: [device])
        return ours

    return make


@pytest.mark.parametrize(
    ("capability", "has"), [("8.0", True), ("7.5", False), ("gfx942", True), ("gfx1030", False)]
)
def test_gpus_of_nvidia_and_of_amd(gpu, capability, has):
    assert gpu(capability).has_bfloat16() == has


def test_deterministic_on_a_gpu_says_what_xla_needs(gpu, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    with pytest.raises(UserError, match="set XLA_FLAGS=--xla_gpu_deterministic_ops=true before"):
        gpu("8.0").make_deterministic()
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
    gpu("8.0").make_deterministic()
