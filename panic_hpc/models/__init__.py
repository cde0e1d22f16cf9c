"""One file a model family; heavy libraries are imported inside load()."""
