"""The names of what only the owner of a model can read off it (see `mia_lib.signals.white_box`)."""

INTERNALS = ("log_gradient_norm", "log_output_gradient_norm", "hidden_norm", "class_cosine")
"""The numbers that are read, with the gradient that of the cross-entropy in evaluation mode: log of its norm over all
parameters; log of its norm over the last layer's; norm of the last hidden activations h; cosine of h and the weight vector of
the fragment's class."""
