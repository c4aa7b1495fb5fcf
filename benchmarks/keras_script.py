"""The story's two networks as somebody who uses Keras writes them: what benchmarks/keras_peer.py runs beside tagfit.

    KERAS_BACKEND=tensorflow python benchmarks/keras_script.py ARRAYS.npz ANSWERS.npz TIMES.json

ARRAYS.npz holds X_PART and y_PART for the parts train, val and, where there is one, test. ANSWERS.npz gets the
probabilities NETWORK_PART of the delivered weights, TIMES.json the seconds of building and training, those of each
epoch with its validation, and the epoch (from 1) whose weights were delivered.

It sets no seed. After `keras.utils.set_random_seed`, Keras 3.15 on TensorFlow takes the samples in one and the same
order in every epoch, because the shuffle inside its tf.data pipeline begins anew with the same seed: some baselines
then end at .98 micro-F1 on train instead of 1.00. On JAX it does not.
"""

import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers


def baseline(features, labels):
    return keras.Sequential(
        [
            keras.Input((features,)),
            layers.Dense(128, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(labels, activation="sigmoid"),
        ]
    )


def regularised(features, labels):
    return keras.Sequential(
        [
            keras.Input((features,)),
            layers.Dense(128, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.4),
            layers.Dense(64, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.3),
            layers.Dense(labels, activation="sigmoid"),
        ]
    )


class Clock(keras.callbacks.Callback):
    """Writes down when each epoch ended."""

    def on_train_begin(self, logs=None):
        self.times = [time.perf_counter()]

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.perf_counter())


def train(build, arrays, epochs, callbacks):
    """Build, compile and fit; the model and its times."""
    clock = Clock()
    began = time.perf_counter()
    model = build(arrays["X_train"].shape[1], arrays["y_train"].shape[1])
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="binary_crossentropy")
    model.fit(
        arrays["X_train"],
        arrays["y_train"],
        batch_size=32,
        epochs=epochs,
        validation_data=(arrays["X_val"], arrays["y_val"]),
        callbacks=[*callbacks, clock],
        verbose=0,
    )
    seconds = time.perf_counter() - began
    return model, {"seconds": seconds, "epoch_seconds": np.diff(clock.times).tolist()}


def main():
    arrays_file, answers_file, times_file = sys.argv[1:]
    arrays = dict(np.load(arrays_file))

    before, before_times = train(baseline, arrays, 200, [])
    before_times["delivered_epoch"] = 200

    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=5, restore_best_weights=True)
    after, after_times = train(regularised, arrays, 50, [stopping])
    after_times["delivered_epoch"] = stopping.best_epoch + 1

    answers = {
        f"{name}_{part}": model.predict(arrays[f"X_{part}"], verbose=0)
        for name, model in (("before", before), ("after", after))
        for part in ("train", "val", "test")
        if f"X_{part}" in arrays
    }
    np.savez(answers_file, **answers)
    Path(times_file).write_text(json.dumps({"before": before_times, "after": after_times}), encoding="utf-8")


if __name__ == "__main__":
    main()
