//! Who may hold bodies, and where objects are placed: everyone who needs them and nobody else.
