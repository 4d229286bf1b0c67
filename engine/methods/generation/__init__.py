"""Making pictures: style transfer and autoregressive models."""
