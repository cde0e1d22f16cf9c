"""What do the outputs look like?"""
