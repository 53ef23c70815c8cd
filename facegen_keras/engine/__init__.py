"""What every family trains with: gradients on any backend, `fit`, checkpoints, callbacks."""
