"""Texts made elsewhere: chains of them in a file become an experiment whose runs are done."""
