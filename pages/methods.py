"""methods"""
import streamlit as st

st.title("methods")
st.write('hello')
