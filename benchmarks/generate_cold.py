"""Ten faces from a cold start: `generate.py` against the equivalent PyTorch script.

Both begin with the interpreter, import their framework, read a DCGAN generator (64x64, 64 base
channels, random weights) from disk, draw ten faces and write ten PNG files and a grid. PyTorch
reads a state dict; ours reads the .h5. Ours is timed as it is and, since it draws such a model
without importing Keras, also through Keras, as a StyleGAN2 is drawn. The imports are timed on their
own. Besides the wall time there is the processor time, which a busy machine does not spoil.

    python benchmarks/generate_cold.py
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT)}

PYTORCH = """
import sys
import numpy as np
import torch
from PIL import Image
from torch import nn

def up(inputs, outputs):
    convolution = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]

generator = nn.Sequential(
    nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False), nn.BatchNorm2d(512), nn.ReLU(),
    *up(512, 256), *up(256, 128), *up(128, 64),
    nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh(),
)
path, folder = sys.argv[1:]
if folder == "save":
    torch.save(generator.state_dict(), path)
    sys.exit()
generator.load_state_dict(torch.load(path, weights_only=True))
generator.eval()
z = np.stack([np.random.RandomState(seed).randn(100) for seed in range(10)]).astype("float32")
with torch.no_grad():
    images = generator(torch.from_numpy(z)[:, :, None, None])
images = ((images + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
for seed, image in enumerate(images):
    Image.fromarray(image).save(f"{folder}/pytorch_seed{seed:04d}.png")
padded = np.concatenate([images, np.full((2, 64, 64, 3), 255, "uint8")])
grid = padded.reshape(3, 4, 64, 64, 3).transpose(0, 2, 1, 3, 4).reshape(192, 256, 3)
Image.fromarray(grid).save(f"{folder}/grid.png")
"""

OURS_MODEL = """
import sys
import facegen_keras as fg
from facegen_keras.models import DCGAN
fg.save_generator(DCGAN(resolution=64, latent_dim=100), sys.argv[1])
"""


THROUGH_KERAS = """
import sys
from facegen_keras.generate import quick
quick.open_quickly = lambda *arguments: None
from facegen_keras.cli import main
sys.exit(main(["generate", *sys.argv[1:]]))
"""


def seconds(command: list[str]) -> tuple[float, float]:
    """Wall and processor time of a command that must succeed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, env=ENVIRONMENT, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        script, state = Path(folder, "pytorch.py"), Path(folder, "generator.pt")
        model = Path(folder, "dcgan_generator.h5")
        script.write_text(PYTORCH)
        python = sys.executable
        seconds([python, "-c", OURS_MODEL, str(model)])
        seconds([python, str(script), str(state), "save"])
        flags = ["--model_path", str(model), "--num_images", "10", "--output_dir", folder]
        commands = {
            "ours": [python, "generate.py", *flags],
            "ours through Keras": [python, "-c", THROUGH_KERAS, *flags],
            "pytorch": [python, str(script), str(state), folder],
            "import of keras on tensorflow": [python, "-c", "import keras"],
            "import of torch": [python, "-c", "import torch"],
        }
        times = {name: [] for name in commands}
        for _ in range(rounds):
            for name, command in commands.items():
                times[name].append(seconds(command))
    for kind, unit in enumerate(("wall time", "processor time")):
        median = {name: statistics.median(t[kind] for t in times[name]) for name in commands}
        print(f"{unit}:")
        for name, value in median.items():
            print(f"  {name:<30}{value:6.2f} s")
        ours, through_keras, theirs, our_import, their_import = median.values()
        print(
            f"  ratio {ours / theirs:.2f}; through Keras {through_keras / theirs:.2f}, without "
            f"the imports {through_keras - our_import:.2f} and {theirs - their_import:.2f} s"
        )


if __name__ == "__main__":
    main()
