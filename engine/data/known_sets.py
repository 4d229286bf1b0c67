"""torchvision's classification sets, as far as one can tell without opening them: sizes, splits, files, licences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Splits = tuple[Mapping[str, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Known:
    """One set. count: training images. size, channels: as they come, or 224 where sizes differ.

    files: where to put what, under the data folder, when there is no network. splits: torchvision's arguments for the
    training and the test split; without them the set has none, and a fifth of each class is held out.
    """

    count: int
    classes: int
    size: int
    files: str
    licence: str
    channels: int = 3
    splits: Splits | None = None


BY_TRAIN: Splits = ({"train": True}, {"train": False})
BY_SPLIT: Splits = ({"split": "train"}, {"split": "test"})
BY_VAL: Splits = ({"split": "train"}, {"split": "val"})
BY_TRAINVAL: Splits = ({"split": "trainval"}, {"split": "test"})
IDX = "the four .gz files of the set into {}/raw"

KNOWN = {
    "CIFAR10": Known(50_000, 10, 32, "cifar-10-python.tar.gz or cifar-10-batches-py", "unstated", splits=BY_TRAIN),
    "CIFAR100": Known(50_000, 100, 32, "cifar-100-python.tar.gz or cifar-100-python", "unstated", splits=BY_TRAIN),
    "MNIST": Known(60_000, 10, 28, IDX.format("MNIST"), "CC-BY-SA-3.0", 1, splits=BY_TRAIN),
    "FashionMNIST": Known(60_000, 10, 28, IDX.format("FashionMNIST"), "MIT", 1, splits=BY_TRAIN),
    "KMNIST": Known(60_000, 10, 28, IDX.format("KMNIST"), "CC-BY-SA-4.0", 1, splits=BY_TRAIN),
    "EMNIST": Known(
        112_800, 47, 28, "gzip.zip into EMNIST/raw", "unstated", 1,
        ({"split": "balanced", "train": True}, {"split": "balanced", "train": False}),
    ),
    "USPS": Known(7_291, 10, 16, "usps.bz2 and usps.t.bz2", "unstated", 1, splits=BY_TRAIN),
    "SVHN": Known(73_257, 10, 32, "train_32x32.mat and test_32x32.mat", "non-commercial", splits=BY_SPLIT),
    "STL10": Known(5_000, 10, 96, "stl10_binary.tar.gz or stl10_binary", "unstated", splits=BY_SPLIT),
    "Omniglot": Known(
        19_280, 964, 105, "images_background.zip and images_evaluation.zip into omniglot-py", "MIT", 1,
        ({"background": True}, {"background": False}),
    ),
    "Flowers102": Known(
        1_020, 102, 224, "102flowers.tgz, imagelabels.mat and setid.mat into flowers-102", "unstated", splits=BY_SPLIT
    ),
    "OxfordIIITPet": Known(
        3_680, 37, 224, "images.tar.gz and annotations.tar.gz into oxford-iiit-pet", "CC-BY-SA-4.0", splits=BY_TRAINVAL
    ),
    "Food101": Known(75_750, 101, 224, "food-101.tar.gz", "unstated", splits=BY_SPLIT),
    "DTD": Known(1_880, 47, 224, "dtd-r1.0.1.tar.gz into dtd", "research only", splits=BY_SPLIT),
    "GTSRB": Known(
        26_640, 43, 48, "the unpacked GTSRB folder and GT-final_test.csv into gtsrb", "unstated", splits=BY_SPLIT
    ),
    "FGVCAircraft": Known(6_667, 100, 224, "fgvc-aircraft-2013b.tar.gz", "non-commercial", splits=BY_TRAINVAL),
    "StanfordCars": Known(
        8_144, 196, 224, "devkit, cars_train, cars_test and cars_test_annos_withlabels.mat into stanford_cars",
        "non-commercial", splits=BY_SPLIT,
    ),
    "Country211": Known(31_650, 211, 224, "country211.tgz", "Creative Commons, by image", splits=BY_SPLIT),
    "PCAM": Known(262_144, 2, 96, "the six camelyonpatch .h5 files into pcam", "CC0-1.0", splits=BY_SPLIT),
    "RenderedSST2": Known(6_920, 2, 224, "rendered-sst2.tgz", "unstated", splits=BY_SPLIT),
    "Imagenette": Known(9_469, 10, 224, "imagenette2.tgz", "Apache-2.0", splits=BY_VAL),
    "ImageNet": Known(
        1_281_167, 1000, 224, "ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz",
        "research only", splits=BY_VAL,
    ),
    "EuroSAT": Known(21_600, 10, 64, "EuroSAT.zip into eurosat", "MIT"),
    "Caltech101": Known(6_942, 101, 224, "101_ObjectCategories.tar.gz into caltech101", "CC-BY-4.0"),
    "Caltech256": Known(24_486, 257, 224, "256_ObjectCategories.tar into caltech256", "CC-BY-4.0"),
}  # fmt: skip
