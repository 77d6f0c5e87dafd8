"""Files that other trainers made, put into an untouched model."""
