"""Has it done this before?"""
