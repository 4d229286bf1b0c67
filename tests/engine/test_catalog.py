import pytest

from engine import catalog


def test_the_order_and_the_files_agree():
    root = catalog.Path(catalog.__file__).parent / "methods"
    files = {f"{path.parent.name}.{path.stem}" for path in root.glob("*/*.py") if path.stem != "__init__"}
    assert files == set(catalog.ids())


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(ValueError, match=r"representation\.moco"):
        catalog.card("representation.mocco")
    with pytest.raises(ValueError, match=r"did you mean representation\.mae"):
        catalog.card("mae")


def test_a_docstring_without_its_parts_is_refused():
    with pytest.raises(ValueError, match="lacks authors, venue, source, Idea"):
        catalog.parse("a.b", catalog.Path("b.py"), "Title.")
