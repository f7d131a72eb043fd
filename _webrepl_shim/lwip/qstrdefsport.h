// Names that cannot be found in the source as they are spelled.
Q(/lib)
