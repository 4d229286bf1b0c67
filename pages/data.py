"""Data: what ships, what can be fetched or brought, and whether it is sound."""

import streamlit as st

from engine.data import list_data
from lab.parts.data import check, samples
from lab.parts.tabs import tabs


def browse() -> None:
    """A source's pictures, and below them the list of all sources."""
    sources = list_data()
    ready = [source for source in sources if not any(part.isupper() for part in source.spec.split(":"))]
    names = [source.spec for source in ready if not source.spec.startswith("torchvision:")]
    spec = st.selectbox("Source", names, key="source", bind="query-params", width=420)
    source = next(source for source in sources if source.spec == spec)
    st.markdown(f"{source.says[0].upper()}{source.says[1:]}. :gray[Licence: {source.licence}.]")
    samples(spec)
    with st.expander("Every source, and how to ask for it"):
        st.dataframe(
            {
                "ask for": [one.spec for one in sources],
                "what it is": [one.says for one in sources],
                "images": [one.count for one in sources],
                "classes": [one.classes for one in sources],
                "size": [one.size for one in sources],
                "licence": [one.licence for one in sources],
            },
            hide_index=True,
        )


st.title("Data", anchor=False)
tabs({"Browse": browse, "Check your own": check})
