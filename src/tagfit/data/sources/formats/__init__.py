"""The formats of annotation tools and public data sets, one module a format."""
