"""How close generated faces are to photos: from features to statistics to numbers."""

from facegen_keras.metrics import distortions
from facegen_keras.metrics.callback import MetricEvery
from facegen_keras.metrics.confidence import half_sample_error
from facegen_keras.metrics.efficientnet_lite import EfficientNetLite0Features
from facegen_keras.metrics.estimate import Estimate
from facegen_keras.metrics.evaluate import evaluate
from facegen_keras.metrics.extractor import FeatureExtractor
from facegen_keras.metrics.face_descriptor import FaceDescriptorFeatures
from facegen_keras.metrics.feature_statistics import Statistics
from facegen_keras.metrics.frechet import frechet_distance, frechet_of_features
from facegen_keras.metrics.inception import InceptionFeatures
from facegen_keras.metrics.inception_score import inception_score
from facegen_keras.metrics.kernel import kernel_distance
from facegen_keras.metrics.memorisation import Memorisation, memorisation
from facegen_keras.metrics.packaged import extractor_named
from facegen_keras.metrics.pairwise_distance import mean_pairwise_distance
from facegen_keras.metrics.path_length import (
    perceptual_path_length,
    w_path_lengths,
    walk_distances,
)
from facegen_keras.metrics.pixel_features import PixelFeatures
from facegen_keras.metrics.precision_recall import PrecisionRecall, precision_recall, recalled
from facegen_keras.metrics.reference import Reference
from facegen_keras.metrics.result import Evaluation, Number, Report, recorded
from facegen_keras.metrics.sample_size import SampleSizeCurve, distance_by_count

__all__ = [
    "EfficientNetLite0Features",
    "Estimate",
    "Evaluation",
    "FaceDescriptorFeatures",
    "FeatureExtractor",
    "InceptionFeatures",
    "Memorisation",
    "MetricEvery",
    "Number",
    "PixelFeatures",
    "PrecisionRecall",
    "Reference",
    "Report",
    "SampleSizeCurve",
    "Statistics",
    "distance_by_count",
    "distortions",
    "evaluate",
    "extractor_named",
    "frechet_distance",
    "frechet_of_features",
    "half_sample_error",
    "inception_score",
    "kernel_distance",
    "mean_pairwise_distance",
    "memorisation",
    "perceptual_path_length",
    "precision_recall",
    "recalled",
    "recorded",
    "w_path_lengths",
    "walk_distances",
]
