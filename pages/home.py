"""home"""
import streamlit as st

st.title("home")
st.write('hello')
