"""Is it stuck?"""
