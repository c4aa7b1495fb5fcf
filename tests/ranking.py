"""Trains the same network alone and by ranks that are processes of this machine."""

import multiprocessing
import socket

import torch
from torch import distributed

from tagfit.models.registry import build_network
from tagfit.training import loop
from tagfit.training.batches import LabelledRows
from tagfit.training.ranks import ALONE, Ranks

CPU = torch.device("cpu")


def train(data, recipe, ranks=ALONE, **arguments):
    """The network's weights and history, or what was raised."""
    torch.set_num_threads(1)
    shape, labels = data.dataset.preprocessing.shape, len(data.dataset.label_names)
    network = build_network(recipe, shape, labels)
    parts = [LabelledRows.of(data, part, CPU) for part in ("train", "val")]
    try:
        trained = loop.train(network, recipe.training, *parts, seed=0, ranks=ranks, **arguments)
    except ArithmeticError as error:
        return str(error), None
    return {name: weight.numpy() for name, weight in network.state_dict().items()}, trained


def by_ranks(size, works):
    """What each of `size` ranks makes of every work: a function and its arguments, and `ranks` beside them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    ranks = [spawn.Process(target=_rank, args=(number, size, address, works, answers)) for number in range(size)]
    for rank in ranks:
        rank.start()
    found = dict(answers.get(timeout=100) for _ in ranks)
    for rank in ranks:
        rank.join()
    return [found[number] for number in range(size)]


def _rank(number, size, address, works, answers):
    distributed.init_process_group("gloo", init_method=address, rank=number, world_size=size)
    answers.put((number, [action(*given, ranks=Ranks.started()) for action, *given in works]))
    distributed.barrier()
    distributed.destroy_process_group()
