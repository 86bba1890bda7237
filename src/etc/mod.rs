//! The formats of the four account files. Formats only: nothing here opens a file, and nothing knows accounts.
