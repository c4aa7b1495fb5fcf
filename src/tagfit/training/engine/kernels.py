"""The compiled loops: whole epochs of training, and inference, over flat arrays.

Everything that is called from a compiled loop is in this file, but for the tiles: Numba compiles anew what it has
cached when the file has changed, and looks at no other. The digest of `tiles` is in the names of what it caches.

Everything is generic over float32 and float64. Multiplications may be reordered, but NaN and infinity stay what they
are, so that a training that diverges is seen to.

A literal number that is handed to a part is written np.int64(1): for 1 alone Numba would compile that part once more.

Shapes: N rows, D inputs, B rows of a batch, U units of a layer, L labels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numba
import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from tagfit.io.cache import KERNELS, made_folder
from tagfit.training.engine.tiles import BYTES, DIGEST, ROWS, double_tile, narrow_tile, power_of_2, row_tile, tile

if TYPE_CHECKING:
    from tagfit.metrics.scores import Floats, Ints

Function = TypeVar("Function", bound=Callable[..., object])
Whole = int | np.int64

#: columns of `Net.layers`: sizes; where in the state the kernel (inputs, units), other parameters and running moments
#: lie; and where in the work area a layer's moments, activations, outputs, mask, slopes and its kernel the other way
#: round; -1 where it has none
INPUTS, UNITS, KERNEL, BIAS, GAMMA, MOMENTS, SUMS, ACTIVE, OUT, MASK, SLOPE, TURNED = range(12)
COLUMNS = 12

#: terms of a product that are summed before the next tile: so much of b stays in the first cache
TERMS = 512

#: numbers up to 2 whose product is below float64's largest
TOGETHER = 512

#: values of a kernel that are moved together
AT_ONCE = 32768

#: rows and columns of a block that is turned at a time
BLOCK = 16


class Net(NamedTuple):
    """Where everything lies.

    Attributes:
        layers: (layers, COLUMNS) int64; the last one makes the logits.
        shares: (layers,) share of the outputs that are dropped.
        input_noise, input_dropout: as in the recipe.
        input_mask: where in the work area the mask of the inputs lies.
        rows, batch: that the work area has room for, in inference and in training.
        kernels, parameters: how many of the first values of the state are kernels, and how many are trained.
        momentum, epsilon: BatchNorm's.
    """

    layers: Ints
    shares: Floats
    input_noise: float
    input_dropout: float
    input_mask: int
    rows: int
    batch: int
    kernels: int
    parameters: int
    momentum: float
    epsilon: float


class Data(NamedTuple):
    """The rows of one part; samples are either features or images, the other array is empty.

    Attributes:
        features: (N, D) float32.
        images: (N, D) uint8.
        scale: pixels are multiplied by.
        mean, gain: (D,) float32 of the standardisation.
        rows: (n,) of the samples.
        targets: (n, L) float32.
        known: (n, L) float32, or (0, L) where all cells are known.
    """

    features: Floats
    images: NDArray[np.uint8]
    scale: float
    mean: Floats
    gain: Floats
    rows: Ints
    targets: Floats
    known: Floats


class Memory(NamedTuple):
    """All that changes, of one dtype.

    Attributes:
        state: parameters (kernels first), then running moments.
        average: of the state, or empty.
        slopes, first, second: of the parameters: gradients and Adam's moments.
        work: whatever a batch needs, the inputs first.
    """

    state: Floats
    average: Floats
    slopes: Floats
    first: Floats
    second: Floats
    work: Floats


class Form(NamedTuple):
    """A loss; `models.losses.Formula` says what the fields are. Plain is bce, which needs none of them.

    Attributes:
        yes, no, shift: (L,).
        rarity: (L,), or empty where rows are not rebalanced.
        floor, steepness, middle: of the rebalancing.
    """

    plain: bool
    yes: Floats
    no: Floats
    shift: Floats
    rarity: Floats
    focus_yes: float
    focus_no: float
    margin: float
    sharpness: float
    unknown: float
    entropy: float
    floor: float
    steepness: float
    middle: float


class Rules(NamedTuple):
    """How to train; rates, bias corrections and shares of the average come by the step's number, from `first` on."""

    first: int
    rates: Floats
    corrections: Floats
    shares: Floats
    beta_1: float
    beta_2: float
    epsilon: float
    weight_decay: float
    smoothing: float
    clip: float
    form: Form


#: products may be summed in another order, but not as if there were no NaN or infinity
_HOW = {"nogil": True, "fastmath": {"reassoc", "contract", "arcp", "nsz"}, "error_model": "numpy"}


def compiled(function: Function) -> Function:
    """Machine code at the first call, kept in NUMBA_CACHE_DIR or the cache where that can be written to."""
    function.__qualname__ += f"_{DIGEST}"  # the files of the cache are called after it
    usual = numba.config.CACHE_DIR
    try:
        numba.config.CACHE_DIR = usual or str(made_folder() / KERNELS)
        code: Function = numba.njit(cache=True, **_HOW)(function)
    except (OSError, RuntimeError):  # no folder to keep it in
        code = numba.njit(**_HOW)(function)
    finally:
        numba.config.CACHE_DIR = usual  # a program's own compiled functions are no business of ours
    return code


def part(function: Function) -> Function:
    """Machine code that only compiled functions call, and are kept with."""
    code: Function = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_HOW)(function)
    return code


@compiled
def epoch(
    net: Net, data: Data, memory: Memory, rules: Rules, order: Ints, batch: int, done: int, key: np.uint64
) -> NDArray[np.float64]:
    """Train on the rows in `order`, after `done` steps: the loss of each step."""
    steps = (len(order) + batch - 1) // batch
    losses = np.empty(steps)
    for step in range(steps):
        positions, number = order[step * batch : (step + 1) * batch], done + step
        draw(net, memory.work, len(positions), key, number)
        losses[step] = forward(net, data, memory, positions, rules)
        if rules.clip > 0:  # no weight moves before all slopes are known
            backward(net, memory, len(positions), rules, np.int64(-1))
            move(net, memory, rules, number, np.int64(0))
        else:
            backward(net, memory, len(positions), rules, number)
            move(net, memory, rules, number, net.kernels)
    return losses


@part
def forward(net: Net, data: Data, memory: Memory, positions: Ints, rules: Rules) -> float:
    """The loss of a batch, and its slopes by the logits."""
    rows, work, state, layers = len(positions), memory.work, memory.state, net.layers
    gather(data, positions, work)
    spoil(net, work, rows)
    inputs = work[: rows * layers[0, INPUTS]]
    for number in range(len(layers) - 1):
        layer = layers[number]
        active, units = weighted_sums(layer, state, work, inputs, rows), layer[UNITS]
        bend(active, state[layer[BIAS] : layer[BIAS] + units], rows)
        if layer[GAMMA] >= 0:
            normalise(net, layer, memory, rows)
        inputs = work[layer[OUT] : layer[OUT] + rows * units]
        if layer[MASK] >= 0:
            source = inputs if layer[GAMMA] >= 0 else active
            multiply(source, work[layer[MASK] : layer[MASK] + rows * units], inputs)
    last = layers[-1]
    logits = weighted_sums(last, state, work, inputs, rows)
    bias = state[last[BIAS] : last[BIAS] + last[UNITS]]
    if rules.form.plain:
        return judge(data, positions, rules.smoothing, logits, bias, memory, last, rows)
    return judge_by(rules.form, data, positions, rules.smoothing, logits, bias, memory, last, rows)


@part
def weighted_sums(layer: Ints, state: Floats, work: Floats, inputs: Floats, rows: int) -> Floats:
    """A layer's sums (B, U) of its inputs, before its bias: its activations in the work area."""
    units, wide = layer[UNITS], layer[INPUTS]
    active = work[layer[ACTIVE] : layer[ACTIVE] + rows * units]
    kernel = state[layer[KERNEL] : layer[KERNEL] + units * wide]
    product(rows, units, wide, inputs, wide, np.int64(1), kernel, active)
    return active


@part
def backward(net: Net, memory: Memory, rows: int, rules: Rules, step: Whole) -> None:
    """From the slopes by the logits to those by all parameters; at a step from 0 on, kernels move at once."""
    work, state, layers = memory.work, memory.state, net.layers
    for number in range(len(layers) - 1, -1, -1):
        layer = layers[number]
        units, wide, place = layer[UNITS], layer[INPUTS], layer[KERNEL]
        slope = work[layer[SLOPE] : layer[SLOPE] + rows * units]
        below = layers[number - 1][OUT] if number else 0
        inputs = work[below : below + rows * wide]
        if number:
            before = layers[number - 1]
            earlier = work[before[SLOPE] : before[SLOPE] + rows * wide]
            turned = work[layer[TURNED] : layer[TURNED] + units * wide]
            turn(state[place : place + units * wide], wide, units, turned)
            product(rows, wide, units, slope, units, np.int64(1), turned, earlier)
        if step < 0:
            product(wide, units, rows, inputs, np.int64(1), wide, slope, memory.slopes[place : place + units * wide])
        else:
            learn(memory, rules, place, wide, units, rows, inputs, slope, step)
        if number:
            go_back(before, memory, rows)


@part
def learn(
    memory: Memory,
    rules: Rules,
    place: int,
    wide: int,
    units: int,
    rows: int,
    inputs: Floats,
    slope: Floats,
    step: Whole,
) -> None:
    """Move a kernel some rows at a time: their slopes never leave the cache, and are forgotten."""
    several = max(1, AT_ONCE // units // ROWS) * ROWS
    begin = 0
    while begin < wide:
        count = several if wide - begin >= 2 * several else wide - begin
        slopes = memory.slopes[: count * units]
        product(count, units, rows, inputs[begin:], np.int64(1), wide, slope, slopes)
        first = place + begin * units
        adam(memory, rules, slopes, first, first + count * units, step, rules.weight_decay, 1.0)
        begin += count


@compiled
def infer(net: Net, data: Data, state: Floats, work: Floats, logits: Floats) -> None:
    """The logits (n, L) of all rows, in inference mode, with the weights in `state`."""
    layers = net.layers
    labels = layers[-1, UNITS]
    positions = np.arange(len(data.rows))
    for start in range(0, len(positions), net.rows):
        chunk = positions[start : start + net.rows]
        rows = len(chunk)
        gather(data, chunk, work)
        inputs = work[: rows * layers[0, INPUTS]]
        for number in range(len(layers)):
            layer = layers[number]
            active = weighted_sums(layer, state, work, inputs, rows)
            bias = state[layer[BIAS] : layer[BIAS] + layer[UNITS]]
            if number == len(layers) - 1:
                for row in range(rows):
                    for label in range(labels):
                        logits[start + row, label] = active[row * labels + label] + bias[label]
                break
            bend(active, bias, rows)
            if layer[GAMMA] >= 0:
                settle(net, layer, state, work, rows)
            inputs = active


@part
def product(rows: int, columns: int, terms: int, a: Floats, a_row: Whole, a_term: Whole, b: Floats, c: Floats) -> None:
    """c = a @ b: (rows, columns) = (rows, terms) @ (terms, columns), where a[row * a_row + term * a_term]."""
    lanes = BYTES // c.itemsize
    for start in range(0, terms, TERMS):
        count, more = min(TERMS, terms - start), start > 0
        column = np.int64(0)
        while column < columns:
            left = int(columns - column)
            wide = 2 * lanes if left >= 2 * lanes else min(left, lanes)
            for row in range(0, rows, ROWS):
                if row + ROWS > rows:
                    if rows < ROWS or terms > TERMS:
                        single_rows(row, rows, column, wide, start, count, a, a_row, a_term, b, c, columns)
                        break
                    row = rows - ROWS  # noqa: PLW2901 (some rows are computed again, to the same bits)
                a_tile, b_tile = a[row * a_row + start * a_term :], b[start * columns + column :]
                c_tile = c[row * columns + column :]
                if wide == 2 * lanes:
                    double_tile(a_tile, a_row, a_term, b_tile, columns, c_tile, columns, count, wide, more)
                elif wide == lanes:
                    tile(a_tile, a_row, a_term, b_tile, columns, c_tile, columns, count, wide, more)
                else:
                    narrow_tile(a_tile, a_row, a_term, b_tile, columns, c_tile, columns, count, wide, more)
            column += wide


@part
def single_rows(
    first: int, end: int, column: Whole, wide: int, start: int, count: int, a: Floats, a_row: Whole, a_term: Whole,
    b: Floats, c: Floats, columns: int,
) -> None:  # fmt: skip
    """Rows that make no tile."""
    lanes = BYTES // c.itemsize
    for row in range(first, end):
        for begin in range(column, column + wide, lanes):
            row_tile(
                a[row * a_row + start * a_term :], a_row, a_term, b[start * columns + begin :], columns,
                c[row * columns + begin :], columns, count, column + wide - begin, start > 0,
            )  # fmt: skip


@part
def turn(kernel: Floats, wide: int, units: int, out: Floats) -> None:
    """(wide, units) to (units, wide)."""
    for first in range(0, wide, BLOCK):
        for begin in range(0, units, BLOCK):
            for unit in range(begin, min(begin + BLOCK, units)):
                for row in range(first, min(first + BLOCK, wide)):
                    out[unit * wide + row] = kernel[row * units + unit]


@part
def gather(data: Data, positions: Ints, work: Floats) -> None:
    """Scaled and standardised inputs (B, D) into the beginning of the work area."""
    wide = len(data.mean)
    for number in range(len(positions)):
        row, out = data.rows[positions[number]], work[number * wide : (number + 1) * wide]
        if len(data.features):
            standardise(data.features[row], data, out)
        else:
            standardise(data.images[row], data, out)


@part
def standardise(values: Floats | NDArray[np.uint8], data: Data, out: Floats) -> None:
    real = out.dtype.type
    scale, mean, gain = real(data.scale), data.mean, data.gain
    for i in range(len(out)):
        out[i] = (real(values[i]) * scale - mean[i]) * gain[i]


@part
def spoil(net: Net, work: Floats, rows: int) -> None:
    """Noise and dropout of the inputs: the mask says by how much to multiply, the noise lies behind it."""
    if net.input_mask < 0:
        return
    count = rows * net.layers[0, INPUTS]
    inputs, begin = work[:count], net.input_mask
    if net.input_noise > 0:
        noise = work[begin + net.batch * net.layers[0, INPUTS] :][:count]
        for i in range(count):
            inputs[i] += noise[i]
    if net.input_dropout > 0:
        multiply(inputs, work[begin : begin + count], inputs)


@part
def bend(active: Floats, bias: Floats, rows: int) -> None:
    """Bias and relu; NaN stays NaN."""
    units, zero = len(bias), active.dtype.type(0)
    for row in range(rows):
        values = active[row * units : (row + 1) * units]
        for unit in range(units):
            value = values[unit] + bias[unit]
            values[unit] = zero if value < zero else value


@part
def multiply(values: Floats, factors: Floats, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = values[i] * factors[i]


@part
def pair(values: Floats, place: int, units: int) -> tuple[Floats, Floats]:
    """Two rows (U,) that lie one behind the other."""
    return values[place : place + units], values[place + units : place + 2 * units]


@part
def normalise(net: Net, layer: Ints, memory: Memory, rows: int) -> None:
    """BatchNorm by the batch's own moments, which are kept for `go_back` and move the running ones."""
    units, work, number = layer[UNITS], memory.work, memory.work.dtype.type
    mean, inverse = pair(work, layer[SUMS], units)
    share = number(1.0 / rows)
    mean[:] = 0
    inverse[:] = 0
    for row in range(rows):
        values = work[layer[ACTIVE] + row * units : layer[ACTIVE] + (row + 1) * units]
        for unit in range(units):
            mean[unit] += values[unit]
    for unit in range(units):
        mean[unit] *= share
    for row in range(rows):
        values = work[layer[ACTIVE] + row * units : layer[ACTIVE] + (row + 1) * units]
        for unit in range(units):
            away = values[unit] - mean[unit]
            inverse[unit] += away * away
    one, epsilon, rest = number(1), number(net.epsilon), number(1 - net.momentum)
    running_mean, running_variance = pair(memory.state, layer[MOMENTS], units)
    for unit in range(units):
        variance = inverse[unit] * share
        running_mean[unit] += (mean[unit] - running_mean[unit]) * rest
        running_variance[unit] += (variance - running_variance[unit]) * rest
        inverse[unit] = one / math.sqrt(variance + epsilon)
    gamma, beta = pair(memory.state, layer[GAMMA], units)
    for row in range(rows):
        values = work[layer[ACTIVE] + row * units : layer[ACTIVE] + (row + 1) * units]
        out = work[layer[OUT] + row * units : layer[OUT] + (row + 1) * units]
        for unit in range(units):
            out[unit] = (values[unit] - mean[unit]) * inverse[unit] * gamma[unit] + beta[unit]


@part
def settle(net: Net, layer: Ints, state: Floats, work: Floats, rows: int) -> None:
    """BatchNorm by the running moments, in place."""
    units, number = layer[UNITS], work.dtype.type
    mean, variance = pair(state, layer[MOMENTS], units)
    gamma, beta = pair(state, layer[GAMMA], units)
    gain = work[layer[SUMS] : layer[SUMS] + units]
    for unit in range(units):
        gain[unit] = gamma[unit] / math.sqrt(variance[unit] + number(net.epsilon))
    for row in range(rows):
        values = work[layer[ACTIVE] + row * units : layer[ACTIVE] + (row + 1) * units]
        for unit in range(units):
            values[unit] = (values[unit] - mean[unit]) * gain[unit] + beta[unit]


def fading(value: float) -> float:
    """exp(-|value|), as the overload below computes it for its type."""
    return math.exp(-abs(value))


@overload(fading)  # type: ignore[untyped-decorator]
def _fading(value: float) -> Callable[[float], float | np.float32]:
    if value == types.float64:

        def of_float64(value: float) -> float:
            return math.exp(-abs(value))

        return of_float64

    def of_float32(value: float) -> np.float32:
        """In steps that fit into vectors: 2^n exp(r), exp by Taylor's series, whose rest is below float32's."""
        x = np.float32(-abs(value))
        x = np.float32(-87) if x < np.float32(-87) else x
        n = np.int32(x * np.float32(1.4426950408889634) - np.float32(0.5))
        r = x - np.float32(n) * np.float32(0.6931471805599453)
        total = np.float32(1 / 5040)
        for factor in (1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):
            total = total * r + np.float32(factor)
        scaled: np.float32 = total * power_of_2(n)
        return scaled

    return of_float32


@part
def counted(data: Data, positions: Ints) -> float:
    """How many labels of a batch are known, at least 1."""
    if len(data.known) == 0:
        return float(len(positions) * data.known.shape[1])
    count = 0.0
    for row in range(len(positions)):
        for label in range(data.known.shape[1]):
            count += data.known[positions[row], label]
    return max(count, 1.0)


@part
def judge(
    data: Data, positions: Ints, smoothing: float, logits: Floats, bias: Floats, memory: Memory, layer: Ints, rows: int
) -> float:
    """`models.losses.bce`, and its slopes by the logits and by their bias; the bias is added here.

    The logarithms of many numbers between 1 and 2 are taken together, of their product.
    """
    labels, number = len(bias), logits.dtype.type
    masked, ones, cells = len(data.known) > 0, np.ones(labels, np.float32), counted(data, positions)
    zero, one, part = number(0), number(1), number(1.0 / cells)
    scale, shift = number(1 - smoothing), number(smoothing / 2)
    slopes = memory.slopes[layer[BIAS] : layer[BIAS] + labels]
    slopes[:] = 0
    total = 0.0
    for row in range(rows):
        targets, known = data.targets[positions[row]], data.known[positions[row]] if masked else ones
        for begin in range(0, labels, TOGETHER):
            straight, bent = zero, 1.0
            for label in range(begin, min(begin + TOGETHER, labels)):
                value, counts = logits[row * labels + label] + bias[label], number(known[label])
                target = number(targets[label]) * scale + shift
                small = fading(value)
                sure = one / (one + small)
                straight += ((zero if value < zero else value) - value * target) * counts
                bent *= float(1.0 + small * counts)
                away = ((small * sure if value < zero else sure) - target) * part * counts
                memory.work[layer[SLOPE] + row * labels + label] = away
                slopes[label] += away
            total += float(straight + math.log(bent))
    return total / cells


@part
def judge_by(
    form: Form, data: Data, positions: Ints, smoothing: float, logits: Floats, bias: Floats, memory: Memory,
    layer: Ints, rows: int,
) -> float:  # fmt: skip
    """`models.losses.Formula`, and its slopes by the logits and by their bias; the bias is added here."""
    labels, masked, total = len(bias), len(data.known) > 0, 0.0
    cells = float(rows * labels) if form.unknown > 0 or form.entropy > 0 else counted(data, positions)
    slopes = memory.slopes[layer[BIAS] : layer[BIAS] + labels]
    slopes[:] = 0
    for row in range(rows):
        place, common = positions[row], 0.0
        if len(form.rarity) > 0:
            for label in range(labels):
                if data.targets[place, label] > 0.5 and (not masked or data.known[place, label] > 0):
                    common += form.rarity[label]
        for label in range(labels):
            value = float(logits[row * labels + label] + bias[label])
            if masked and data.known[place, label] == 0:
                if form.entropy > 0:
                    sure, cost = sigmoid(value), soft(value)
                    cost, slope = -form.entropy * (cost - value * sure), form.entropy * value * sure * (1 - sure)
                else:
                    cost, slope = no_cost(form, value + form.shift[label])
                    cost, slope = cost * form.unknown * form.no[label], slope * form.unknown * form.no[label]
            else:
                target = float(data.targets[place, label]) * (1 - smoothing) + smoothing / 2
                yes, by_yes = yes_cost(form, value + form.shift[label])
                no, by_no = no_cost(form, value + form.shift[label])
                yes_share, no_share = target * form.yes[label], (1 - target) * form.no[label]
                cost, slope = yes_share * yes + no_share * no, yes_share * by_yes + no_share * by_no
                if len(form.rarity) > 0:
                    ratio = form.rarity[label] / common if common > 0 else math.inf
                    counts = form.floor + sigmoid(form.steepness * (ratio - form.middle))
                    cost, slope = cost * counts, slope * counts
            total += cost
            away = slope / cells
            memory.work[layer[SLOPE] + row * labels + label] = away
            slopes[label] += away
    return total / cells


@part
def sigmoid(z: float) -> float:
    small = math.exp(-abs(z))
    return 1 / (1 + small) if z >= 0 else small / (1 + small)


@part
def soft(z: float) -> float:
    """-log of 1 - sigmoid(z)."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


@part
def yes_cost(form: Form, z: float) -> tuple[float, float]:
    """What a yes costs at the logit z, and its slope."""
    cost, sure = soft(-z), sigmoid(z)
    if form.focus_yes == 0:
        return cost, sure - 1
    focus = math.exp(-form.focus_yes * soft(z))
    return focus * cost, -focus * (form.focus_yes * sure * cost + 1 - sure)


@part
def no_cost(form: Form, z: float) -> tuple[float, float]:
    """What a no costs at the logit z, and its slope."""
    z *= form.sharpness
    cost, sure = soft(z), sigmoid(z)
    if form.margin == 0:
        focus = math.exp(-form.focus_no * soft(-z)) if form.focus_no > 0 else 1.0
        return focus * cost / form.sharpness, focus * (form.focus_no * (1 - sure) * cost + sure)
    q = sure - form.margin
    if q <= 0:
        return 0.0, 0.0
    cost = -math.log1p(-q)
    return q**form.focus_no * cost / form.sharpness, sure * (1 - sure) * (
        form.focus_no * q ** (form.focus_no - 1) * cost + q**form.focus_no / (1 - q)
    )


@part
def go_back(layer: Ints, memory: Memory, rows: int) -> None:
    """From the slopes by a hidden layer's outputs to those by its sums, in place, and by its bias, gamma and beta."""
    units, work, slopes, number = layer[UNITS], memory.work, memory.slopes, memory.work.dtype.type
    zero = number(0)
    bias = slopes[layer[BIAS] : layer[BIAS] + units]
    bias[:] = 0
    slope = work[layer[SLOPE] : layer[SLOPE] + rows * units]
    if layer[MASK] >= 0:
        multiply(slope, work[layer[MASK] : layer[MASK] + rows * units], slope)
    if layer[GAMMA] >= 0:
        un_normalise(layer, memory, rows)
    for row in range(rows):
        values = work[layer[ACTIVE] + row * units : layer[ACTIVE] + (row + 1) * units]
        out = slope[row * units : (row + 1) * units]
        for unit in range(units):
            passed = zero if values[unit] <= zero else out[unit]
            out[unit] = passed
            bias[unit] += passed


@part
def un_normalise(layer: Ints, memory: Memory, rows: int) -> None:
    units, work, number = layer[UNITS], memory.work, memory.work.dtype.type
    mean, inverse = pair(work, layer[SUMS], units)
    gamma, _ = pair(memory.state, layer[GAMMA], units)
    by_gamma, by_beta = pair(memory.slopes, layer[GAMMA], units)
    by_gamma[:] = 0
    by_beta[:] = 0
    share = number(1.0 / rows)
    for row in range(rows):
        values = work[layer[ACTIVE] + row * units : layer[ACTIVE] + (row + 1) * units]
        out = work[layer[SLOPE] + row * units : layer[SLOPE] + (row + 1) * units]
        for unit in range(units):
            by_beta[unit] += out[unit]
            by_gamma[unit] += out[unit] * (values[unit] - mean[unit])
    for unit in range(units):
        by_gamma[unit] *= inverse[unit]
    for row in range(rows):
        values = work[layer[ACTIVE] + row * units : layer[ACTIVE] + (row + 1) * units]
        out = work[layer[SLOPE] + row * units : layer[SLOPE] + (row + 1) * units]
        for unit in range(units):
            away = (values[unit] - mean[unit]) * inverse[unit] * by_gamma[unit]
            out[unit] = gamma[unit] * inverse[unit] * (out[unit] - share * (by_beta[unit] + away))


@compiled
def move(net: Net, memory: Memory, rules: Rules, step: int, begin: Whole) -> None:
    """A step of Adam as `training.optimiser` has it, for the parameters from `begin` on, and of the average."""
    scale = 1.0
    if rules.clip > 0:
        scale = min(1.0, rules.clip / (math.sqrt(length(memory.slopes)) + 1e-6))
    kernels, end = net.kernels, net.parameters
    adam(memory, rules, memory.slopes[begin:kernels], begin, kernels, step, rules.weight_decay, scale)
    adam(memory, rules, memory.slopes[kernels:end], kernels, end, step, 0.0, scale)
    if len(memory.average):
        state, average = memory.state, memory.average
        rest = state.dtype.type(1 - rules.shares[step - rules.first])
        for i in range(len(state)):
            average[i] += (state[i] - average[i]) * rest


@part
def length(values: Floats) -> float:
    """The sum of squares."""
    total = values.dtype.type(0)
    for i in range(len(values)):
        total += values[i] * values[i]
    return float(total)


@part
def adam(
    memory: Memory, rules: Rules, slopes: Floats, begin: Whole, end: int, step: Whole, weight_decay: float, scale: float
) -> None:
    now = step - rules.first
    number, rate = memory.state.dtype.type, rules.rates[now]
    state, first, second = memory.state[begin:end], memory.first[begin:end], memory.second[begin:end]
    size, decay = number(rate * rules.corrections[now]), number(1 - rate * weight_decay)
    rest_1, rest_2 = number(1 - rules.beta_1), number(1 - rules.beta_2)
    scale_, epsilon = number(scale), number(rules.epsilon)
    for i in range(len(state)):
        slope = slopes[i] * scale_
        one = first[i] + (slope - first[i]) * rest_1
        two = second[i] + (slope * slope - second[i]) * rest_2
        first[i], second[i] = one, two
        state[i] = state[i] * decay - size * one / (math.sqrt(two) + epsilon)


@compiled
def draw(net: Net, work: Floats, rows: int, key: np.uint64, step: int) -> None:
    """Masks of dropout and noise for a step: counters, hashed with a key of the training, the step and the layer."""
    layers = net.layers
    for number in range(len(layers)):
        layer = layers[number]
        if layer[MASK] >= 0:
            mask = work[layer[MASK] : layer[MASK] + rows * layer[UNITS]]
            draw_mask(mask, net.shares[number], mixed(key, step, number))
    if net.input_mask < 0:
        return
    wide = layers[0, INPUTS]
    if net.input_dropout > 0:
        mask = work[net.input_mask : net.input_mask + rows * wide]
        draw_mask(mask, net.input_dropout, mixed(key, step, len(layers)))
    if net.input_noise > 0:
        noise = work[net.input_mask + net.batch * wide :][: rows * wide]
        draw_noise(noise, net.input_noise, mixed(key, step, len(layers) + 1))


@part
def mixed(key: np.uint64, step: int, place: int) -> np.uint64:
    """64 bits for each step and place: splitmix64 (Steele, Lea & Flood 2014) of a counter."""
    x = key + np.uint64(step) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(place) * np.uint64(0xD1B54A32D192ED03)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@part
def hashed(counter: int, low: np.uint32, high: np.uint32) -> np.uint32:
    """32 bits of a counter and a key: Wellons's lowbias32, keyed at its beginning and in its middle."""
    x = np.uint32(counter) ^ low
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D))
    x = np.uint32(x + high)
    x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@part
def draw_mask(mask: Floats, share: float, key: np.uint64) -> None:
    """0 for the share that is dropped, 1 / (1 - share) for the others."""
    number = mask.dtype.type
    zero, kept, limit = number(0), number(1 / (1 - share)), np.uint32(share * 2.0**32)
    low, high = np.uint32(key), np.uint32(key >> np.uint64(32))
    for i in range(len(mask)):
        mask[i] = zero if hashed(i, low, high) < limit else kept


@part
def draw_noise(noise: Floats, deviation: float, key: np.uint64) -> None:
    """Normal values by Box & Muller (1958), two at a time."""
    number = noise.dtype.type
    low, high = np.uint32(key), np.uint32(key >> np.uint64(32))
    half = (len(noise) + 1) // 2
    unit, turn = np.float32(2.0**-24), np.float32(2 * math.pi * 2.0**-24)
    for i in range(half):
        distance = np.float32((hashed(2 * i, low, high) >> np.uint32(8)) + np.uint32(1)) * unit
        angle = np.float32(hashed(2 * i + 1, low, high) >> np.uint32(8)) * turn
        radius = np.float32(deviation) * math.sqrt(np.float32(-2) * math.log(distance))
        noise[i] = number(radius * math.cos(angle))
        if half + i < len(noise):
            noise[half + i] = number(radius * math.sin(angle))
