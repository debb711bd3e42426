"""How much machine a load needs: a calculation, its sources, a command and a plot."""
