"""From a target to a picture: spaces, objective, regularisers, optimisers and the descent."""
