"""A method: /method?id=representation.mae"""

import streamlit as st

from lab.page import method_page

method_page(st.query_params.get("id", ""))
