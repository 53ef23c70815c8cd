"""Features, statistics, number: how close generated faces are to photos."""

from facegen_keras.metrics.frechet import frechet_distance
from facegen_keras.metrics.inception import InceptionFeatures
from facegen_keras.metrics.statistics import Statistics

__all__ = ["InceptionFeatures", "Statistics", "frechet_distance"]
