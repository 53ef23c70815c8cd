"""A training run: configuration, folder, callbacks, tracking, and the loop around `fit`.

Nothing is imported here, so that `import facegen_keras` does not load Matplotlib.
"""
