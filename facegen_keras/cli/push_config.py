"""The flags of `push`."""

from dataclasses import dataclass, field

from facegen_keras.errors import UserError
from facegen_keras.hub.repository import check_repository


@dataclass
class PushConfig:
    """Which model, and where to: `facegen push saved_models/x.h5 owner/name`."""

    model_path: str | None = field(default=None, metadata={"positional": True})
    """A generator (.h5)."""
    repository: str | None = field(default=None, metadata={"positional": True})
    """The repository, owner/name; created if it is missing."""
    private: bool = False
    """Create it as a private one; one that is there already has to be private."""
    output: str | None = None
    """Write the files into this folder to look at them, and upload nothing."""

    def __post_init__(self) -> None:
        """Refuse a missing or impossible name before Keras opens anything."""
        if not self.model_path or not self.repository:
            raise UserError(
                "push: give it a model and a repository: "
                "push saved_models/dcgan_generator.h5 owner/name"
            )
        check_repository(self.repository)


CONFIG = PushConfig
