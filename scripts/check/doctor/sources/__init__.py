"""Where facts come from: a module for each kind, each with the data class that checks see."""
