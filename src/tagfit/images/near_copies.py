"""Images that are nearly the same: re-encoded, resized, made brighter, mirrored or slightly cropped copies.

Three steps, each on fewer pairs than the one before:

1. A signature of 4 x 4 block colours, as a perceptual hash has it but compared by its angle, names for each image
   the few others that it may be a copy of. Beyond `EXACT` images only those of one bucket are compared, which random
   planes cut (Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002).
2. The one is laid over the other (`registration`).
3. Colours must agree, and the details, which are what is left when a blurred image is taken out, nearly everywhere.
   A shared sky, horizon or frame does not pass; an image without details is nobody's near-copy.

Shapes: N images of H x W pixels, U of them with different bytes, P pairs, S pixels a side after shrinking.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfit.images.registration import LUMA, blurred, moved, registered
from tagfit.io.memory_maps import release
from tagfit.records.data import hash_keys

#: images that are all compared with each other; beyond, buckets are
EXACT = 2**14
#: draws of buckets beyond `EXACT`: a pair has to meet in one of them
TABLES = 12
#: cosine of two signatures from which on a pair is looked at, and how many such others an image may have on each side
ALIKE, NEAREST = 0.85, 4

#: a side of what is registered first, and of what is compared in the end
COARSE, FINE = 16, 32
#: after coarse registration, the correlation of colours from which on a pair is looked at closely
PROMISING = 0.88
#: what makes a near-copy: correlation of colours, of details in 4 of 5 places and on average, and the share laid over
COLOURS, PLACES, DETAILS, COVERED = 0.93, 0.7, 0.8, 0.8
#: places (of 16) that must have details, and the standard deviation, in grey levels of 255, that counts as detail
DETAILED, DETAIL = 6, 2.0
#: how often an image is blurred before what is left of it counts as detail
SMOOTHINGS = 8
#: standard deviation of what encoding leaves: details are not compared below it
NOISE = 0.7

#: images, and pairs of images, that are held at once; and bytes of those that are being shrunk
IMAGES_AT_ONCE, PAIRS_AT_ONCE = 512, 256
BYTES_AT_ONCE = 2**23
#: rows and columns of the similarities that are held at once
ROWS_AT_ONCE, COLUMNS_AT_ONCE = 512, 8192

#: luma, red against green, yellow against blue
OPPONENT = np.stack([LUMA, np.array([1, -1, 0]), np.array([0.5, 0.5, -1])]).astype(np.float32)


def near_copies(x: NDArray[np.uint8], hashes: NDArray[np.uint8]) -> tuple[NDArray[np.intp], ...]:
    """Groups of images that are near-copies of each group's centre; nothing is chained from one to the next.

    Args:
        x: (N, H, W, 3) uint8; may be a memory map.
        hashes: (N, 32) uint8; byte-identical images count as one, and alone they make no group.

    Returns:
        For each group its rows, ascending; groups in the order of their first row. The same for any order of rows.
    """
    if len(x) < 2:
        return ()
    _, row_of, copy_of = np.unique(hash_keys(hashes), return_index=True, return_inverse=True)
    images = _Distinct(x, row_of, _coarse(x)[row_of])
    pairs = _candidates(_signatures(images.coarse))
    pairs = pairs[_confirmed(images, pairs)]
    members = [np.flatnonzero(np.isin(copy_of.ravel(), group)) for group in _stars(images, pairs)]
    return tuple(sorted(members, key=lambda rows: int(rows[0])))


@dataclass(frozen=True, eq=False)
class _Distinct:
    """The U images of different bytes, in the order of their hashes: small in memory, large where they lie."""

    x: NDArray[np.uint8]
    row_of: NDArray[np.intp]
    coarse: NDArray[np.uint8]

    def pair(self, pairs: NDArray[np.intp], side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(P, side, side, 3) the firsts of the (P, 3) pairs, and the seconds, mirrored if they are to be."""
        if side == COARSE:
            first, second = (self.coarse[pairs[:, place]].astype(np.float32) for place in (0, 1))
        else:
            first, second = (shrink(self.x[self.row_of[pairs[:, place]]], side) for place in (0, 1))
            release(self.x)
        mirrored = pairs[:, 2] == 1
        second[mirrored] = second[mirrored, :, ::-1]
        return first, second


# ---------------------------------------------------------------------------------------- what to compare


def _coarse(x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, COARSE, COARSE, 3) uint8."""
    found = np.empty((len(x), COARSE, COARSE, 3), dtype=np.uint8)
    for start in range(0, len(x), IMAGES_AT_ONCE):
        some = slice(start, start + IMAGES_AT_ONCE)
        found[some] = np.rint(shrink(x[some], COARSE))
        release(x)
    return found


def _signatures(coarse: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(U, 4, 4, 3) float32 of length 1: block means in opponent colours, each colour's mean taken out."""
    found = np.empty((len(coarse), 4, 4, 3), dtype=np.float32)
    for start in range(0, len(coarse), IMAGES_AT_ONCE):
        some = slice(start, start + IMAGES_AT_ONCE)
        blocks = _halved(_halved(coarse[some].astype(np.float32))) @ OPPONENT.T
        blocks -= blocks.mean(axis=(1, 2), keepdims=True)
        lengths = np.sqrt((blocks**2).sum(axis=(1, 2, 3), keepdims=True))
        found[some] = blocks / (lengths + 1e-3)
    return found


def _candidates(signatures: NDArray[np.float32]) -> NDArray[np.intp]:
    """(P, 3) first, second > first, and whether the second is to be mirrored; sorted, each pair once."""
    count = len(signatures)
    items = np.concatenate([signatures, signatures[:, :, ::-1]]).reshape(2 * count, -1)
    found = [_alike(items, count, bucket) for bucket in _buckets(items, count)]
    first, second, likeness = (np.concatenate(column) for column in zip(*found, strict=True))
    codes, at = np.unique(first * (2 * count) + second, return_index=True)
    first, second, likeness = codes // (2 * count), codes % (2 * count), likeness[at]
    # among the nearest of both, or the very nearest of one: nobody of a large family is left out
    other = second % count
    kept = np.concatenate(
        [
            np.intersect1d(_nearest(first, likeness, NEAREST), _nearest(other, likeness, NEAREST)),
            _nearest(first, likeness, 1),
            _nearest(other, likeness, 1),
        ]
    )
    kept = np.unique(kept)
    first, second = first[kept], second[kept]
    return np.stack([first, second % count, second // count], axis=1)


def _buckets(items: NDArray[np.float32], count: int) -> Iterator[NDArray[np.intp]]:
    """Rows of `items` that are compared with each other: all of them, or those on the same side of random planes."""
    if count <= EXACT:
        yield np.arange(len(items))
        return
    rng = np.random.default_rng(0)
    bits = int(count).bit_length() - 6
    for _ in range(TABLES):
        planes = rng.standard_normal((items.shape[1], bits)).astype(np.float32)
        keys = (items @ planes > 0) @ (1 << np.arange(bits))
        order = np.argsort(keys, kind="stable")
        yield from np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)


def _alike(
    items: NDArray[np.float32], count: int, bucket: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Of one bucket: images, items behind them in order that are alike, and how much; a few for each image."""
    firsts, seconds, likenesses = [], [], []
    originals = bucket[bucket < count]
    for rows in _slices(originals, ROWS_AT_ONCE):
        for columns in _slices(bucket, COLUMNS_AT_ONCE):
            similar = items[rows] @ items[columns].T
            row, column = np.divmod(np.flatnonzero(similar.ravel() > ALIKE), len(columns))
            behind = columns[column] % count > rows[row]
            row, column = row[behind], column[behind]
            likeness = similar[row, column]
            kept = _nearest(row, likeness, NEAREST)
            firsts.append(rows[row[kept]])
            seconds.append(columns[column[kept]])
            likenesses.append(likeness[kept])
    if not firsts:
        nobody = np.empty(0, dtype=np.intp)
        return nobody, nobody, np.empty(0, dtype=np.float32)
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(likenesses)


def _slices(rows: NDArray[np.intp], length: int) -> Iterator[NDArray[np.intp]]:
    for start in range(0, len(rows), length):
        yield rows[start : start + length]


def _nearest(image: NDArray[np.intp], likeness: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """Which entries are among the `limit` most alike of their `image`."""
    order = np.lexsort((-likeness, image))
    begins = np.searchsorted(image[order], image[order])
    return np.sort(order[np.arange(len(image)) - begins < limit])


# -------------------------------------------------------------------------------------- whether they are


def _confirmed(images: _Distinct, pairs: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(P,) whether each of the (P, 3) pairs is one of near-copies."""
    chunks = range(0, len(pairs), PAIRS_AT_ONCE)
    found = [_same(images, pairs[start : start + PAIRS_AT_ONCE]) for start in chunks]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *found])


def _same(images: _Distinct, pairs: NDArray[np.intp]) -> NDArray[np.bool_]:
    first, second = images.pair(pairs, COARSE)
    still = np.tile(np.array([1, 0, 1, 0], dtype=np.float32), (len(pairs), 1))
    moves = registered(first, second, still, rounds=6)
    laid, covered = moved(second, moves)
    same = _correlation(first, laid, covered) > PROMISING
    if same.any():
        first, second = images.pair(pairs[same], FINE)
        moves = registered(first, second, moves[same], rounds=4)
        laid, covered = moved(second, moves)
        colours = _correlation(first, laid, covered) > COLOURS
        same[same] = colours & (covered.mean(axis=(1, 2)) > COVERED) & _details_agree(first, laid, covered)
    return same


def _correlation(
    first: NDArray[np.float32], second: NDArray[np.float32], covered: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """(P,) correlation of all colours if `covered`; a colour cast counts against it, brightness does not."""
    weight = covered[..., None].astype(np.float32)
    total = 3 * weight.sum(axis=(1, 2, 3), keepdims=True) + 1e-3
    one, other = ((p - (p * weight).sum(axis=(1, 2, 3), keepdims=True) / total) * weight for p in (first, second))
    energy = (one**2).sum(axis=(1, 2, 3)) * (other**2).sum(axis=(1, 2, 3))
    correlation: NDArray[np.float32] = (one * other).sum(axis=(1, 2, 3)) / np.sqrt(energy + 1)
    return correlation


def _details_agree(
    first: NDArray[np.float32], second: NDArray[np.float32], covered: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(P,) whether the details are the same in nearly all of the 4 x 4 places that have any."""
    one, other = (_by_place(_details(images) * covered[..., None]) for images in (first, second))
    values = np.maximum(_by_place(np.broadcast_to(covered[..., None], first.shape)).sum(axis=-1), 1)
    energy, others = (one**2).sum(axis=-1) / values, (other**2).sum(axis=-1) / values
    alike = (one * other).sum(axis=-1) / values / np.sqrt((energy + NOISE**2) * (others + NOISE**2))
    telling = np.maximum(energy, others) > DETAIL**2
    told = telling.sum(axis=1)
    # the lowest fifth may disagree: a caption, a date, a watermark
    ranked = np.sort(np.where(telling, alike, 1), axis=1)
    lowest = np.take_along_axis(ranked, (told // 5)[:, None], axis=1)[:, 0]
    mean = np.where(telling, alike, 0).sum(axis=1) / np.maximum(told, 1)
    agree: NDArray[np.bool_] = (told >= DETAILED) & (lowest > PLACES) & (mean > DETAILS)
    return agree


def _by_place(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """(P, FINE, FINE, 3) as (P, 16 places, values)."""
    edge = FINE // 4
    return images.reshape(-1, 4, edge, 4, edge, 3).swapaxes(2, 3).reshape(-1, 16, edge * edge * 3)


def _details(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is finer than a few pixels; nothing of a gradient."""
    coarse = images
    for _ in range(SMOOTHINGS):
        coarse = blurred(coarse)
    return images - coarse


def _halved(images: NDArray[np.float32]) -> NDArray[np.float32]:
    count, side = images.shape[:2]
    halved: NDArray[np.float32] = images.reshape(count, side // 2, 2, side // 2, 2, -1).mean(axis=(2, 4))
    return halved


def shrink(x: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """(N, side, side, 3) float32: the mean colour of each of side x side equal areas of (N, H, W, 3) images."""
    count, height, width, _ = x.shape
    down, across = _areas(height, side), _areas(width, side).T
    found = np.empty((count, side, side, 3), dtype=np.float32)
    at_once = max(1, BYTES_AT_ONCE // (height * width * 3))
    for start in range(0, count, at_once):
        some = x[start : start + at_once]
        rows = down @ some.reshape(len(some), height, width * 3).astype(np.float32)
        means = rows.reshape(-1, width, 3).swapaxes(1, 2).reshape(-1, width) @ across
        found[start : start + at_once] = means.reshape(len(some), side, 3, side).swapaxes(2, 3)
    return found


def _areas(length: int, side: int) -> NDArray[np.float32]:
    """(side, length) the share that each of `length` pixels has in each of `side` areas."""
    edges = np.linspace(0, length, side + 1)
    pixel = np.arange(length)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    shares: NDArray[np.float32] = (np.clip(overlap, 0, None) * side / length).astype(np.float32)
    return shares


# --------------------------------------------------------------------------------------------- groups


def _stars(images: _Distinct, pairs: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Groups of two or more: a centre, which has most near-copies, and those that are confirmed to be copies of it."""
    mates: dict[int, set[int]] = {}
    for first, second in pairs[:, :2].tolist():
        mates.setdefault(first, set()).add(second)
        mates.setdefault(second, set()).add(first)
    while mates:
        centre = min(mates, key=lambda one: (-len(mates[one]), one))
        around = {centre} | mates[centre] | _further(images, mates, centre)
        yield np.array(sorted(around), dtype=np.intp)
        for one in around:
            for other in mates.pop(one, ()):
                if other in mates:
                    mates[other].discard(one)
        mates = {one: others for one, others in mates.items() if others}


def _further(images: _Distinct, mates: dict[int, set[int]], centre: int) -> set[int]:
    """Near-copies of the centre's near-copies, and so on, that are the centre's as well."""
    reached, edge = {centre} | mates[centre], mates[centre]
    while edge:
        edge = {other for one in edge for other in mates[one]} - reached
        reached |= edge
    others = sorted(reached - mates[centre] - {centre})
    pairs = np.array([(centre, other, mirrored) for other in others for mirrored in (0, 1)], dtype=np.intp)
    if not others:
        return set()
    return {int(pair[1]) for pair in pairs[_confirmed(images, pairs)]}
