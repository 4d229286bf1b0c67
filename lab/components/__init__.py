"""What must follow the hand: Streamlit components of a few lines, each over an `/api` route."""
