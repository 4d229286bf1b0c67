"""For tests of pages: a page opened as an address opens it, and the words on it."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

APP = str(Path(__file__).resolve().parents[1] / "lab" / "app.py")


def opened(page="", **query):
    """The app on a page (the first one, where none is named); the test fails when the page does."""
    app = AppTest.from_file(APP, default_timeout=60).run()
    if page:
        app.switch_page(f"../pages/{page}.py")
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
    assert not app.exception, app.exception[0].value
    return app


def text(app):
    """All words on the page, its links among them."""
    kinds = (app.title, app.subheader, app.markdown, app.caption, app.error, app.warning, app.code, app.page_link)
    return "\n".join(str(part.value) for kind in kinds for part in kind)
