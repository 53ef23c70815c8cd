"""The layers of a network as a table of text."""

import keras

from facegen_keras.errors import UserError


def layer_table(network: keras.Model) -> str:
    """One line for each layer: its name, what it is, the shape of its output, its parameters.

    Layers without parameters that leave the shape as it is (activations, for instance) have lines
    too: they are part of what a network computes.

    Args:
        network: Any Keras model, built.

    Returns:
        Lines in columns, to print. The last one is the sum of the parameters.

    Raises:
        UserError: It is no Keras model, such as a `Generator`, whose `model` is one.
    """
    if not isinstance(network, keras.Model):
        has = ", such as its .model" if hasattr(network, "model") else ""
        raise UserError(f"network: a {type(network).__name__}; expected a Keras model{has}")
    rows = [("layer", "kind", "output", "parameters")]
    for layer in network.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            rows.append((layer.name, type(layer).__name__, _output(layer), _count(layer)))
    rows.append(("", "", "", f"{network.count_params():,}"))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = []
    for row in rows:
        *words, number = (word.ljust(width) for word, width in zip(row, widths, strict=True))
        lines.append("  ".join([*words, number.strip().rjust(widths[-1])]))
    return "\n".join(lines)


def _count(layer: keras.layers.Layer) -> str:
    count = layer.count_params()
    return f"{count:,}" if count else ""


def _output(layer: keras.layers.Layer) -> str:
    """Such as `8 x 8 x 64`; nothing for a layer that is called in Python, not by a graph."""
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError):
        return ""
    return " x ".join(str(side) for side in shape[1:])
