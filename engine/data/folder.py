"""Folders of images: a subfolder a class (`folder:`), or no classes at all (`unlabelled:`).

With train and val (or test) folders these are the splits; without, a fifth of each class is held out. Classes are the
names of the training folder's subfolders in the order of the alphabet, the empty ones too, for every split: a class
that one split lacks shifts no label.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.data.base import Batch, Facts
from engine.data.decode import decode, fit
from engine.data.lazy import Lazy, one
from engine.data.paths import existing, held_out, pictures, split_folder, split_folders, subfolders

SIZE = 224


@dataclass(frozen=True)
class Pictures:
    """Image files with their labels (None: there are none); `row` reads one."""

    files: tuple[Path, ...]
    labels: tuple[int, ...] | None
    facts: Facts

    def row(self, i: int) -> Batch:
        image = fit(decode(self.files[i], least=2 * self.facts.size), self.facts)
        return one(image, i, None if self.labels is None else self.labels[i])


def load_labelled(path: str, split: str, size: int | None, channels: int | None) -> Lazy:
    """The images of a split with their classes."""
    root = existing(path, "folder:")
    if not root.is_dir():
        raise ValueError(f"{root} is a file; give the folder that holds one folder a class")
    folders = split_folders(root)
    classes = class_names(folders.get("train", root))
    files, labels = labelled(split_folder(folders, split, root) if folders else root, classes)
    if not folders:
        test = held_out([file.relative_to(root).as_posix() for file in files], labels)
        kept = [place for place in range(len(files)) if (place in test) == (split != "train")]
        files, labels = [files[place] for place in kept], [labels[place] for place in kept]
    if not files:
        raise ValueError(f"{root}: the {split} split has no images; add some ({', '.join(('.jpg', '.png', '.webp'))})")
    facts = Facts(channels or 3, size or SIZE, classes)
    return Lazy(facts, len(files), Pictures(tuple(files), tuple(labels), facts).row, f"folder:{path}")


def load_unlabelled(path: str, split: str, size: int | None, channels: int | None) -> Lazy:
    """The images of a split, wherever they lie under the folder."""
    root = existing(path, "unlabelled:")
    if not root.is_dir():
        raise ValueError(f"{root} is a file; give the folder that holds the images")
    folders = split_folders(root)
    files = pictures(split_folder(folders, split, root) if folders else root)
    if not folders:
        test = held_out([file.relative_to(root).as_posix() for file in files], [0] * len(files))
        files = [file for place, file in enumerate(files) if (place in test) == (split != "train")]
    if not files:
        raise ValueError(f"{root}: the {split} split has no images; add some")
    facts = Facts(channels or 3, size or SIZE)
    return Lazy(facts, len(files), Pictures(tuple(files), None, facts).row, f"unlabelled:{path}")


def class_names(folder: Path) -> tuple[str, ...]:
    """The names of the class folders, sorted."""
    names = tuple(path.name for path in subfolders(folder))
    if not names:
        raise ValueError(
            f"{folder} has no folders, so no classes; use unlabelled:{folder}, or sort the images into one"
        )
    return names


def labelled(folder: Path, classes: tuple[str, ...]) -> tuple[list[Path], list[int]]:
    """The images of the class folders and their labels by the names `classes`."""
    if strangers := [path.name for path in subfolders(folder) if path.name not in classes]:
        raise ValueError(
            f"{folder} has classes that the training folder lacks: {', '.join(strangers[:5])}; "
            "rename them, or add them to the training folder"
        )
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = pictures(folder / name)
        files += found
        labels += [label] * len(found)
    return files, labels
