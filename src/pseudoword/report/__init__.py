"""A study folder told as one self-contained web page."""
