//! The client of Discord against the stand-in.
