"""The appearance model of faces (Cootes, Edwards and Taylor 2001): shape and texture apart.

Pictures of different people have different parts of faces at one place, so that their means and components
blur. Here every picture is warped to the mean shape first (`warp`). Components of shapes and of these
textures (`components`) and their regression on attributes make a `model`, which `fitting` finds.
"""
