"""Turn pre-trained models that come inside packages of the Python package index into folders for transformers."""
