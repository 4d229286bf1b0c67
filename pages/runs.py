"""runs"""
import streamlit as st

st.title("runs")
st.write('hello')
