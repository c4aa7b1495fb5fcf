"""Make tests/training/keras_golden.json: what Keras 3 computes, step by step, for both recipes of the story.

Run with the peers' Python:  .venv-peers/bin/python benchmarks/keras_golden.py > tests/training/keras_golden.json

Float64, no dropout, three epochs, a last batch of one. Data, first weights and batch order come from formulas that the
test repeats, so that only the losses have to be kept.

On the JAX backend, because Keras's TensorFlow backend rounds Adam's betas to float32 even in float64, which moves the
losses by about 2e-6 of their value.
"""

import json
import math
import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import keras
import numpy as np

SAMPLES, FEATURES, LABELS, BATCH, EPOCHS = 97, 20, 5, 32, 3
WIDTHS = (128, 64)


def waves(shape, phase):
    """Numbers from -1 to 1 that look random enough: every language has a sine."""
    count = math.prod(shape)
    return np.sin(np.arange(1, count + 1, dtype=np.float64) ** 2 * 0.37 + phase).reshape(shape)


def data():
    x = waves((SAMPLES, FEATURES), 0.0)
    y = (waves((SAMPLES, LABELS), 1.0) > 0.3).astype(np.float64)
    return x, y


def kernel(inputs, outputs, number):
    """First weights with the spread of Glorot uniform."""
    return waves((inputs, outputs), 10.0 + number) * math.sqrt(6 / (inputs + outputs))


def order(epoch):
    """The order of the samples in an epoch (from 1)."""
    return np.argsort(waves((SAMPLES,), 20.0 + epoch), kind="stable")


def network(batch_norm):
    keras.backend.set_floatx("float64")
    layers = [keras.Input((FEATURES,))]
    for width in WIDTHS:
        layers.append(keras.layers.Dense(width, activation="relu"))
        if batch_norm:
            layers.append(keras.layers.BatchNormalization())
    layers.append(keras.layers.Dense(LABELS, activation="sigmoid"))
    model = keras.Sequential(layers)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    sizes = [FEATURES, *WIDTHS, LABELS]
    for number, layer in enumerate(dense):
        layer.set_weights([kernel(sizes[number], sizes[number + 1], number), np.zeros(sizes[number + 1])])
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
    return model


def losses(batch_norm):
    """The loss of each step, and of all samples in inference mode after each epoch."""
    model = network(batch_norm)
    x, y = data()
    steps, epochs = [], []
    for epoch in range(1, EPOCHS + 1):
        rows = order(epoch)
        for start in range(0, SAMPLES, BATCH):
            batch = rows[start : start + BATCH]
            model.reset_metrics()
            steps.append(float(model.train_on_batch(x[batch], y[batch])))
        model.reset_metrics()
        probabilities = np.asarray(model(x, training=False))
        epochs.append(float(np.mean(keras.ops.binary_crossentropy(y, probabilities))))
    return {"step_losses": steps, "val_losses": epochs}


if __name__ == "__main__":
    golden = {"keras": keras.__version__, "dense-baseline": losses(False), "dense-regularised": losses(True)}
    print(json.dumps(golden, indent=1))
