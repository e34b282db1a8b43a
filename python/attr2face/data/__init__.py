"""Faces and what is known of them: attributes, datasets, LMDBs, preprocessing."""
