"""A recipe as a readable Keras 3 program: architecture, optimiser, schedule and when training ends.

The program is put together from pieces, so that it holds nothing that the recipe does not use. Its layers, optimiser
and rules are ours, which follow Keras's definitions; only what is drawn at random differs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tagfit.errors import ExportError, OutputError
from tagfit.inference.tagger import Tagger
from tagfit.io.files import write_new
from tagfit.models.cnn import MOMENTUM, STAGES
from tagfit.recipes import CnnModel, DenseModel, Recipe, Training
from tagfit.records.data import Preprocessing
from tagfit.training.optimiser import FLOOR, RISE

_HEAD = '''\
"""{title}

    python train.py data.npz [model.keras]

data.npz holds x_train, y_train, x_val and y_val. x: {shape} for each sample, {values}.
y: 1 is yes, 0 is no, -1 is unknown and counts for nothing. This is how to write it:

    np.savez("data.npz", x_train=x_train, y_train=y_train, x_val=x_val, y_val=y_val)
"""

import sys

import keras
import numpy as np
from keras import layers, ops
'''

_LOSS = '''

def loss(true, predicted):
    """Binary cross-entropy over the labels that are known."""
    known = ops.cast(true >= 0, "float32")
    {true}predicted = ops.clip(predicted, 1e-7, 1 - 1e-7)
    cells = -(true * ops.log(predicted) + (1 - true) * ops.log(1 - predicted))
    return ops.sum(cells * known) / ops.maximum(ops.sum(known), 1)


def micro_f1(true, predicted):
    """Over the labels that are known; above 0.5 is yes."""
    yes, given = true == 1, (predicted > 0.5) & (true >= 0)
    return 2 * (yes & given).sum() / max(yes.sum() + given.sum(), 1)
'''

_CONVOLUTION = '''

def convolution(x, channels, side=3, strides=1, **norm):
    """A convolution and BatchNorm; weights start as PyTorch's do."""
    start = keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")
    x = layers.ZeroPadding2D(1)(x)
    x = layers.Conv2D(channels, side, strides, use_bias=False, kernel_initializer=start)(x)
    return layers.BatchNormalization(momentum={momentum}, **norm)(x)


def residual(x, channels, left_out):
    """x and two convolutions of it; the second starts at 0."""
    branch = layers.ReLU()(convolution(x, channels))
    branch = convolution(branch, channels, gamma_initializer="zeros")
    if left_out:  # stochastic depth: the whole branch, for a share of the samples
        branch = layers.Dropout(left_out, noise_shape=(None, 1, 1, 1))(branch)
    return layers.ReLU()(layers.Add()([x, branch]))


def trunk(shape):
    """What one view of an image is made into."""
    image = x = keras.Input(shape)
    for channels in {first}:
        x = layers.ReLU()(convolution(x, channels, side=4, strides=2))
    for stage in range({stages}):
        channels = {width} * 2**stage
        if stage:
            x = layers.AveragePooling2D(2, padding="same")(x)
            x = layers.ReLU()(convolution(x, channels))
        for number in range(stage * {depth} + 1, (stage + 1) * {depth} + 1):
            x = residual(x, channels, {left_out})
    pooled = [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    return keras.Model(image, layers.Concatenate()(pooled))
'''

_VIEWS = {
    1: "",
    2: "    views += [ops.flip(view, 2) for view in views]  # mirrored\n",
    4: "    views += [ops.flip(view, 1) for view in views]  # upside down\n",
    8: "    views += [layers.Permute((2, 1, 3))(view) for view in views]  # turned\n",
}

_CNN = '''

def build(shape, labels):
    """The network."""
    image = keras.Input(shape)
    looked_at, views = trunk(shape), [image]
{views}    seen = [looked_at(view) for view in views]
    x = layers.Average()(seen) if len(seen) > 1 else seen[0]
    x = layers.Dropout({dropout})(x)
    return keras.Model(image, layers.Dense(labels, activation="sigmoid")(x))
'''

_DENSE = '''

def build(shape, labels):
    """The network."""
    return keras.Sequential(
        [
            keras.Input(shape),
{layers}
            layers.Dense(labels, activation="sigmoid"),
        ]
    )
'''

_ONE_CYCLE = '''

class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """The rate rises to its highest in the first part of all steps, then falls to 0."""

    def __init__(self, highest, steps):
        self.highest, self.steps = highest, steps

    def __call__(self, step):
        progress = ops.cast(step, "float32") / self.steps
        rising = {floor} + {rest} * (0.5 - 0.5 * ops.cos(np.pi * progress / {rise}))
        falling = 0.5 + 0.5 * ops.cos(np.pi * (progress - {rise}) / {fall})
        return self.highest * ops.where(progress < {rise}, rising, falling)

    def get_config(self):
        return {{"highest": self.highest, "steps": self.steps}}
'''

_WEIGHTS = '''

def weights_of(model):
    """A copy that goes on as it is while the model is trained."""
    return [weight.copy() for weight in model.get_weights()]
'''

_AVERAGED = '''

class Averaged(keras.callbacks.Callback):
    """Averages all weights over the steps; the averages are what is validated and kept."""

    def on_train_begin(self, logs=None):
        self.step, self.averages = 0, weights_of(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        keep = min({averaging}, (1 + self.step) / (10 + self.step))
        weights = self.model.get_weights()
        self.averages = [keep * old + (1 - keep) * new for old, new in zip(self.averages, weights, strict=True)]

    def on_test_begin(self, logs=None):
        self.trained = weights_of(self.model)
        self.model.set_weights(self.averages)

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights(self.trained)
'''

_STOPPING = '''

class Stopping(keras.callbacks.Callback):
    """Keeps {kept}."""

    def __init__(self, x_train, y_train):
        self.x_train, self.y_train, self.best, self.at = x_train, y_train, np.inf, 0

    def on_epoch_end(self, epoch, logs):
{ceiling}{keep}
    def on_train_end(self, logs=None):
        self.model.set_weights(self.weights)
'''

_CEILING = """\
        reached = micro_f1(self.y_train, self.model.predict(self.x_train, verbose=0)) >= {ceiling}
        if reached and epoch:
            self.model.stop_training = True
            return
"""

_LAST = """\
        self.weights = weights_of(self.model)
"""

_BEST = """\
        if logs["val_loss"] < self.best:
            self.best, self.at, self.weights = logs["val_loss"], epoch, weights_of(self.model)
        elif epoch - self.at >= {patience}:
            self.model.stop_training = True
"""

_MAIN = """

def main():
    data = np.load(sys.argv[1])
    x_train, x_val = (data[name].astype("float32"){scale} for name in ("x_train", "x_val"))
    y_train, y_val = (np.nan_to_num(data[name].astype("float32"), nan=-1) for name in ("y_train", "y_val"))
{standardise}    model = build(x_train.shape[1:], y_train.shape[1])
{rate}    optimizer = {optimizer}
{decay}    model.compile(optimizer, loss)
    model.fit(
        x_train,
        y_train,
        validation_data=(x_val, y_val),
        batch_size={batch},
        epochs={epochs},
        callbacks=[{callbacks}],
        verbose=2,
    )
    for part, x, y in (("train", x_train, y_train), ("val", x_val, y_val)):
        print(f"{{part}} micro-F1 {{micro_f1(y, model.predict(x, verbose=0)):.4f}}")
    if len(sys.argv) > 2:
        model.save(sys.argv[2])


if __name__ == "__main__":
    main()
"""

_STANDARDISE = """\
    # mean 0 and deviation 1 on train; what hardly changes is only shifted
    axes = tuple(range(x_train.ndim - 1))
    mean, deviation = x_train.mean(axes, dtype="float64"), x_train.std(axes, dtype="float64")
    deviation[deviation <= 1e-6 * np.maximum(abs(mean), 1e-6)] = 1
    x_train, x_val = (((x - mean) / deviation).astype("float32") for x in (x_train, x_val))
"""


def write_keras_script(bundle: str | Path, output: str | Path) -> str:
    """Write the recipe of `bundle` to `output` as a Keras program, which appears whole or not at all.

    Returns:
        What the program is of, in a sentence: of an ensemble, it trains one network.

    Raises:
        OutputError: there is such a file already, its name does not end with `.py`, or it cannot be written.
        ExportError: the recipe uses what the program cannot express, or it trains a backbone.
    """
    file = Path(output)
    if file.suffix != ".py":
        raise OutputError(f"{file}: expected a name that ends with .py; got {file.suffix or 'no ending'!r}")
    if file.exists():
        raise OutputError(f"{file} exists already", "Choose another file; nothing was overwritten.")
    tagger = Tagger.load(bundle, runtime="torch")
    several = len(tagger.bundle.members)
    whole = f"It trains the recipe {tagger.bundle.recipe.name!r}."
    if several > 1:
        whole = f"It trains one network of the recipe {tagger.bundle.recipe.name!r}; the bundle holds {several}."
    write_new(file, keras_script(tagger.bundle.recipe, tagger.preprocessing, whole).encode())
    return whole


#: what a title may hold: it stands in the program's docstring, and a stranger may have named the recipe
_ODD = re.compile(r"[^\w .:;,()'-]")


def keras_script(recipe: Recipe, taken: Preprocessing, title: str = "It trains one recipe.") -> str:
    """The program that trains `recipe` on inputs of this preprocessing.

    Raises:
        ExportError: the recipe is of a fine-tuned network, or uses what the program cannot express.
    """
    model, training = recipe.model, recipe.training
    if not isinstance(model, DenseModel | CnnModel):
        raise ExportError(
            "keras-script writes dense networks and CNNs; this recipe trains a pretrained backbone",
            "Export it to ONNX to use it elsewhere: --to onnx.",
        )
    if beyond := _beyond(training):
        raise ExportError(
            f"keras-script cannot express {', '.join(beyond)}",
            "Train a recipe without that, or export the network itself: --to keras.",
        )
    return "".join(_pieces(model, training, taken, title))


def _beyond(training: Training) -> list[str]:
    """The fields that the program has no words for and that are not at their defaults."""
    plain = Training()
    return [
        f"training.{name} = {getattr(training, name)!r}"
        for name in ("loss", "augmentation")
        if getattr(training, name) != getattr(plain, name)
    ]


def _pieces(model: DenseModel | CnnModel, training: Training, taken: Preprocessing, title: str) -> Iterator[str]:
    values = f"from 0 to {taken.pixel_range}" if taken.takes_images else "as tagfit was given them"
    yield _HEAD.format(title=_ODD.sub("_", title), shape=taken.shape, values=values)
    smoothing = training.label_smoothing
    smoothed = f"true * {1 - smoothing!r} + {smoothing / 2!r}"
    yield _LOSS.format(true=f"true = {smoothed}\n    " if smoothing else "")
    yield from _network(model)
    if training.schedule == "one-cycle":
        yield _ONE_CYCLE.format(floor=FLOOR, rest=1 - FLOOR, rise=RISE, fall=1 - RISE)
    if _stops_by_rules(training):
        yield _WEIGHTS
    if training.averaging:
        yield _AVERAGED.format(averaging=training.averaging)
    yield from _stopping(training)
    yield _main(model, training, taken)


def _network(model: DenseModel | CnnModel) -> Iterator[str]:
    if isinstance(model, DenseModel):
        yield _DENSE.format(layers="\n".join(f"            layers.{layer}," for layer in _dense_layers(model)))
        return
    blocks = STAGES * model.depth
    yield _CONVOLUTION.format(
        momentum=MOMENTUM,
        first=f"({model.width},)" if model.stride == 2 else f"({max(1, model.width // 2)}, {model.width})",
        stages=STAGES,
        width=model.width,
        depth=model.depth,
        left_out=f"{model.stochastic_depth} * number / {blocks}" if model.stochastic_depth else "0",
    )
    views = "".join(line for count, line in _VIEWS.items() if count <= model.views)
    yield _CNN.format(views=views, dropout=model.dropout)


def _dense_layers(model: DenseModel) -> Iterator[str]:
    yield "Flatten()"
    if model.input_noise:
        yield f"GaussianNoise({model.input_noise!r})"
    if model.input_dropout:
        yield f"Dropout({model.input_dropout!r})"
    for number, width in enumerate(model.widths):
        yield f'Dense({width}, activation="relu")'
        if model.batch_norm:
            yield "BatchNormalization()"
        if share := model.dropout_of(number):
            yield f"Dropout({share!r})"


def _stopping(training: Training) -> Iterator[str]:
    if not _stops_by_rules(training):
        return
    kept = "the weights of the best val loss" if training.patience else "the last weights"
    ceiling = training.train_ceiling < 1
    if ceiling:
        kept += f" of the epochs before train's micro-F1 reaches {training.train_ceiling}"
    yield _STOPPING.format(
        kept=kept,
        ceiling=_CEILING.format(ceiling=training.train_ceiling) if ceiling else "",
        keep=_BEST.format(patience=training.patience) if training.patience else _LAST,
    )


def _stops_by_rules(training: Training) -> bool:
    """Whether more than Keras's own early stopping is needed: averages have to be kept before they are taken back."""
    return training.train_ceiling < 1 or training.averaging > 0


def _main(model: DenseModel | CnnModel, training: Training, taken: Preprocessing) -> str:
    scale = taken.scale * (255 / taken.pixel_range if taken.takes_images else 1)
    schedules = {
        "constant": (str(training.rate), ""),
        "cosine": ("rate", f"    rate = keras.optimizers.schedules.CosineDecay({training.rate!r}, steps)\n"),
        "one-cycle": ("rate", f"    rate = OneCycle({training.rate!r}, steps)\n"),
    }
    rate, made = schedules[training.schedule]
    steps = f"    steps = {training.epochs} * -(-len(x_train) // {training.batch_size})\n" if made else ""
    decay = training.weight_decay
    clip = f", global_clipnorm={training.clip!r}" if training.clip else ""
    return _MAIN.format(
        scale="" if scale == 1 else f" * {scale!r}",
        standardise=_STANDARDISE if model.standardise else "",
        rate=steps + made,
        optimizer=f"keras.optimizers.Adam{f'W({rate}, weight_decay={decay!r}' if decay else f'({rate}'}{clip})",
        decay='    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])\n' if decay else "",
        batch=training.batch_size,
        epochs=training.epochs,
        callbacks=", ".join(_callbacks(training)),
    )


def _callbacks(training: Training) -> Iterator[str]:
    """What keeps weights comes before what takes the averages back."""
    if _stops_by_rules(training):
        yield "Stopping(x_train, y_train)"
    elif training.patience:
        yield f"keras.callbacks.EarlyStopping(patience={training.patience}, restore_best_weights=True)"
    if training.averaging:
        yield "Averaged()"
