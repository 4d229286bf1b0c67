"""Figures: every kind is drawn, says what is missing, and is drawn again by its own script, pixel by pixel."""

import runpy

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from engine.method import (
    Bars,
    Boxes,
    Curves,
    Exhibit,
    Film,
    Graph,
    Histogram,
    Masks,
    Matrix,
    Overlay,
    Pictures,
    Scatter,
    Table,
)
from lab import pictures
from lab.figures import Plot, Reel, Sheet, draw, draw_png, raster
from lab.plots import smooth, thin
from lab.redraw import script

RNG = np.random.default_rng(0)
VALUES = {
    "images": RNG.integers(0, 256, (5, 3, 24, 24), dtype=np.uint8),
    "grey": RNG.random((5, 1, 24, 24)).astype(np.float32),
    "heat": RNG.random((5, 6, 6)).astype(np.float32) * 3,
    "found": np.array([[[2, 3, 12, 14, 1, 0.9], [np.nan] * 6]] * 5, np.float32),
    "labels": np.pad(np.full((5, 10, 10), 2), ((0, 0), (4, 10), (4, 10))),
    "loss": np.stack([np.arange(900), np.exp(-np.arange(900) / 300)], 1),
    "short": np.array([1.0, 0.5, 0.25]),
    "confusion": np.arange(9).reshape(3, 3),
    "xy": RNG.standard_normal((5, 2)),
    "of": np.array([0, 1, 2, 0, 1]),
    "share": np.array([0.1, 0.5, 0.4]),
    "name": ["first", "second", "third"],
    "ends": np.array([[0, 1], [1, 2]]),
    "at": np.array([[0, 0], [1, 0], [1, 1.0]]),
    "classes": ["cat", "dog", "emu"],
}
EXHIBITS = [
    Pictures(("images", "grey"), "Pictures."),
    Overlay(("images", "heat"), "Heat."),
    Boxes(("images", "found"), "Boxes."),
    Masks(("images", "labels"), "Masks."),
    Film(("images", "grey"), "A film."),
    Curves(("loss", "short"), "Curves."),
    Matrix(("confusion",), "A matrix."),
    Scatter(("xy", "of", "images"), "Points."),
    Bars(("share", "share", "name"), "Bars."),
    Histogram(("xy", "heat"), "Values."),
    Graph(("at", "ends", "name"), "A graph."),
    Table(("name", "share"), "A table."),
]
KIND = pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: type(exhibit).__name__)


def test_every_kind_is_here():
    assert {type(exhibit) for exhibit in EXHIBITS} == set(Exhibit.__subclasses__())


@KIND
def test_every_kind_is_drawn_on_light_and_dark_paper(exhibit):
    for dark in (False, True):
        for figure in draw(exhibit, VALUES, dark):
            image = raster(figure, dark)
            assert image.mode == "RGB"
            assert image.width > 100
            corner = image.getpixel((image.width - 1, image.height - 1))
            assert isinstance(figure, (Image.Image, Reel)) or (sum(corner) < 200 if dark else sum(corner) > 500)


@KIND
def test_what_was_not_reported_is_named(exhibit):
    rest = {name: value for name, value in VALUES.items() if name != exhibit.names[-1]}
    with pytest.raises(ValueError, match=f"nothing was reported under {exhibit.names[-1]}"):
        draw(exhibit, rest)


@KIND
def test_its_script_draws_it_again_pixel_by_pixel(exhibit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "again.py").write_text(script(exhibit, VALUES), encoding="utf-8")
    runpy.run_path("again.py")
    if isinstance(exhibit, Table):
        assert (tmp_path / "figure.csv").read_text().splitlines() == [
            "name,share",
            "first,0.1",
            "second,0.5",
            "third,0.4",
        ]
        return
    (figure,) = draw(exhibit, VALUES)
    again = np.asarray(Image.open("figure.png").convert("RGB"))
    assert np.array_equal(again, np.asarray(raster(figure))) or isinstance(figure, Plot)
    assert again.shape == np.asarray(raster(figure)).shape


def test_a_script_imports_nothing_of_the_lab():
    for exhibit in EXHIBITS:
        assert not any(line.startswith(("from lab", "from engine", "import lab", "import engine"))
                       for line in script(exhibit, VALUES).splitlines())  # fmt: skip


def test_all_exhibits_go_into_one_png(tmp_path):
    draw_png(EXHIBITS, VALUES, tmp_path / "all.png")
    whole = Image.open(tmp_path / "all.png")
    drawn = [raster(figure) for exhibit in EXHIBITS for figure in draw(exhibit, VALUES)]
    assert whole.width > max(image.width for image in drawn)
    assert whole.height > sum(image.height for image in drawn)


def test_small_pictures_keep_their_pixels():
    checks = np.indices((4, 4)).sum(0)[None] % 2 * 255
    (column,) = pictures.pictures(("it",), {"it": checks[None].astype(np.uint8)})[0].values()
    shown = np.asarray(column[0])
    assert set(np.unique(shown)) == {0, 255}
    assert np.array_equal(shown[::90, ::90, 0], checks[0])


def test_grey_and_colour_and_floats_become_the_same_bytes():
    picture = RNG.integers(0, 256, (3, 5, 7), dtype=np.uint8)
    assert np.array_equal(pictures.rgb(picture / 255.0), pictures.rgb(picture))
    assert np.array_equal(pictures.rgb(picture[:1])[..., 2], picture[0])


def test_heat_maps_share_one_scale():
    values = {"images": np.zeros((1, 3, 8, 8), np.uint8), "low": np.zeros((1, 8, 8)), "high": np.full((1, 8, 8), 2.0)}
    columns, legend = pictures.overlay(("images", "low", "high"), values)
    low, high = (np.asarray(columns[name][0]).mean() for name in ("low", "high"))
    assert low < 5
    assert high > 120
    assert [says for _, says in legend] == ["0", "1", "2"]


def test_absent_boxes_are_not_drawn():
    none = {"images": VALUES["images"], "found": np.full((5, 3, 6), np.nan)}
    columns, _ = pictures.boxes(("images", "found"), none)
    plain, _ = pictures.pictures(("images",), none)
    assert all(np.array_equal(a, b) for a, b in zip(columns["found"], plain["images"], strict=True))


def test_void_is_grey_and_background_untouched():
    values = {"images": np.full((1, 3, 8, 8), 200, np.uint8), "labels": np.zeros((1, 8, 8), int)}
    values["labels"][0, :2] = 255
    columns, legend = pictures.masks(("images", "labels"), values)
    shown = np.asarray(columns["labels"][0])
    assert np.ptp(shown[2].astype(int)) == 0
    assert (shown[-1] == 200).all()
    assert legend == []


def test_thinning_keeps_the_highest_and_the_lowest_point():
    points = np.stack([np.arange(10_000), np.zeros(10_000)], 1)
    points[4321, 1], points[777, 1] = 5.0, -3.0
    kept = thin(points, 200)
    assert len(kept) <= 200
    assert {5.0, -3.0} <= set(kept[:, 1])
    assert (np.diff(kept[:, 0]) > 0).all()


def test_smoothing_keeps_a_constant_and_short_series():
    assert np.allclose(smooth(np.full(500, 7.0)), 7.0)
    assert np.array_equal(smooth(np.array([1.0, 9.0])), [1.0, 9.0])


def test_numbers_that_are_not_finite_are_left_out_of_curves():
    plot = draw(Curves(("loss",), ""), {"loss": np.array([[1, 1.0], [2, np.nan], [3, 2.0]])})[0]
    assert plot.rows["at"] == [1.0, 3.0]


def test_a_box_of_no_class_is_grey_and_unlabelled():
    values = {"pictures": np.zeros((1, 3, 8, 8), np.float32), "found": np.array([[[2.0, 2, 6, 6, -1, 1]]])}
    columns, _ = pictures.boxes(("pictures", "found"), values)
    assert {colour for _, colour in columns["found"][0].getcolors()} == {(0, 0, 0), (150, 150, 150)}


def test_curves_of_a_lens_name_what_they_run_over():
    plot = draw(Curves(("kept",), "", over="threshold"), {"kept": np.array([[0.1, 1.0], [0.2, 0.5]])})[0]
    assert plot.spec["encoding"]["x"]["title"] == "threshold"
    assert plot.rows["at"] == [0.1, 0.2]


def test_a_scatter_of_measures_names_its_axes_and_is_drawn_as_its_pictures():
    (plain,), (measured,) = (
        draw(Scatter(("xy", "of", "images"), "", axes), VALUES) for axes in ((), ("purity", "learnability"))
    )
    assert "layer" not in plain.spec
    assert plain.spec["encoding"]["x"]["axis"]["labels"] is False
    assert [measured.spec["encoding"][side]["title"] for side in "xy"] == ["purity", "learnability"]
    assert [layer["mark"]["type"] for layer in measured.spec["layer"]] == ["square", "image"]
    assert {"field": "y", "title": "learnability", "format": ".3g"} in measured.spec["encoding"]["tooltip"]
    image = raster(measured)
    frames = np.asarray(image).reshape(-1, 3)
    assert all((np.abs(frames - np.array(pictures.colour(i))).max(axis=1) < 3).sum() > 100 for i in range(3))
    many = VALUES | {"xy": RNG.random((70, 2)), "of": np.zeros(70, int), "images": np.zeros((70, 3, 8, 8), np.uint8)}
    (plot,) = draw(Scatter(("xy", "of", "images"), "", ("a", "b")), many)
    assert plot.spec["mark"]["type"] == "circle", "too many pictures would hide each other"


def test_a_film_and_a_table_keep_their_parts():
    (film,) = draw(EXHIBITS[4], VALUES)
    assert isinstance(film, Reel)
    assert len(film.frames) == 5
    (table,) = draw(EXHIBITS[-1], VALUES)
    assert table == Sheet({"name": ["first", "second", "third"], "share": [0.1, 0.5, 0.4]})


def test_a_matrix_is_named_by_rows_and_columns_where_they_fit_and_else_by_classes():
    values = {"table": np.arange(6).reshape(2, 3), "columns": ["x", "y", "z"], "classes": ["cat", "dog"]}

    def named(values):
        (figure,) = draw(Matrix(("table",), ""), values)
        return figure.rows["row"][::3], figure.rows["column"][:3]

    assert named(values) == (["cat", "dog"], ["x", "y", "z"])
    assert named(values | {"rows": ["up", "down"]}) == (["up", "down"], ["x", "y", "z"])
    assert named({"table": values["table"], "rows": ["one"]}) == (["0", "1"], ["0", "1", "2"])


def curves_of_a_run():
    import numpy as np

    from engine.method import Curves
    from lab.parts.progress import show_curves

    exhibits = (Curves(("loss", "never reported"), "Both."), Curves(("nor this",), "None."))
    show_curves(exhibits, {"loss": np.array([[1, 2.0], [2, 1.0]])}, "run")


def test_a_name_without_numbers_takes_no_other_curve_with_it():
    app = AppTest.from_function(curves_of_a_run).run()
    assert not app.exception
    (chart,) = app.get("vega_lite_chart")
    assert "loss" in chart.proto.spec
    assert "never reported" not in chart.proto.spec
