"""How observations, scores and the objects of the legacy API are shown to clients."""
