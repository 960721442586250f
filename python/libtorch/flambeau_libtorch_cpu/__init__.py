"""libtorch for CPU, in the folder `jars`. `flambeau.find_jars` finds it; there is nothing to import."""
