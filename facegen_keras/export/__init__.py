"""Trained networks to `.h5` or `.keras` files, and back.

`write` exports, `read` opens what was exported, `model_file` judges a file before Keras opens it,
`parts` names the files of one model, and `earlier_exports` keeps what an export replaces.
`runtimes` writes graphs for other runtimes, `onnx_order` makes ONNX files repeatable, and
`half_weights` halves them. `web_runtime` brings what runs them in a browser.
"""
