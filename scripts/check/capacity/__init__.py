"""How much machine a load needs: a calculation, its sources, a verb and a plot."""
