"""The map that ships, so that the page of maps is alive before torch is loaded: features, layouts and their measures.

assets/maps/garments.safetensors   what `engine.features.Features` holds, wide features under a random projection; a
                                   layout (N, 2) for each name in `engine.maps.MAPS`; the clusters. Its note tells of
                                   what it was made, and the measures of each layout.
"""

from __future__ import annotations

from pathlib import Path

from engine.assets import ROOT, record
from engine.record import write_values

TARGET, DATA, SPLIT, PICTURES, CLUSTERS = "augmentation.randaugment", "garments", "test", 1000, 10
"""Through which model which pictures are seen, and into how many clusters they fall."""
FILE = "maps/garments.safetensors"


def build_map(root: Path = ROOT) -> Path:
    """Make it anew, by the shipped demo, on the CPU, and write it under `root`."""
    import tempfile

    import torch

    from engine.bench import Bench, Setup
    from engine.catalog import method as find
    from engine.checkpoint import read_checkpoint
    from engine.extract import drawn, extract
    from engine.maps import MAPS, layouts
    from engine.maps.measures import judge
    from engine.ops.kmeans import kmeans
    from engine.probe import narrow
    from engine.showcase import folder

    method, checkpoint = find(TARGET), read_checkpoint(folder(TARGET, root) / "checkpoint.safetensors")
    model = method.build(method.params.make(checkpoint.params), checkpoint.facts)
    model.load_state_dict(dict(checkpoint.weights))
    bench = Bench(Setup.make({"device": "cpu"}))
    dataset, positions = drawn(bench.data(DATA, SPLIT, checkpoint.facts.size), PICTURES)
    with tempfile.TemporaryDirectory() as name:
        work = extract(Path(name), "map", method, model, dataset, bench)
        while True:
            try:
                next(work)
            except StopIteration as end:
                found = end.value
                break
    rows, labels = narrow(torch.from_numpy(found.features)), torch.from_numpy(found.labels)
    clusters, _ = kmeans(rows, CLUSTERS)
    values = {name: value for name, value in vars(found).items() if value is not None}
    values |= {"features": rows, "clusters": clusters, "positions": positions}
    measures = {}
    for name in MAPS:
        for places in layouts(name, rows, {}):  # noqa: B007 - the last is the map
            pass
        values[f"layout.{name}"] = places
        measures[name] = judge(rows, places, labels, clusters)
    note = {"target": TARGET, "data": DATA, "split": SPLIT, "pictures": PICTURES, "measures": measures}
    path = root / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_values(path, values, note)
    record(root=root)
    return path
