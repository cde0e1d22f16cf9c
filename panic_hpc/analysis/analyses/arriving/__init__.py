"""How did it get here, and was it predictable?"""
