"""The Inception Score (Salimans et al. 2016, arXiv:1606.03498), for comparison with old tables.

It looks at the samples alone and asks whether they show recognisable ImageNet classes. Faces are
hardly among these, so for faces it says little.
"""

import numpy as np

from facegen_keras.errors import UserError
from facegen_keras.metrics.estimate import Estimate


def inception_score(logits: np.ndarray, splits: int = 10) -> Estimate:
    """Exp of the mean divergence between each image's classes and those of all, over splits.

    Args:
        logits: `(n, classes)`, without the bias as in the first implementation.
        splits: Number of splits that are scored one by one; 10 in the paper.

    Returns:
        The mean over the splits, from 1 to the number of classes; `.error` is its standard error.
        (Papers print the standard deviation of the splits, which is √splits times as large.)

    Raises:
        UserError: Fewer images than splits.
    """
    logits = np.asarray(logits, np.float64)
    if splits < 1 or len(logits) < splits:
        raise UserError(
            f"{len(logits)} images in {splits} splits; give at least one image per split"
        )
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    scores = []
    for part in np.array_split(log_p, splits):
        marginal = np.exp(part).mean(0)
        tiny = np.finfo(np.float64).tiny  # a class that never occurs adds 0, not 0 x infinity
        divergence = (np.exp(part) * (part - np.log(np.maximum(marginal, tiny)))).sum(1)
        scores.append(np.exp(divergence.mean()))
    error = float(np.std(scores, ddof=1) / np.sqrt(splits)) if splits > 1 else None
    return Estimate(float(np.mean(scores)), error)
