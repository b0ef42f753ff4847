"""The soak: the real processes under kill -9 and worse, judged by an oracle of its own."""
