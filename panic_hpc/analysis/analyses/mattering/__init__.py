"""What matters most?"""
