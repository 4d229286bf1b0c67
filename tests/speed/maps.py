"""Prints how long maps take: neighbours, UMAP and t-SNE, measures, and the points in a polygon.

    PYTHONPATH=. python tests/speed/maps.py [--large]

--large: neighbours of 100 000 points, too (minutes on a processor). Nothing is asserted: clocks differ.
"""

import resource
import sys
import time

import numpy as np
import torch
from sklearn.datasets import load_digits

from engine.bench import find_device
from engine.maps import layouts
from engine.maps.measures import knn_accuracy, silhouette, trustworthiness
from engine.ops.kmeans import kmeans
from engine.ops.neighbours import nearest_neighbours
from engine.ops.polygon import inside

DEVICE = find_device("auto")


def timed(what, work):
    """The value of `work`, and a line with the seconds of the wall and of the processor that it took."""
    wall, processor = time.perf_counter(), time.process_time()
    value = work()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(f"{what:44} {wall:8.3f} s   {processor:8.3f} CPU-s", flush=True)
    return value


def blobs(count, width=64, groups=20):
    """Points about `groups` centres, and which."""
    generator = torch.Generator().manual_seed(0)
    group = torch.arange(count) % groups
    centres = 3 * torch.randn(groups, width, generator=generator)
    return (centres[group] + torch.randn(count, width, generator=generator)).to(DEVICE), group.to(DEVICE)


def most_memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def last(work):
    *_, places = work
    return places


def main():
    print(f"{DEVICE}, {torch.get_num_threads()} threads")
    digits, labels = (torch.from_numpy(each).to(DEVICE) for each in load_digits(return_X_y=True))
    timed("neighbours, first call", lambda: nearest_neighbours(digits, 15))
    for count in (1797, 10_000, *([100_000] if "--large" in sys.argv else [])):
        points, before = blobs(count)[0], most_memory()
        timed(f"15 neighbours of {count} x 64", lambda points=points: nearest_neighbours(points, 15))
        print(f"  most memory of the process: {before} MB before, {most_memory()} MB after")
    places = timed("UMAP of 1797 digits, 500 epochs", lambda: last(layouts("umap", digits, {})))
    print(
        f"  trustworthiness@15 {trustworthiness(digits, places):.4f}, 5-NN accuracy {knn_accuracy(places, labels):.4f}"
    )
    timed("t-SNE of 1797 digits, 1000 steps", lambda: last(layouts("tsne", digits, {})))
    timed("PCA of 1797 digits", lambda: last(layouts("pca", digits, {})))
    many, groups = blobs(10_000)
    places = timed("UMAP of 10 000 x 64, 200 epochs", lambda: last(layouts("umap", many, {"epochs": 200})))
    timed("trustworthiness of 10 000, 2000 asked", lambda: trustworthiness(many, places, asked=2000))
    timed("silhouette of 10 000, 2000 asked", lambda: silhouette(places, groups, asked=2000))
    timed("k-means of 10 000 x 64 into 20", lambda: kmeans(many, 20))
    rng = np.random.default_rng(0)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 120))
    lasso = (rng.uniform(1, 2, 120) * np.array([np.cos(angles), np.sin(angles)])).T
    for count in (10_000, 100_000):
        points = rng.normal(0, 1, (count, 2))
        timed(f"{count} points in a polygon of 120", lambda points=points: inside(points, lasso))


main()
