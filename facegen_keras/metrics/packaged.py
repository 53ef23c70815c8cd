"""The extractors whose weights come from a package registry, by the names of the flags."""

from facegen_keras.errors import UserError
from facegen_keras.metrics.efficientnet_lite import EfficientNetLite0Features
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.face_descriptor import FaceDescriptorFeatures

PACKAGED: dict[str, type[EfficientNetLite0Features] | type[FaceDescriptorFeatures]] = {
    kind.name: kind for kind in (EfficientNetLite0Features, FaceDescriptorFeatures)
}


def extractor_named(name: str, batch_size: int = 64) -> FeatureExtractor:
    """The extractor of a name.

    Args:
        name: A key of `PACKAGED`.
        batch_size: Images per run of the network.

    Raises:
        UserError: There is none of that name, or its package is not installed.
    """
    if name not in PACKAGED:
        raise UserError(f"extractor {name!r}: expected one of {', '.join(PACKAGED)}")
    return PACKAGED[name](batch_size=batch_size)
