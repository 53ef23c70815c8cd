"""The demo: trained models in a browser. Plain functions in `studio`, the page in `app`."""
