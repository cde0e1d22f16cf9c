"""HDF5 shards and datasets; the only importer of h5py."""
