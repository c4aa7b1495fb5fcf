"""Label files, folders and arrays in memory, each read into one `records.LabelTable`.

`read.read` takes a path, `memory.from_memory` what a Python user holds. Between a source and the record stand two
intermediates: a `table.Table` (named columns, one row an image) and an `arrays.Block` (features or pixels with 0/1
labels). Images that a source names are looked for, and opened only if their keywords are the labels.
"""
