"""What the diffusers example scripts use of torchvision, where torchvision cannot be imported.

Pictures are Pillow's, as in the scripts. The numbers are torchvision's, and so is the work: it
calls Pillow and torch just like this.
"""
