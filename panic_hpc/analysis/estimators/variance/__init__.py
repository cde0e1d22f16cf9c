"""What matters most: how much of the differences between runs each part of the system makes."""
