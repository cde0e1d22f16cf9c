"""What shape is it?"""
