"""The notebooks' side: `lab.Lab`, with which each starts, and `runner.run_series`, which executes them in order.

Both are imported from their modules: a notebook needs no runner, and the runner no figures.
"""
