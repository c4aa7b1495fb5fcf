"""Small data that tests make for themselves."""

import json
import os
from functools import partial
from xml.sax.saxutils import escape

import numpy as np
from PIL import Image, PngImagePlugin

from tagfit.api import cure_by
from tagfit.data.dataset import build
from tagfit.data.lock import lock
from tagfit.data.split import split
from tagfit.decisions.decider import Predictions
from tagfit.diagnosis.evidence import Evidence, cheapest_features
from tagfit.images.decode import MAX_PIXELS, shrink
from tagfit.io.typed_json import to_plain
from tagfit.metrics.baselines import ConstantBaseline
from tagfit.metrics.intervals import LEAST
from tagfit.options.runs import CureOptions
from tagfit.recipes import RECIPES, DenseModel, Recipe, Training
from tagfit.records.data import NO, LabelTable
from tagfit.records.scores import Target
from tagfit.search.plan import Plan
from tagfit.training.quick import fit_all

#: `make prove` asks for the long form of the tests that have one
PROVE = bool(os.environ.get("TAGFIT_PROVE"))

#: a dense recipe that is trained in no time
QUICK = Recipe(name="quick", model=DenseModel(widths=(32,)), training=Training(epochs=20, patience=0, rate=1e-2))


def cure(data, candidates=None, usual_trials=None, **options):
    """`tagfit.cure` by these candidates, the ladder unless given, and without a search unless it is asked for."""
    others = {name: options.pop(name) for name in ("target", "on_event") if name in options}
    return cure_by(Plan(candidates, usual_trials), data, CureOptions(**options), **others)


def feature_table(samples=120, features=8, labels=3, seed=0, **changes):
    """Rows whose labels are noisy linear functions of their features."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(samples, features)).astype(np.float32)
    weights = rng.normal(size=(features, labels))
    labels_NL = (x @ weights + rng.normal(scale=0.5, size=(samples, labels)) > 0).astype(np.int8)
    values = {
        "name": "rows",
        "label_names": tuple(f"label_{number}" for number in range(labels)),
        "labels_NL": labels_NL,
        "sample_names": tuple(f"row {number}" for number in range(1, samples + 1)),
        "x": x,
        "absent_label": NO,
    }
    return LabelTable(**{**values, **changes})


def image_table(samples=40, side=16, seed=0, **changes):
    """Images in memory, noisy red and green ones, mixed."""
    rng = np.random.default_rng(seed)
    labels_NL = rng.integers(0, 2, size=(samples, 2), dtype=np.int8)
    x = rng.integers(0, 60, size=(samples, side, side, 3), dtype=np.uint8)
    x[..., :2] += (labels_NL.astype(np.uint8) * 190)[:, None, None, :]
    values = {
        "name": "squares",
        "label_names": ("red", "green"),
        "labels_NL": labels_NL,
        "sample_names": tuple(f"row {number}" for number in range(1, samples + 1)),
        "x": x,
        "absent_label": NO,
    }
    return LabelTable(**{**values, **changes})


def as_json(record):
    """A record, or what prints one, as JSON has it."""
    return json.loads(json.dumps(to_plain(record), allow_nan=False))


def locked(table):
    dataset = build(table)
    return lock(dataset, split(dataset))


def decode(encoded, form, *, max_pixels=MAX_PIXELS):
    """(size, size, 3) uint8, as the processes that decode make it."""
    return np.asarray(shrink(encoded, form, max_pixels=max_pixels)[0])


def scenes(count, seed=0, size=64):
    """(count, size, size, 3) uint8 images with large forms and small details, each its own."""
    rng = np.random.default_rng(seed)
    x = np.full((count, size, size, 3), 128.0)
    for edge, contrast in ((4, 40), (8, 25), (16, 18), (32, 14)):
        noise = rng.normal(scale=contrast, size=(count, edge, edge, 3 if edge < 16 else 1))
        x += noise.repeat(size // edge, axis=1).repeat(size // edge, axis=2)
    return np.clip(x, 0, 255).astype(np.uint8)


def camera_folder(folder, names_and_pixels, cameras):
    """PNG files in `folder`, with a labels.csv of two labels that alternate and the camera of each."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["image,labels,camera"]
    for row, (name, pixels) in enumerate(names_and_pixels):
        Image.fromarray(pixels).save(folder / name)
        lines.append(f"{name},{'odd' if row % 2 else 'even'},{cameras[row]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def image_folder(folder, samples=40, size=20):
    """A folder of PNG images, red ones and green ones, with a labels.csv."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["image,labels"]
    for number in range(samples):
        red, green = number % 2, (number // 2) % 2
        pixels = rng.integers(0, 60, size=(size, size, 3), dtype=np.uint8)
        pixels[..., 0] += np.uint8(190 * red)
        pixels[..., 1] += np.uint8(190 * green)
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        names = [name for name, there in (("red", red), ("green", green)) if there]
        lines.append(f"images/{number}.png,{';'.join(names) or 'none'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def xmp_packet(subject=(), lightroom=(), digikam=(), escaped=True):
    """An XMP packet with the keywords that digital photo managers write."""
    properties = {"dc:subject": subject, "lr:hierarchicalSubject": lightroom, "digiKam:TagsList": digikam}
    lists = []
    for name, keywords in properties.items():
        items = "".join(f"<rdf:li>{escape(text) if escaped else text}</rdf:li>" for text in keywords)
        lists.append(f"<{name}><rdf:Bag>{items}</rdf:Bag></{name}>" if keywords else "")
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:digiKam="http://www.digikam.org/ns/1.0/">'
        f"{''.join(lists)}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def iptc_block(*keywords, utf8=False):
    """IPTC-IIM records: 2:25 for each keyword, text or bytes, and 1:90 where the text is declared as UTF-8."""
    records = [(1, 90, b"\x1b%G")] if utf8 else []
    records += [(2, 25, word.encode() if isinstance(word, str) else word) for word in keywords]
    return b"".join(bytes([0x1C, *head]) + len(text).to_bytes(2, "big") + text for *head, text in records)


def save_tagged(path, xmp=None, iptc=None):
    """A small image, of the format that its suffix says, with metadata in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (6, 5), "red")
    suffix = path.suffix.lower()
    if suffix == ".png":
        info = PngImagePlugin.PngInfo()
        if xmp:
            info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        image.save(path, pnginfo=info)
    elif suffix in (".tif", ".tiff"):
        image.save(path, tiffinfo={tag: value for tag, value in ((700, xmp), (33723, iptc)) if value})
    else:
        image.save(path, **({"xmp": xmp} if xmp else {}))
    if iptc and suffix == ".jpg":
        resource = b"8BIM\x04\x04\0\0" + len(iptc).to_bytes(4, "big") + iptc + b"\0" * (len(iptc) % 2)
        segment = b"Photoshop 3.0\0" + resource
        encoded = path.read_bytes()
        path.write_bytes(encoded[:2] + b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment + encoded[2:])


_TRANSFORMER = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
_PATCHES = {**_TRANSFORMER, "image_size": 32, "patch_size": 16}
_STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1]}
_WINDOWS = {"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
#: fields that make the smallest network of each kind
TINY = {
    "beit": _PATCHES,
    "bit": {**_STAGES, "embedding_size": 8, "num_groups": 4},
    "clip_vision_model": _PATCHES,
    "convnext": {**_STAGES, "num_stages": 2},
    "convnextv2": {**_STAGES, "num_stages": 2},
    "data2vec-vision": _PATCHES,
    "deit": _PATCHES,
    "dinov2": _PATCHES,
    "dinov2_with_registers": _PATCHES,
    "dinov3_convnext": {"hidden_sizes": [8, 8, 8, 16], "depths": [1, 1, 1, 1]},
    "dinov3_vit": _PATCHES,
    "efficientnet": {
        "hidden_dim": 1280,
        "in_channels": [32, 8],
        "out_channels": [8, 16],
        "kernel_sizes": [3, 3],
        "strides": [1, 2],
        "num_block_repeats": [1, 1],
        "expand_ratios": [1, 6],
        "width_coefficient": 1.0,
        "depth_coefficient": 1.0,
    },
    "focalnet": {"image_size": 32, "patch_size": 4, "embed_dim": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    "hiera": {"image_size": [32, 32], "embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1]},
    "ijepa": _PATCHES,
    "levit": {
        "image_size": 32,
        "hidden_sizes": [16, 16, 16],
        "num_attention_heads": [1, 1, 1],
        "depths": [1, 1, 1],
        "key_dim": [8, 8, 8],
    },
    "mobilenet_v1": {"depth_multiplier": 0.25, "min_depth": 4},
    "mobilenet_v2": {"depth_multiplier": 0.25, "min_depth": 4, "depth_divisible_by": 4},
    "poolformer": {"hidden_sizes": [8, 8, 8, 16], "depths": [1, 1, 1, 1]},
    "pvt": {
        "image_size": 32,
        "hidden_sizes": [8, 8, 8, 16],
        "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 1, 1, 1],
    },
    "regnet": {**_STAGES, "embedding_size": 8, "groups_width": 4},
    "resnet": {**_STAGES, "embedding_size": 8},
    "siglip_vision_model": _PATCHES,
    "swiftformer": {"image_size": 32, "depths": [1, 1, 1, 1], "embed_dims": [8, 8, 8, 16]},
    "swin": _WINDOWS,
    "swinv2": _WINDOWS,
    "vit": _PATCHES,
    "vit_msn": _PATCHES,
}
#: what a preprocessor_config.json says
PREPROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 32, "width": 32},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.4, 0.5, 0.6],
    "image_std": [0.2, 0.25, 0.3],
}


def tiny_backbone(folder, kind="resnet", preprocessor=None, seed=0):
    """A folder with a small network of transformers, its weights drawn at random, and what images it takes."""
    import torch
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AutoModel.from_config(AutoConfig.for_model(kind, **TINY[kind]))
        with torch.no_grad():  # moments as of a network that was trained
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.running_mean.normal_(std=0.1)
                    module.running_var.uniform_(0.5, 1.5)
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor or PREPROCESSOR), encoding="utf-8")
    return folder


def evidence(train, val, **changes):
    """Evidence of a model that says these (labels_NL, probabilities_NL) of train and val."""
    predictions = {
        part: Predictions(labels_NL, np.asarray(p_NL, dtype=np.float32), np.arange(len(labels_NL)))
        for part, (labels_NL, p_NL) in (("train", train), ("val", val))
    }
    values = {
        "target": Target(),
        "recipe": RECIPES["dense-baseline"],
        "label_names": tuple(f"label_{number}" for number in range(train[0].shape[1])),
        "samples": len(train[0]),
        "predictions": predictions,
        "constant": ConstantBaseline.choose(train[0]),
        "resamples": LEAST,
    }
    return Evidence(**{**values, **changes})


def looked_at(data, train=False, **changes):
    """Evidence of data alone, with its cheapest features and, where asked for, quick trainings on them."""
    features = cheapest_features(data.dataset.x, data.dataset.preprocessing)
    values = {
        "target": Target(),
        "recipe": RECIPES["dense-baseline"],
        "label_names": data.dataset.label_names,
        "data": data,
        "features": features,
        "train": partial(fit_all, x_ND=features.x_ND, recipe=QUICK) if train else None,
    }
    return Evidence(**{**values, **changes})


def tell_power(fault, check, strength, hits):
    """A line of the table of what is found, in the long form."""
    if PROVE:
        print(f"\n| {fault} | `{check}` | {strength:g}: {np.mean(hits):.0%} of {len(hits)}", end=" | ")


def answers(samples=300, labels=6, wrong=0.1, share=0.3, sure=0.9, seed=0):
    """Labels, and the probabilities of a model that is wrong on so many cells and `sure` of every one."""
    rng = np.random.default_rng(seed)
    labels_NL = (rng.random((samples, labels)) < share).astype(np.int8)
    right_NL = rng.random((samples, labels)) >= wrong
    noise_NL = rng.uniform(-0.05, 0.05, size=(samples, labels))
    return labels_NL, np.clip(np.where((labels_NL == 1) == right_NL, sure, 1 - sure) + noise_NL, 0, 1)
