"""A small synthetic dataset in ChaLearn's layout; `sample_data.py` writes it.

plan      which clips there are: names, source videos, labels, speakers
drawing   the pictures of a clip
voice     its sound
dataset   the files: clips in zips, annotations
weights   made-up weights in place of VGG-Face
"""
