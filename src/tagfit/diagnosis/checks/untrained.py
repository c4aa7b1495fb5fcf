"""A model that has learnt nothing: on train itself it is no better than one answer for all samples."""

from __future__ import annotations

from tagfit.diagnosis.evidence import CannotCheck, Evidence, within
from tagfit.recipes import SINGLE_POSITIVE_LOSSES
from tagfit.records.runs import Finding

#: a log loss above this share of the constant baseline's is none that was learnt
NEARLY = 0.99

#: a constant baseline that loses less than this is beaten by no network, nor need it be; one that loses more, is
SURE, LITTLE = 0.01, 0.05


def untrained(evidence: Evidence) -> list[Finding]:
    """Where the delivered weights do not beat the constant baseline on train.

    Raises:
        CannotCheck: the baseline is not known, or log loss on train does not say what was learnt.
    """
    if evidence.recipe.training.loss in SINGLE_POSITIVE_LOSSES:
        raise CannotCheck(f"the loss {evidence.recipe.training.loss} trains on unknown labels as well")
    labels_NL = evidence.answers("train").labels_NL
    constant = None if evidence.constant is None else evidence.constant.score(labels_NL).log_loss
    loss = evidence.spread("train").scores.log_loss
    if constant is None or loss is None:
        raise CannotCheck("log loss on train, or that of a constant baseline, is not known")
    if loss <= (NEARLY * constant if constant > SURE else LITTLE):
        return []
    return [
        Finding(
            check="untrained",
            strength=within(loss / (loss + constant)),
            interval=None,
            seen=f"Log loss is {loss:.3f} on train; a constant baseline's is {constant:.3f}.",
            meaning="The model has learnt nothing, not even about its own training samples.",
            todo="Set model.standardise, lower training.rate, or raise training.patience and training.epochs.",
        )
    ]
