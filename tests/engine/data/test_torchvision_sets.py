"""torchvision's sets, on small files in each set's own format."""

import gzip
import hashlib
import pickle
import socket
import struct
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from engine.data import open_data, torchvision_sets
from engine.data.base import Memory, memory
from engine.data.known_sets import KNOWN

DRAW = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """An own data folder, and no network."""

    def refuse(*_, **__):
        raise OSError("network is unreachable")

    monkeypatch.setenv("VISIONARIUM_DATA", str(tmp_path))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tmp_path


def idx(array):
    """An array in LeCun's idx format."""
    return struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(root, name, prefix="{}", count=6):
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    arrays = {}
    for part, split in (("train", "train"), ("t10k", "test")):
        images = DRAW.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            (folder / f"{part}-{kind}-ubyte").write_bytes(idx(array))
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
        arrays[split] = images
    return arrays


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_idx_sets(name, root):
    arrays = write_mnist(root, name)
    for split in ("train", "test"):
        dataset = open_data(f"torchvision:{name}", split)
        assert isinstance(dataset, Memory)
        assert torch.equal(dataset.rows.images[:, 0], torch.from_numpy(arrays[split]))
        assert dataset.rows.labels.tolist() == [0, 1, 2, 3, 4, 5]
        assert (dataset.facts.size, dataset.facts.channels, len(dataset.facts.classes)) == (28, 1, 10)
    coloured = open_data(f"torchvision:{name}", size=32, channels=3)
    assert coloured.rows.images.shape == (6, 3, 32, 32)


def test_emnist_is_turned_upright(root):
    """Its files hold every picture with rows and columns exchanged."""
    folder = root / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    images = DRAW.integers(0, 256, (5, 28, 28), dtype=np.uint8)
    for split in ("balanced", "byclass", "bymerge", "digits", "letters", "mnist"):
        for part in ("train", "test"):
            (folder / f"emnist-{split}-{part}-images-idx3-ubyte").write_bytes(idx(images))
            (folder / f"emnist-{split}-{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(5, dtype=np.uint8)))
    dataset = open_data("torchvision:EMNIST")
    assert torch.equal(dataset.rows.images[:, 0], torch.from_numpy(images).transpose(1, 2))
    assert len(dataset.facts.classes) == 47


def write_cifar(root, folder, batches, meta, keys, monkeypatch, kind):
    base = root / folder
    base.mkdir()
    arrays = {}
    for name in batches:
        pixels = DRAW.integers(0, 256, (3, 3072), dtype=np.uint8)
        (base / name).write_bytes(pickle.dumps({"data": pixels, keys[0]: [2, 0, 1]}))
        arrays[name] = torch.from_numpy(pixels).view(3, 3, 32, 32)
    (base / "batches.meta").write_bytes(pickle.dumps({keys[1]: meta}))
    (base / "meta").write_bytes(pickle.dumps({keys[1]: meta}))
    sums = {name: hashlib.md5((base / name).read_bytes()).hexdigest() for name in [*batches, "batches.meta", "meta"]}
    monkeypatch.setattr(kind, "train_list", [[name, sums[name]] for name in batches if not name.startswith("test")])
    monkeypatch.setattr(kind, "test_list", [[name, sums[name]] for name in batches if name.startswith("test")])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums[kind.meta["filename"]]})
    return arrays


def test_cifar(root, monkeypatch):
    names = ["data_batch_1", "data_batch_2", "test_batch"]
    kinds = ["plane", "car", "bird"]
    arrays = write_cifar(
        root, "cifar-10-batches-py", names, kinds, ("labels", "label_names"), monkeypatch, datasets.CIFAR10
    )
    train, test = open_data("torchvision:CIFAR10"), open_data("torchvision:CIFAR10", "test")
    assert torch.equal(train.rows.images, torch.cat((arrays["data_batch_1"], arrays["data_batch_2"])))
    assert torch.equal(test.rows.images, arrays["test_batch"])
    assert train.rows.labels.tolist() == [2, 0, 1, 2, 0, 1]
    assert train.facts.classes == ("plane", "car", "bird")
    assert train.rows.images.is_contiguous()


def test_svhn_and_stl(root, monkeypatch):
    from scipy.io import savemat

    pixels = DRAW.integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
    savemat(root / "train_32x32.mat", {"X": pixels, "y": np.array([[10], [1], [2], [9]])})
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)
    dataset = open_data("torchvision:SVHN")
    assert torch.equal(dataset.rows.images, torch.from_numpy(pixels).permute(3, 2, 0, 1))
    assert dataset.rows.labels.tolist() == [0, 1, 2, 9]
    assert dataset.facts.classes == tuple("0123456789")
    folder = root / "stl10_binary"
    folder.mkdir()
    columns = DRAW.integers(0, 256, (2, 3, 96, 96), dtype=np.uint8)
    (folder / "test_X.bin").write_bytes(columns.transpose(0, 1, 3, 2).tobytes())
    (folder / "test_y.bin").write_bytes(bytes([3, 10]))
    (folder / "class_names.txt").write_text("\n".join("abcdefghij"))
    monkeypatch.setattr(datasets.STL10, "_check_integrity", lambda self: True)
    stl = open_data("torchvision:STL10", "test")
    assert torch.equal(stl.rows.images, torch.from_numpy(columns))
    assert stl.rows.labels.tolist() == [2, 9]


def test_usps(root):
    import bz2

    line = " ".join([f"{place}:{-1 + place / 128:.4f}" for place in range(1, 257)])
    (root / "usps.bz2").write_bytes(bz2.compress(f"1 {line}\n10 {line}\n".encode()))
    dataset = open_data("torchvision:USPS")
    assert dataset.rows.images.shape == (2, 1, 16, 16)
    assert dataset.rows.labels.tolist() == [0, 9]


def save(path, colour, size=(30, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_pets_are_read_from_their_files(root):
    base = root / "oxford-iiit-pet"
    (base / "annotations").mkdir(parents=True)
    for split, lines in (("trainval", ["Abyssinian_1 1 1 1", "pug_2 2 2 1"]), ("test", ["pug_9 2 2 1"])):
        (base / "annotations" / f"{split}.txt").write_text("\n".join(lines))
    save(base / "images" / "Abyssinian_1.jpg", (200, 0, 0))
    save(base / "images" / "pug_2.jpg", (0, 200, 0))
    (base / "images" / "pug_9.jpg").write_bytes(b"broken")
    dataset = open_data("torchvision:OxfordIIITPet", size=16)
    batch = dataset.batch(torch.tensor([1, 0]))
    assert batch.labels.tolist() == [1, 0]
    assert dataset.facts.classes == ("Abyssinian", "Pug")
    assert (batch.images[0, :, 8, 8].int() - torch.tensor([0, 200, 0])).abs().max() < 4
    with pytest.raises(ValueError, match=r"torchvision:OxfordIIITPet, image 0: is damaged.*visionarium data check"):
        open_data("torchvision:OxfordIIITPet", "test").batch(torch.tensor([0]))


def test_omniglot_splits_by_class(root, monkeypatch):
    for part, characters in (("images_background", 3), ("images_evaluation", 2)):
        for number in range(characters):
            save(root / "omniglot-py" / part / "Latin" / f"character{number}" / f"{number}_01.png", (9, 9, 9))
    monkeypatch.setattr(datasets.Omniglot, "_check_integrity", lambda self: True)
    train, test = (open_data("torchvision:Omniglot", split) for split in ("train", "test"))
    assert (len(train.facts.classes), len(test.facts.classes)) == (3, 2)
    assert memory(test).rows.labels.tolist() == [0, 1]
    assert train.facts.channels == 1


def test_sets_without_splits_get_one(root):
    for name in ("Forest", "River"):
        for number in range(10):
            save(root / "eurosat" / "2750" / name / f"{number}.jpg", (number, 0, 0))
    train, test = (memory(open_data("torchvision:EuroSAT", split)).rows for split in ("train", "test"))
    assert train.labels.bincount().tolist() == [8, 8]
    assert test.labels.bincount().tolist() == [2, 2]


@pytest.mark.parametrize("name", KNOWN)
def test_without_files_and_network_one_sentence_says_what_belongs_where(name, root):
    with pytest.raises(ValueError, match="put ") as error:
        open_data(f"torchvision:{name}")
    said = str(error.value)
    assert "\n" not in said
    assert said.startswith(f"torchvision:{name} is not in {root} and could not be fetched (")
    assert KNOWN[name].files in said
    assert "VISIONARIUM_DATA" in said


def test_every_known_set_exists_with_those_splits():
    import inspect

    for name, known in KNOWN.items():
        parameters = inspect.signature(getattr(datasets, name).__init__).parameters
        for arguments in known.splits or ():
            assert set(arguments) <= set(parameters) | ({"train"} if "kwargs" in parameters else set()), name


def test_root_defaults_to_the_home_folder(monkeypatch):
    monkeypatch.delenv("VISIONARIUM_DATA")
    monkeypatch.setenv("HOME", "/home/someone")
    assert str(torchvision_sets.root()) == "/home/someone/.visionarium/data"


def test_patience_is_given_back():
    socket.setdefaulttimeout(7)
    try:
        with suppress(KeyError), torchvision_sets.patience(1):
            assert socket.getdefaulttimeout() == 1
            raise KeyError
        assert socket.getdefaulttimeout() == 7
    finally:
        socket.setdefaulttimeout(None)
