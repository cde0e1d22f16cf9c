"""A dataset in other forms: tables, pictures, a research object."""
