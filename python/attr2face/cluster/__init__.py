"""A cluster of Dask: its client, its workers, and what has to be equal on all of them.

A worker computes one task at a time, with one thread or on one card. It reads the files that a task names in
a folder that it shares with this machine, or copies that are sent to it. Only this machine writes results;
a training on a worker writes in the store, under the store's locks.
"""
