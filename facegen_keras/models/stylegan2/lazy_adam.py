"""The optimizer of both players of StyleGAN2."""

import keras

from facegen_keras.engine.options import AdamOptions

BETA_2, EPSILON = 0.99, 1e-8  # Karras et al. 2018, appendix A.1


def lazy_adam(adam: AdamOptions, interval: int) -> keras.optimizers.Optimizer:
    """Adam corrected for lazy regularization: a regularizer every k steps is one more update in k,
    so rate and betas are taken to k / (k + 1) (Karras et al. 2020, appendix B).

    Args:
        adam: Rate and β1 without lazy regularization.
        interval: Steps from one regularization to the next; 0 for none.
    """
    share = interval / (interval + 1) if interval else 1.0
    # Keras's own, not `engine.adam`: that one's fused kernel rounds differently (by 8e-6 after six
    # steps of a tiny model), and a seed is to train the weights that it always has. It would take 6
    # ms instead of 12 for 1.4 million weights (processor time of one core).
    return keras.optimizers.Adam(
        adam.learning_rate * share,
        beta_1=adam.beta_1**share,
        beta_2=BETA_2**share,
        epsilon=EPSILON,
    )
