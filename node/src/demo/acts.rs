//! Acts of the story as one request each.
