"""Two programs measured in turn, so that whatever else the machine does meets both alike.

Each side runs in a process of its own (two frameworks in one process share a thread pool badly)
and waits while the other one works. A round is one measurement of each; the ratio is the median
of the ratios of the rounds. On a busy machine look at the processor time instead, which counts all
threads of one side and not what others take: the last line has both.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

Measure = Callable[[], float]
COMPILED = "BENCHMARK_COMPILED"  # in the environment of the workers


def compiled(function: Callable) -> Callable:
    """A PyTorch function or module, compiled by `torch.compile` where `--compile` asks for it."""
    if not os.environ.get(COMPILED):
        return function
    import torch

    return torch.compile(function)


def main(
    sides: dict[str, Callable[[int, int, str], Measure]], batch: int, steps: int, doc: str
) -> None:
    """Command line of a benchmark with two sides, ours first.

    Args:
        sides: By name, a function of batch size, number of steps and precision that prepares
            everything and returns a function that runs the steps and returns images per second.
        batch: Default batch size in images.
        steps: Default steps per measurement.
        doc: What is compared.
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--compile", action="store_true", help="PyTorch with torch.compile")
    parser.add_argument("--worker", choices=list(sides), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        _work(sides[options.worker](options.batch, options.steps, options.precision))
    else:
        _alternate(list(sides), options)


def _work(measure: Measure) -> None:
    # Frameworks write to stdout as they please; the conversation has a line of its own.
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    measure()  # tracing, memory pools, and the choice of kernels
    channel.write("ready\n")
    for _ in sys.stdin:
        start = time.process_time()
        rate = measure()
        channel.write(f"{rate} {time.process_time() - start}\n")


def _alternate(names: list[str], options: argparse.Namespace) -> None:
    workers = {}
    environment = {**os.environ, COMPILED: "1"} if options.compile else None
    for name in names:  # one after the other: warming up is not measured, but takes memory
        command = [sys.executable, sys.argv[0], "--worker", name]
        command += ["--batch", str(options.batch), "--steps", str(options.steps)]
        command += ["--precision", options.precision]
        worker = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        if worker.stdout.readline() != "ready\n":
            raise SystemExit(f"{name}: did not start; run {' '.join(command)} to see why")
        workers[name] = worker
    ours, theirs = names
    print(
        f"batch {options.batch}, {options.precision}, {options.steps} steps a round, "
        f"PyTorch {'compiled' if options.compile else 'as it is'}, "
        f"{os.cpu_count()} cores"
    )
    images = options.batch * options.steps
    ratios, rates, costs = [], {name: [] for name in names}, {name: [] for name in names}
    for number in range(options.rounds):
        # Every other round the other way round: neither is always the first.
        for name in names if number % 2 == 0 else names[::-1]:
            workers[name].stdin.write("go\n")
            answer = workers[name].stdout.readline()
            if not answer:
                raise SystemExit(f"{name}: its process ended, with code {workers[name].wait()}")
            rate, seconds = map(float, answer.split())
            rates[name].append(rate)
            costs[name].append(1000 * seconds / images)
        ratios.append(rates[ours][-1] / rates[theirs][-1])
        shown = ", ".join(f"{name} {rates[name][-1]:.1f}" for name in names)
        print(f"round {number + 1}: {shown} images/s, ratio {ratios[-1]:.2f}", flush=True)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    rate = {name: statistics.median(rates[name]) for name in names}
    cost = {name: statistics.median(costs[name]) for name in names}
    print(
        f"median: {ours} {rate[ours]:.1f}, {theirs} {rate[theirs]:.1f} images/s, "
        f"ratio {statistics.median(ratios):.2f}; processor time per image "
        f"{cost[ours]:.1f} and {cost[theirs]:.1f} ms, ratio {cost[theirs] / cost[ours]:.2f}"
    )
