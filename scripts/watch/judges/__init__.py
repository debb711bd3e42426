"""Judges compared with people: is this one to be trusted?"""
