"""For all unit tests: an example may take as long as it takes, as machines differ and are shared."""

from hypothesis import settings

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
