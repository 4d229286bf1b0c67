"""run"""
import streamlit as st

st.title("run")
st.write('hello')
