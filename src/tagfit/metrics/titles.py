"""How people write the metrics, in the order in which they are shown."""

from __future__ import annotations

TITLES: dict[str, str] = {
    "micro_f1": "micro-F1",
    "macro_f1": "macro-F1",
    "sample_f1": "sample-F1",
    "subset_accuracy": "subset accuracy",
    "jaccard": "Jaccard",
    "map": "mAP",
    "micro_ap": "micro-AP",
    "lrap": "LRAP",
    "keras_accuracy": "Keras accuracy",
    "label_accuracy": "label accuracy",
    "hamming_loss": "Hamming loss",
    "ranking_loss": "ranking loss",
    "coverage_error": "coverage error",
    "one_error": "one-error",
    "log_loss": "log loss",
    "ece": "ECE",
}

#: what stands below a metric, of `SmallSample`
SMALL_SAMPLE = {"map": "mAP, corrected", "ece": "ECE if perfect"}
