"""`push`: a trained model into a repository of the Hugging Face Hub."""

from facegen_keras.cli.model_path import find_model_file
from facegen_keras.cli.push_config import PushConfig
from facegen_keras.hub.push import push_model, write_for_hub


def run(config: PushConfig) -> int:
    """Upload, and print each file and the address."""
    path = find_model_file(config.model_path or "")
    repository = config.repository or ""
    if config.output:
        print("\n".join(map(str, write_for_hub(path, repository, config.output))))
        print("nothing was uploaded; leave output out for that")
        return 0
    url, names = push_model(path, repository, config.private)
    print("\n".join(names))
    print(f"uploaded: {url}")
    return 0
