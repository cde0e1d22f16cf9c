"""Searches: experiments in rounds, whose settings a sampler chooses by what the last ones gave."""
