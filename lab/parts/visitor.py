"""Who looks at this page, as far as it matters for whose turn it is."""

from __future__ import annotations

import streamlit as st

from lab.home import login_name


def visitor() -> str:
    """Who logged in; else the other machine's address; else, on this machine, the login name as on the command line."""
    account = st.user.get("email") if st.user.get("is_logged_in") else None
    return str(account or st.context.ip_address or login_name())
