"""Why a figure is what it is: taken apart, executed once more, and each lead that does not count with its reason."""
