"""Tiny runs of a method on the garments, all on sets that are read once."""

import copy
from dataclasses import replace

import torch

from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.method import drive

FACTS = Facts(1, 28, tuple("abcdefghij"))
SETS = {}


def tiny_bench():
    return Bench(Setup.make({"device": "cpu"}, "tiny"), sets=SETS)


def small(method, **values):
    """Tiny params and a model of them."""
    torch.manual_seed(0)
    params = method.params.make(values, "tiny")
    return params, method.build(params, replace(FACTS, size=params.size))


def tiny_run(method, **values):
    """Params, a model before and after a tiny run, and its reports."""
    params, bench = method.params.make(values, "tiny"), tiny_bench()
    model = method.build(params, bench.facts(params))
    before = copy.deepcopy(model)
    return params, before, model, list(drive(method, model, params, bench))


def first_images(method, params):
    """The pictures of the first step of such a run, and its generator as it is then."""
    bench = tiny_bench()
    method.build(params, bench.facts(params))
    images = next(iter(bench.batches(bench.data(params.data, size=params.size), params.batch, 1))).images
    return images, bench.generator
